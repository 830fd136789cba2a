/*
 * Makes a heap of every kind of block that glibc has, in several threads, and then prints each
 * block that it holds: "0xADDRESS USABLE", as malloc_usable_size() says, and "ready PID"; then it
 * waits for the end of its input. Nothing here allocates behind its back, but for what a word asks
 * for.
 *
 *   heap_truth [THREADS [ROUNDS [WORD …]]]
 *     sbrk     moves the end of the heap itself, between two rounds
 *     wall     maps a page behind the heap, so that it must go on elsewhere
 *     stdio    opens FILEs and leaves them open
 *     ended    half of the threads have ended
 *     fast     frees many small blocks at once
 *     spin     other threads allocate all the time, blocks that are not printed
 *     fork     goes on in a child, in which the threads are no more
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "held_blocks.h"

#define THREADS_MAX 64
#define SLOTS 2000

struct worker {
	pthread_t thread;
	uint64_t seed;
	int stays, shares;
	void *slots[SLOTS];
};

static struct worker workers[THREADS_MAX + 1];
static pthread_barrier_t start, done;
static unsigned int nr_threads = 4, rounds = 20000;
static void *shared[256];
static void *big[6];
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

static uint64_t next(struct worker *w)
{
	return held_dice(&w->seed);
}

/* Mostly small, some large, a few beyond the size from which blocks are mapped. */
static size_t size_of(struct worker *w)
{
	uint64_t kind = next(w) % 1000;

	if (kind < 700)
		return next(w) % 300;
	if (kind < 950)
		return next(w) % 5000;
	if (kind < 997)
		return next(w) % 60000;
	return 140000 + next(w) % 300000;
}

static void *make(struct worker *w)
{
	size_t size = size_of(w);
	uint64_t kind = next(w) % 20;
	void *p;

	if (kind == 0)
		p = calloc(1, size);
	else if (kind == 1)
		p = memalign((size_t)32 << next(w) % 9, size);
	else if (kind == 2 && next(w) % 40 == 0)
		p = memalign((size_t)1 << 16, 200000 + size);
	else
		p = malloc(size);
	if (!p)
		_exit(2);
	/* As programs do: what is behind the header looks like anything. */
	memset(p, (int)next(w), size < 64 ? size : 64);
	return p;
}

static void step(struct worker *w)
{
	size_t i = next(w) % SLOTS;
	uint64_t kind = next(w) % 16;

	if (!w->slots[i]) {
		w->slots[i] = make(w);
	} else if (kind == 0) {
		void *p = realloc(w->slots[i], size_of(w) + 1);

		w->slots[i] = p ? p : w->slots[i];
	} else if (kind == 1 && w->shares) {
		/* For another thread to free. */
		size_t k = next(w) % (sizeof(shared) / sizeof(shared[0]));
		void *other;

		pthread_mutex_lock(&shared_lock);
		other = shared[k];
		shared[k] = w->slots[i];
		pthread_mutex_unlock(&shared_lock);
		w->slots[i] = NULL;
		free(other);
	} else {
		free(w->slots[i]);
		w->slots[i] = NULL;
	}
}

static void work(struct worker *w)
{
	for (unsigned int i = 0; i < rounds; i++)
		step(w);
}

static void *run(void *arg)
{
	struct worker *w = arg;

	pthread_barrier_wait(&start);
	work(w);
	pthread_barrier_wait(&done);
	if (w->stays)
		pause();
	return NULL;
}

static void *spin(void *arg)
{
	struct worker *w = arg;

	for (;;)
		step(w);
	return NULL;
}

static void free_many(struct worker *w)
{
	static void *blocks[20000];

	for (size_t i = 0; i < 20000; i++)
		blocks[i] = malloc(16 + next(w) % 90);
	for (size_t i = 0; i < 20000; i++)
		if (i % 3)
			free(blocks[i]);
	for (size_t i = 0; i < 20000; i += 3) {
		held_print(blocks[i]);
	}
}

static void print_block(void *p)
{
	if (!p)
		return;
	held_print(p);
}

