/*
 * What a malloc and its free cost at the end of a chain of calls:
 *
 *     pairs MODE DEPTH THREADS [ITERATIONS [REPEATS]]
 *
 * same   one call site, the same stack each time
 * sites  sixteen call sites in turn, the same stack but for them
 * tree   a walk over a binary tree of calls, a pair at each node (its calls are in the figure)
 * fifo   a thousand blocks live, the oldest freed, sizes different
 *
 * DEPTH counts the frames from the one that calls malloc to the outermost of libc's start-up code.
 * Prints {"min_ns": …, "median_ns": …}: thread CPU time a pair over the repetitions, and the mean
 * over the threads.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chain.h"

#define NOINLINE __attribute__((noinline))
#define THREADS_MAX 64
#define REPEATS_MAX 4096
#define FRAMES_AROUND_MAIN 6   /* _start, two of libc, main, run_worker, leaf */
#define FRAMES_AROUND_THREAD 4 /* clone3, start_thread, run_worker, leaf */
#define TREE_HEIGHT 9
#define TREE_NODES ((2u << TREE_HEIGHT) - 1)
#define FIFO_NR 1024
#define SITES_NR 16
#define WARM_UP 20

/* One worker's chain comes first: leaves get the chain and find the rest. */
struct worker {
	struct chain chain;
	unsigned int depth, iterations, repeats, done;
	double ns[REPEATS_MAX];
	void *fifo[FIFO_NR];
	pthread_barrier_t *start;
	pthread_t thread;
};

static uint64_t thread_cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void note(struct worker *w, uint64_t began_ns, uint64_t pairs)
{
	w->ns[w->done++] = (double)(thread_cpu_ns() - began_ns) / (double)pairs;
}

/* A call site of its own wherever it stands. */
#define PAIR()                                                                                     \
	do {                                                                                       \
		void *block_ = malloc(64);                                                         \
                                                                                                   \
		__asm__ volatile("" : : "r"(block_) : "memory");                                   \
		free(block_);                                                                      \
	} while (0)

static NOINLINE long leaf_same(struct chain *c)
{
	struct worker *w = (struct worker *)c;
	uint64_t began_ns = 0;

	for (int64_t i = -WARM_UP; i < (int64_t)w->iterations; i++) {
		if (i == 0)
			began_ns = thread_cpu_ns();
		PAIR();
	}
	note(w, began_ns, w->iterations);
	return 0;
}

static NOINLINE long leaf_sites(struct chain *c)
{
	struct worker *w = (struct worker *)c;
	unsigned int turns = w->iterations / SITES_NR;
	uint64_t began_ns = 0;

	for (int64_t i = -WARM_UP; i < (int64_t)turns; i++) {
		if (i == 0)
			began_ns = thread_cpu_ns();
		PAIR();
		PAIR();
		PAIR();
		PAIR();
		PAIR();
		PAIR();
		PAIR();
		PAIR();
		PAIR();
		PAIR();
		PAIR();
		PAIR();
		PAIR();
		PAIR();
		PAIR();
		PAIR();
	}
	note(w, began_ns, (uint64_t)turns * SITES_NR);
	return 0;
}

static NOINLINE long leaf_once(struct chain *c)
{
	PAIR();
	return c->kept[1];
}

static NOINLINE long leaf_tree(struct chain *c)
{
	struct worker *w = (struct worker *)c;
	unsigned int walks = w->iterations / TREE_NODES + 1;
	chain_fn *root = c->branches[TREE_HEIGHT];
	long (*leaf)(struct chain *) = c->leaf, sum;
	uint64_t began_ns;

	c->leaf = leaf_once;
	sum = root(c, TREE_HEIGHT);
	began_ns = thread_cpu_ns();
	for (unsigned int i = 0; i < walks; i++)
		sum += root(c, TREE_HEIGHT);
	note(w, began_ns, (uint64_t)walks * TREE_NODES);
	c->leaf = leaf;
	return sum;
}

