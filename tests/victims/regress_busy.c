/*
 * Three threads that allocate and free without a pause, each at several depths, until a line or the
 * end of the input comes. Prints a line when they run, and the truth at the end.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "truth.h"

#define THREADS 3
#define HELD 64

static struct truth_site *site;
static atomic_int stop;

static NOINLINE void *busy_allocate(int levels, size_t size)
{
	void *p = levels > 0 ? busy_allocate(levels - 1, size) : malloc(size);

	truth_touch(p);
	return p;
}

static void *run(void *arg)
{
	void *held[HELD] = {NULL};
	size_t sizes[HELD] = {0};

	for (unsigned int i = 0; !stop; i++) {
		unsigned int k = i * 7919 % HELD;

		if (held[k])
			truth_died(site, sizes[k]);
		free(held[k]);
		sizes[k] = 20 + i % 100;
		held[k] = truth_born(site, busy_allocate((int)(i % 5), sizes[k]), sizes[k]);
	}
	return arg;
}

int main(void)
{
	static char wait[] = "--wait";
	char *arguments[] = {wait, wait, NULL};
	pthread_t threads[THREADS];

	site = truth_at("busy_allocate");
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, run, NULL))
			return 2;
	truth_print("busy", "busy");
	truth_wait(2, arguments);
	stop = 1;
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	truth_print("busy", "end");
	return truth_status();
}
