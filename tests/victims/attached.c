/*
 * Threads that allocate in every way there is while the recorder is put in and taken out, and stand
 * still at fences, where the counts are exact. At the last fence everything has been freed.
 *
 * attached [THREADS] [churn]
 *
 * Reads commands, one a line: "fence" (all threads stop; prints the truth; the next line lets them
 * go on), "drain" (the same, and each thread frees all it has before), "end". churn: short-lived
 * threads come and go, too.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "truth.h"

#define MAX_THREADS 64
#define SLOTS 200

static struct truth_site *sites[8];
enum { BY_MALLOC, BY_CALLOC, BY_REALLOC, BY_ARRAY, BY_POSIX, BY_ALIGNED, BY_LIBC, BY_SHORT };

struct block {
	char *p;
	size_t size;
	struct truth_site *site;
};

static int thread_count = 4;
static uint64_t round_count; /* of all threads: they move on */
static volatile bool stop, drain, over;
static pthread_barrier_t barrier;

static void put(struct block *b, struct truth_site *site, void *p, size_t size)
{
	*b = (struct block){truth_born(site, p, size), size, site};
	truth_check(p != NULL, "an allocation failed");
	b->p[0] = (char)size;
}

static NOINLINE void by_malloc(struct block *b, size_t size)
{
	put(b, sites[BY_MALLOC], malloc(size), size);
}

static NOINLINE void by_calloc(struct block *b, size_t size)
{
	put(b, sites[BY_CALLOC], calloc(3, size), 3 * size);
}

static NOINLINE void by_realloc(struct block *b, size_t size)
{
	if (b->p)
		truth_died(b->site, b->size);
	put(b, sites[BY_REALLOC], realloc(b->p, size), size);
}

static NOINLINE void by_array(struct block *b, size_t size)
{
	if (b->p)
		truth_died(b->site, b->size);
	put(b, sites[BY_ARRAY], reallocarray(b->p, 2, size), 2 * size);
}

static NOINLINE void by_posix(struct block *b, size_t size)
{
	void *p = NULL;

	truth_check(!posix_memalign(&p, size % 2 ? 16 : 256, size), "posix_memalign failed");
	put(b, sites[BY_POSIX], p, size);
}

static NOINLINE void by_aligned(struct block *b, size_t size)
{
	put(b, sites[BY_ALIGNED], aligned_alloc(64, size * 64), size * 64);
}

/* libc's own call of malloc. */
static NOINLINE void by_libc(struct block *b, size_t size)
{
	char text[700];

	memset(text, 'x', size);
	text[size] = '\0';
	put(b, sites[BY_LIBC], strdup(text), size + 1);
}

static NOINLINE void drop(struct block *b)
{
	if (!b->p)
		return;
	truth_check(b->p[0] == (char)b->size || b->site == sites[BY_LIBC], "a block has changed");
	truth_died(b->site, b->size);
	free(b->p);
	b->p = NULL;
}

static void step(struct block *blocks, uint64_t i)
{
	struct block *b = &blocks[i * 7 % SLOTS];
	size_t size = 1 + (size_t)(i * 31 % 600);

	switch (i % 9) {
	case 0:
		by_realloc(b, size);
		return;
	case 1:
		by_array(b, size);
		return;
	case 2:
		/* Large enough to have pages of its own, and back. */
		by_realloc(b, i % 400 == 2 ? 300000 : size);
		return;
	}
	drop(b);
	switch (i % 9) {
	case 3:
		by_calloc(b, size);
		break;
	case 4:
		by_posix(b, size);
		break;
	case 5:
		by_aligned(b, size);
		break;
	case 6:
		by_libc(b, size);
		break;
	default:
		by_malloc(b, size);
	}
}

static NOINLINE void *short_lived(void *arg)
{
	struct block b = {0};

	for (size_t i = 1; i < 20; i++) {
		put(&b, sites[BY_SHORT], malloc(i * 10), i * 10);
		drop(&b);
	}
	return arg;
}

static void *work(void *arg)
{
	struct block blocks[SLOTS] = {{0}};
	bool churn = arg != NULL;
	pthread_t thread;

	for (uint64_t i = 0; !over; i++) {
		step(blocks, i);
		__atomic_add_fetch(&round_count, 1, __ATOMIC_RELAXED);
		if (churn && i % 500 == 0 && !pthread_create(&thread, NULL, short_lived, NULL))
			pthread_join(thread, NULL);
		if (!stop)
			continue;
		for (size_t k = 0; drain && k < SLOTS; k++)
			drop(&blocks[k]);
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static void fence(bool all)
{
	char line[16];

	drain = all;
	stop = true;
	pthread_barrier_wait(&barrier);
	truth_print("attached", all ? "drain" : "fence");
	stop = false;
	if (!truth_line(line, sizeof(line)))
		_exit(3);
	pthread_barrier_wait(&barrier);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"by_malloc", "by_calloc",  "by_realloc", "by_array",
					    "by_posix",	 "by_aligned", "by_libc",    "short_lived"};
	pthread_t threads[MAX_THREADS];
	char line[16];

	for (int i = 0; i < 8; i++)
		sites[i] = truth_at(names[i]);
	if (argc > 1)
		thread_count = atoi(argv[1]);
	if (thread_count < 1 || thread_count > MAX_THREADS)
		return 2;
	pthread_barrier_init(&barrier, NULL, (unsigned int)thread_count + 1);
	for (int i = 0; i < thread_count; i++)
		pthread_create(&threads[i], NULL, work, i == 0 && argc > 2 ? argv[2] : NULL);
	truth_print("attached", "start");
	while (truth_line(line, sizeof(line)) && strcmp(line, "end") != 0)
		fence(!strcmp(line, "drain"));
	over = true;
	for (int i = 0; i < thread_count; i++)
		pthread_join(threads[i], NULL);
	truth_note("rounds", "%" PRIu64, round_count);
	truth_print("attached", "end");
	return truth_failures ? 1 : 0;
}
