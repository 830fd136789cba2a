/*
 * Recursion far deeper than any fixed limit: 10,000 and 100,000 frames, with blocks allocated on
 * the way down and at the bottom. Runs in a thread whose stack is large enough.
 *
 * deep [DEPTH...] [--wait]
 */
#include <pthread.h>
#include <stdlib.h>

#include "truth.h"

#define STACK_BYTES (256ul * 1024 * 1024)
#define EVERY 100 /* one block in so many frames */

static struct truth_site *way_site, *bottom_site;

static NOINLINE void allocate_at_the_bottom(void)
{
	for (int i = 0; i < 10; i++)
		truth_born(bottom_site, malloc(opaque(30)), 30);
}

/* The frame varies in size, so that stacks of different depths do not look alike. */
static NOINLINE long allocate_on_the_way(long depth)
{
	volatile char frame[40];
	long below = 0;

	frame[depth % 40] = 1;
	if (depth % EVERY == 0)
		truth_born(way_site, malloc(opaque(20)), 20);
	if (depth > 0)
		below = allocate_on_the_way(depth - 1);
	else
		allocate_at_the_bottom();
	return below + frame[depth % 40];
}

static void *run(void *arg)
{
	const long *depth = arg;

	truth_check(allocate_on_the_way(*depth) == *depth + 1, "all frames return");
	return NULL;
}

static int descend(long depth)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	err = pthread_create(&thread, &attr, run, &depth);
	pthread_attr_destroy(&attr);
	return err ? -1 : pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
	int given = 0;

	way_site = truth_at("allocate_on_the_way");
	bottom_site = truth_at("allocate_at_the_bottom");
	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			continue;
		given = 1;
		if (descend(atol(argv[i])) < 0)
			return SKIPPED;
	}
	if (!given && (descend(10000) < 0 || descend(100000) < 0))
		return SKIPPED;
	truth_print("deep", "end");
	truth_wait(argc, argv);
	return truth_status();
}
