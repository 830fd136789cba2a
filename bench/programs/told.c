/*
 * What include/seep/seep.h costs a program: CPU time of each of its functions, by its own clock.
 * Alone, and under the recorder:
 *
 *   build/bench/told; build/seep run -q -- build/bench/told
 */
#include <seep/seep.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TIMES 2000000
#define FRAMES 30
#define POOL_BLOCKS 1000

static char pool[POOL_BLOCKS * 16];

static double now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void pair(int i)
{
	void *p = malloc(32);

	(void)i;
	__asm__ volatile("" : : "r"(p) : "memory");
	free(p);
}

static void scope(int i)
{
	(void)i;
	seep_tag_begin("scope");
	seep_tag_end();
}

static void pool_pair(int i)
{
	seep_pool_alloc(pool, pool + i % POOL_BLOCKS * 16, 16);
	seep_pool_free(pool, pool + i % POOL_BLOCKS * 16);
}

static void pool_reset(int i)
{
	seep_pool_alloc(pool, pool + i % POOL_BLOCKS * 16, 16);
	if (i % POOL_BLOCKS == POOL_BLOCKS - 1)
		seep_pool_reset(pool);
}

static void mark(int i)
{
	(void)i;
	seep_mark("mark");
}

static __attribute__((noinline)) void measure(const char *what, void (*once)(int), int times)
{
	double began = now_ns();

	for (int i = 0; i < times; i++)
		once(i);
	printf("%-36s %8.1f ns\n", what, (now_ns() - began) / times);
}

static __attribute__((noinline)) void deep(int frames, int tagged)
{
	if (frames) {
		deep(frames - 1, tagged);
		__asm__ volatile("");
		return;
	}
	if (tagged)
		seep_tag_begin("tag");
	measure(tagged ? "malloc and free in a scope" : "malloc and free", pair, TIMES);
	if (tagged) {
		seep_tag_end();
		measure("seep_tag_begin and _end", scope, TIMES);
		measure("seep_pool_alloc and _free", pool_pair, TIMES);
		measure("seep_pool_alloc, a reset per 1,000", pool_reset, TIMES);
		measure("seep_mark", mark, POOL_BLOCKS);
	}
}

int main(void)
{
	deep(FRAMES, 0);
	deep(FRAMES, 1);
	return 0;
}
