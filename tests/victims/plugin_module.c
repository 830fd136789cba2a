/*
 * One of two modules, built from this file with different values: their code lies at the same
 * addresses, instruction by instruction, but the frames differ in size: what was learnt about one
 * must not be believed for the other.
 *
 * LEAK, DESCEND: names of the functions; FRAME_BYTES; LEAK_COUNT; LEAK_BYTES
 */
#include "plugin.h"

#include <stdlib.h>

#define NOINLINE __attribute__((noinline))

void plugin_run(const struct plugin_host *host, int depth);

static NOINLINE void LEAK(const struct plugin_host *host)
{
	volatile int count = LEAK_COUNT; /* so that both modules have the same instructions */

	for (int i = 0; i < count; i++) {
		void *p = malloc(LEAK_BYTES);

		__asm__ volatile("" : : "r"(p) : "memory");
		host->leaked(p, LEAK_BYTES);
	}
}

static NOINLINE int DESCEND(const struct plugin_host *host, int depth)
{
	volatile char frame[FRAME_BYTES];
	void *p = malloc((size_t)depth + 1);
	int below = 0;

	__asm__ volatile("" : : "r"(p) : "memory");
	frame[FRAME_BYTES - 1] = (char)depth;
	if (depth > 0)
		below = DESCEND(host, depth - 1);
	else
		LEAK(host);
	free(p);
	return below + frame[FRAME_BYTES - 1];
}

void plugin_run(const struct plugin_host *host, int depth)
{
	volatile int result = DESCEND(host, depth);

	(void)result;
}
