/*
 * Random traffic at a given depth: micro PAIRS DEPTH THREADS [LIVE [PATHS]]
 *
 * Each turn goes down one of PATHS call paths (default 1000), DEPTH frames deep, frees a random one
 * of LIVE blocks (default 100000) and allocates another in its place. The same each time.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NOINLINE __attribute__((noinline))
#define THREADS_MAX 64
#define FRAMES_AROUND 3 /* main, run and leaf */

struct worker {
	uint64_t random;
	void **slots;
	unsigned int slots_nr;
	unsigned long turns;
	uint64_t sum;
	pthread_t thread;
};

static unsigned int path_frames, paths_nr;

static uint64_t next_random(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random;
}

/* 16 … 2063 bytes, small ones more often. */
static NOINLINE uint64_t leaf(struct worker *w, uint64_t path)
{
	uint64_t r = next_random(w);
	void **slot = &w->slots[(r >> 8) % w->slots_nr];
	size_t size = 16 + ((r >> 44) & ((16u << ((r >> 40) & 7)) - 1));
	unsigned char *block;

	free(*slot);
	block = malloc(size);
	if (!block)
		abort();
	block[0] = (unsigned char)r;
	block[size - 1] = 1;
	*slot = block;
	return path + size;
}

static uint64_t descend_0(struct worker *w, uint64_t path, unsigned int frames);
static uint64_t descend_1(struct worker *w, uint64_t path, unsigned int frames);
static uint64_t descend_2(struct worker *w, uint64_t path, unsigned int frames);
static uint64_t descend_3(struct worker *w, uint64_t path, unsigned int frames);

/* Four functions; each turns to one of the four, as the path says. */
#define DESCEND(NR)                                                                                \
	static NOINLINE uint64_t descend_##NR(struct worker *w, uint64_t path,                     \
					      unsigned int frames)                                 \
	{                                                                                          \
		uint64_t next = path * 6364136223846793005ull + NR, sum;                           \
                                                                                                   \
		if (!frames)                                                                       \
			sum = leaf(w, path);                                                       \
		else if (next >> 62 == 0)                                                          \
			sum = descend_0(w, next, frames - 1);                                      \
		else if (next >> 62 == 1)                                                          \
			sum = descend_1(w, next, frames - 1);                                      \
		else if (next >> 62 == 2)                                                          \
			sum = descend_2(w, next, frames - 1);                                      \
		else                                                                               \
			sum = descend_3(w, next, frames - 1);                                      \
		__asm__ volatile("" : "+r"(sum)); /* no tail call */                               \
		return sum + NR;                                                                   \
	}

DESCEND(0)
DESCEND(1)
DESCEND(2)
DESCEND(3)

static void *run(void *arg)
{
	struct worker *w = arg;

	w->slots = calloc(w->slots_nr, sizeof(*w->slots));
	if (!w->slots)
		abort();
	for (unsigned long i = 0; i < w->turns; i++)
		w->sum += descend_0(w, (next_random(w) >> 20) % paths_nr + 1, path_frames);
	for (unsigned int i = 0; i < w->slots_nr; i++)
		free(w->slots[i]);
	free(w->slots);
	return NULL;
}

static unsigned long argument(int argc, char **argv, int nr, unsigned long otherwise)
{
	return argc > nr ? strtoul(argv[nr], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
	unsigned long pairs = argument(argc, argv, 1, 0), depth = argument(argc, argv, 2, 0);
	unsigned long threads = argument(argc, argv, 3, 0);
	unsigned long live = argument(argc, argv, 4, 100000);
	static struct worker workers[THREADS_MAX];
	uint64_t sum = 0;

	paths_nr = (unsigned int)argument(argc, argv, 5, 1000);
	if (!pairs || !threads || threads > THREADS_MAX || live < threads || !paths_nr) {
		fprintf(stderr, "usage: micro PAIRS DEPTH THREADS [LIVE [PATHS]]\n");
		return 2;
	}
	path_frames = depth > FRAMES_AROUND ? (unsigned int)depth - FRAMES_AROUND : 0;
	for (unsigned long i = 0; i < threads; i++) {
		workers[i].random = 88172645463325252ull + i * 977;
		workers[i].slots_nr = (unsigned int)(live / threads);
		workers[i].turns = pairs / threads;
		if (threads == 1)
			run(&workers[i]);
		else if (pthread_create(&workers[i].thread, NULL, run, &workers[i]))
			abort();
	}
	for (unsigned long i = 0; i < threads; i++) {
		if (threads > 1)
			pthread_join(workers[i].thread, NULL);
		sum += workers[i].sum;
	}
	printf("%016lx\n", (unsigned long)sum);
	return 0;
}
