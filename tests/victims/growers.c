/*
 * Three kinds of site in steps, for comparing two moments: one leaks, one frees all it takes, one
 * is a cache that levels off after its first step.
 *
 * growers [STEPS] [--wait]: with --wait it stops after each step.
 */
#include <stdlib.h>

#include "truth.h"

#define CACHE_MAX 64
#define CACHE_BYTES 512

static NOINLINE void leaks(void)
{
	struct truth_site *s = truth_at(__func__);

	for (int i = 0; i < 10; i++)
		truth_born(s, malloc(opaque(1000)), 1000);
}

static NOINLINE void balances(void)
{
	struct truth_site *s = truth_at(__func__);

	for (int i = 0; i < 100; i++) {
		void *p = truth_born(s, malloc(opaque(2000)), 2000);

		truth_died(s, 2000);
		free(p);
	}
}

static NOINLINE void caches(void)
{
	static void *cache[CACHE_MAX];
	struct truth_site *s = truth_at(__func__);

	for (int i = 0; i < CACHE_MAX; i++) {
		if (cache[i]) {
			truth_died(s, CACHE_BYTES);
			free(cache[i]);
		}
		cache[i] = truth_born(s, malloc(opaque(CACHE_BYTES)), CACHE_BYTES);
	}
}

int main(int argc, char **argv)
{
	int steps = argc > 1 && argv[1][0] != '-' ? atoi(argv[1]) : 2;
	char at[32];

	for (int step = 1; step <= steps; step++) {
		leaks();
		balances();
		caches();
		snprintf(at, sizeof(at), "step %d", step);
		truth_print("growers", at);
		truth_wait(argc, argv);
	}
	return truth_status();
}
