/*
 * Leaks a known number of blocks, tells the truth, and ends in the way asked for. What is live at
 * the end must be known afterwards, however the end came.
 *
 * dies exit|return|_exit|quick_exit|abort|segv|kill|term|overflow
 */
#include <signal.h>
#include <stdlib.h>

#include "truth.h"

static NOINLINE void leak(int count)
{
	struct truth_site *s = truth_at(__func__);

	for (int i = 0; i < count; i++)
		truth_born(s, malloc(opaque(77)), 77);
}

/* Freed by a handler at the end where the end is an orderly one; so not told as freed. */
static NOINLINE void free_at_exit(void)
{
	static void *last;

	if (last) {
		free(last);
		return;
	}
	last = malloc(opaque(5));
	truth_touch(last);
	if (atexit(free_at_exit) != 0)
		abort();
}

static NOINLINE unsigned int overflow(unsigned int depth)
{
	volatile char frame[4096];

	frame[depth % sizeof(frame)] = 1;
	if (depth == UINT32_MAX)
		return 0;
	return overflow(depth + 1) + (unsigned int)frame[0];
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "return";

	leak(100);
	free_at_exit();
	truth_print("dies", way);
	if (strcmp(way, "exit") == 0)
		exit(3);
	if (strcmp(way, "_exit") == 0)
		_exit(4);
	if (strcmp(way, "quick_exit") == 0)
		quick_exit(5);
	if (strcmp(way, "abort") == 0)
		abort();
	if (strcmp(way, "segv") == 0)
		*(volatile char *)opaque(8) = 1;
	if (strcmp(way, "overflow") == 0)
		return (int)overflow(0);
	if (strcmp(way, "kill") == 0)
		kill(getpid(), SIGKILL);
	if (strcmp(way, "term") == 0)
		raise(SIGTERM);
	return strcmp(way, "return") == 0 ? 0 : 2;
}