static void print_blocks(void)
{
	for (size_t i = 0; i <= nr_threads; i++)
		for (size_t k = 0; k < SLOTS; k++)
			print_block(workers[i].slots[k]);
	for (size_t k = 0; k < sizeof(shared) / sizeof(shared[0]); k++)
		print_block(shared[k]);
	for (size_t k = 0; k < sizeof(big) / sizeof(big[0]); k++)
		print_block(big[k]);
}

static int has(int argc, char **argv, const char *word)
{
	for (int i = 3; i < argc; i++)
		if (strcmp(argv[i], word) == 0)
			return 1;
	return 0;
}

static void wall(void)
{
	uintptr_t end = ((uintptr_t)sbrk(0) + 0xffff) & ~(uintptr_t)0xffff;

	if (mmap((void *)end, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	    MAP_FAILED)
		_exit(3);
}

static void open_files(void)
{
	for (int i = 0; i < 3; i++) {
		FILE *f = fopen("/proc/self/cmdline", "r");

		if (!f || fgetc(f) == EOF)
			_exit(4);
	}
}

/*
 * Larger than any size that the allocator would take from a heap. A function of its own: clang 14
 * crashes when it unrolls the loop with the calls in it.
 */
static __attribute__((noinline)) void *make_one_big(size_t alignment, size_t size)
{
	void *p = alignment ? memalign(alignment, size) : malloc(size);

	if (!p)
		_exit(6);
	return p;
}

static void make_big(void)
{
	static const size_t alignments[] = {0, 0, 32, 4096, 1 << 16, 1 << 21};

	for (size_t i = 0; i < sizeof(alignments) / sizeof(alignments[0]); i++)
		big[i] = make_one_big(alignments[i], (33u << 20) + i * 12345);
	free(big[1]);
	big[1] = calloc(1, 34u << 20);
	big[0] = realloc(big[0], 35u << 20);
}

static void odd_jobs(int argc, char **argv)
{
	if (has(argc, argv, "sbrk")) {
		work(&workers[0]);
		/* Filled, so that it can be taken for chunks by whoever does not look well. */
		memset(sbrk(5000), 0x21, 5000);
		work(&workers[0]);
	}
	if (has(argc, argv, "wall"))
		wall();
	if (has(argc, argv, "stdio"))
		open_files();
	make_big();
	work(&workers[0]);
	if (has(argc, argv, "fast"))
		free_many(&workers[0]);
}

static void start_threads(int argc, char **argv)
{
	int ended = has(argc, argv, "ended");

	if (nr_threads > THREADS_MAX)
		nr_threads = THREADS_MAX;
	for (size_t i = 0; i <= nr_threads; i++) {
		workers[i].seed = 88172645463325252ull + i * 7919;
		workers[i].stays = !ended || i % 2;
		workers[i].shares = 1;
	}
	pthread_barrier_init(&start, NULL, nr_threads + 1);
	pthread_barrier_init(&done, NULL, nr_threads + 1);
	for (size_t i = 1; i <= nr_threads; i++)
		if (pthread_create(&workers[i].thread, NULL, run, &workers[i]) != 0)
			_exit(5);
	pthread_barrier_wait(&start);
	pthread_barrier_wait(&done);
	for (size_t i = 1; i <= nr_threads; i++)
		if (!workers[i].stays)
			pthread_join(workers[i].thread, NULL);
}

static void go_on_in_child(void)
{
	pid_t child = fork();

	if (child < 0)
		_exit(7);
	if (child > 0) {
		waitpid(child, NULL, 0);
		_exit(0);
	}
}

int main(int argc, char **argv)
{
	static struct worker spinners[4];
	char line[64];

	if (argc > 1)
		nr_threads = (unsigned int)atoi(argv[1]);
	if (argc > 2)
		rounds = (unsigned int)atoi(argv[2]);
	start_threads(argc, argv);
	odd_jobs(argc, argv);
	if (has(argc, argv, "fork"))
		go_on_in_child();
	for (size_t i = 0; has(argc, argv, "spin") && i < 4; i++) {
		spinners[i].seed = 1234567 + i;
		pthread_create(&spinners[i].thread, NULL, spin, &spinners[i]);
	}
	print_blocks();
	held_ready();
	while (read(STDIN_FILENO, line, sizeof(line)) > 0)
		continue;
	return 0;
}
