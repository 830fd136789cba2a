/*
 * Holds blocks of all sizes, made and freed by several threads, and prints every one that it still
 * holds: "0xADDRESS USABLE", as malloc_usable_size() says. Uses no stdio and nothing else that
 * allocates behind its back, so it says the same of any allocator and any C library.
 *
 *   heap_truth_any [THREADS [ROUNDS]]      prints, then "ready PID", then waits for end of input
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "held_blocks.h"

#define THREADS_MAX 16
#define SLOTS 3000

struct worker {
	pthread_t thread;
	uint64_t seed;
	unsigned int rounds;
	void *slots[SLOTS];
};

static struct worker workers[THREADS_MAX + 1];
static pthread_barrier_t done;

static uint64_t next(struct worker *w)
{
	return held_dice(&w->seed);
}

/* Mostly small, some of every order up to a megabyte. */
static size_t some_size(struct worker *w)
{
	uint64_t r = next(w);

	switch (r % 100) {
	case 0:
		return (size_t)(next(w) % (1 << 20));
	case 1:
	case 2:
	case 3:
		return (size_t)(next(w) % (64 << 10));
	case 4 ... 20:
		return (size_t)(next(w) % 4096);
	default:
		return (size_t)(next(w) % 256);
	}
}

static void *make(struct worker *w)
{
	size_t size = some_size(w);
	void *p;

	switch (next(w) % 16) {
	case 0:
		return calloc(1, size);
	case 1:
		return aligned_alloc(64, (size + 63) & ~(size_t)63);
	case 2:
		if (posix_memalign(&p, 1 << (4 + next(w) % 10), size))
			return NULL;
		return p;
	default:
		p = malloc(size);
		if (p && size > 8)
			memset(p, (int)w->seed, size < 4096 ? size : 4096);
		return p;
	}
}

static void *work(void *argument)
{
	struct worker *w = argument;

	for (unsigned int i = 0; i < w->rounds; i++) {
		void **slot = &w->slots[next(w) % SLOTS];

		if (*slot && next(w) % 4 == 0) {
			void *p = realloc(*slot, some_size(w) + 1);

			*slot = p ? p : *slot;
		} else {
			free(*slot);
			*slot = next(w) % 3 ? make(w) : NULL;
		}
	}
	if (w != &workers[0]) {
		pthread_barrier_wait(&done); /* all have made theirs */
		pthread_barrier_wait(&done); /* the program ends */
	}
	return NULL;
}

static void print_all(unsigned int nr)
{
	for (unsigned int t = 0; t <= nr; t++) {
		for (size_t i = 0; i < SLOTS; i++) {
			void *p = workers[t].slots[i];

			if (!p)
				continue;
			held_print(p);
		}
	}
	held_ready();
}

int main(int argc, char **argv)
{
	unsigned int nr = argc > 1 ? (unsigned int)atoi(argv[1]) : 4;
	unsigned int rounds = argc > 2 ? (unsigned int)atoi(argv[2]) : 50000;
	char c;

	if (nr > THREADS_MAX)
		return 2;
	pthread_barrier_init(&done, NULL, nr + 1);
	for (unsigned int t = 0; t <= nr; t++) {
		workers[t].seed = 88172645463325252ull + t * 7919;
		workers[t].rounds = rounds;
		if (t && pthread_create(&workers[t].thread, NULL, work, &workers[t]))
			return 1;
	}
	work(&workers[0]);
	pthread_barrier_wait(&done);
	print_all(nr);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	_exit(0);
}