static NOINLINE long leaf_fifo(struct chain *c)
{
	struct worker *w = (struct worker *)c;
	uint64_t began_ns = 0;

	for (int64_t i = -FIFO_NR; i < (int64_t)w->iterations; i++) {
		void **slot = &w->fifo[i & (FIFO_NR - 1)];

		if (i == 0)
			began_ns = thread_cpu_ns();
		free(*slot);
		*slot = malloc(16 + ((uint64_t)i * 37 & 255));
	}
	note(w, began_ns, w->iterations);
	return 0;
}

static const struct mode {
	const char *name;
	long (*leaf)(struct chain *c);
} modes[] = {{"same", leaf_same}, {"sites", leaf_sites}, {"tree", leaf_tree}, {"fifo", leaf_fifo}};

static NOINLINE void *run_worker(void *arg)
{
	struct worker *w = arg;
	long sum = 0;

	if (w->start)
		pthread_barrier_wait(w->start);
	while (w->done < w->repeats)
		sum += w->chain.frames[w->depth](&w->chain, (int)w->depth - 1);
	for (unsigned int i = 0; i < FIFO_NR; i++)
		free(w->fifo[i]);
	__asm__ volatile("" : "+r"(sum)); /* no tail call above */
	return NULL;
}

static void init_chain(struct chain *c, const struct mode *mode)
{
	static chain_fn *(*const frame[])(unsigned int) = {chain_0_frame, chain_1_frame,
							   chain_2_frame};
	static chain_fn *(*const branch[])(unsigned int) = {chain_0_branch, chain_1_branch,
							    chain_2_branch};

	for (unsigned int i = 0; i < CHAIN_FRAMES_MAX; i++)
		c->frames[i] = frame[i % 3](i * 7);
	for (unsigned int i = 0; i < CHAIN_BRANCHES_NR; i++)
		c->branches[i] = branch[i % 3](i / 3);
	for (long i = 0; i < CHAIN_KEPT_NR; i++)
		c->kept[i] = i;
	c->leaf = mode->leaf;
	c->extra_bytes = 40;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_result(struct worker *workers, unsigned int threads)
{
	double min = 0, median = 0;

	for (unsigned int i = 0; i < threads; i++) {
		struct worker *w = &workers[i];

		qsort(w->ns, w->done, sizeof(w->ns[0]), compare);
		min += w->ns[0] / threads;
		median += w->ns[w->done / 2] / threads;
	}
	printf("{\"min_ns\": %.3f, \"median_ns\": %.3f}\n", min, median);
}

static unsigned int argument(int argc, char **argv, int nr, unsigned int otherwise)
{
	return argc > nr ? (unsigned int)strtoul(argv[nr], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	unsigned int depth = argument(argc, argv, 2, 0), threads = argument(argc, argv, 3, 0);
	unsigned int around = threads == 1 ? FRAMES_AROUND_MAIN : FRAMES_AROUND_THREAD;
	static struct worker workers[THREADS_MAX];
	const struct mode *mode = NULL;
	pthread_barrier_t start;

	for (size_t i = 0; argc > 3 && i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(argv[1], modes[i].name))
			mode = &modes[i];
	if (!mode || !threads || threads > THREADS_MAX || depth <= around ||
	    depth - around >= CHAIN_FRAMES_MAX) {
		fprintf(stderr, "usage: pairs same|sites|tree|fifo DEPTH THREADS [ITERATIONS "
				"[REPEATS]]\n");
		return 2;
	}
	pthread_barrier_init(&start, NULL, threads);
	for (unsigned int i = 0; i < threads; i++) {
		struct worker *w = &workers[i];

		init_chain(&w->chain, mode);
		w->depth = depth - around;
		w->iterations = argument(argc, argv, 4, 200000);
		w->repeats = argument(argc, argv, 5, 20);
		if (!w->iterations || !w->repeats || w->repeats > REPEATS_MAX)
			return 2;
		w->start = threads > 1 ? &start : NULL;
		if (threads == 1)
			run_worker(w);
		else if (pthread_create(&w->thread, NULL, run_worker, w))
			abort();
	}
	for (unsigned int i = 0; i < threads && threads > 1; i++)
		pthread_join(workers[i].thread, NULL);
	print_result(workers, threads);
	return 0;
}
