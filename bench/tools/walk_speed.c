/*
 * How long a walk over all heaps of a process takes, against reading the same bytes and nothing
 * else: walk_speed PID. Prints one line of JSON; times are of this thread's CPU and of the clock.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "heap/heap.h"
#include "target/target.h"

#define PIECE ((size_t)512 << 10)

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static long peak_kib(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss;
}

struct sum {
	uint64_t blocks, bytes;
};

static int add(void *context, const struct heap_block *b)
{
	struct sum *s = context;

	if (b->state == BLOCK_BUSY) {
		s->blocks++;
		s->bytes += b->size;
	}
	return 0;
}

static uint64_t read_all(struct target *t, const struct heaps *h)
{
	uint8_t *buffer = mem_alloc(PIECE);
	uint64_t done = 0;

	for (size_t i = 0; i < heaps_nr(h); i++) {
		const struct heap *heap = heaps_get(h, i);

		for (size_t k = 0; k < heap->nr_spans; k++)
			for (uint64_t at = heap->spans[k].start; at < heap->spans[k].committed_end;
			     at += PIECE)
				done += target_read(t, at, buffer, PIECE);
	}
	free(buffer);
	return done;
}

int main(int argc, char **argv)
{
	struct target *t = NULL;
	struct heaps *h = NULL;
	struct error e = {0};
	struct sum s = {0};
	double wall[3], cpu[3];
	uint64_t bytes;
	long before;

	if (argc != 2)
		return EXIT_USAGE;
	if (target_open_pid(atoi(argv[1]), NULL, &t, &e) < 0 || heaps_find(t, &h, &e) < 0) {
		fprintf(stderr, "walk_speed: %s\n", e.message);
		return e.status;
	}
	before = peak_kib();
	wall[0] = now(CLOCK_MONOTONIC);
	cpu[0] = now(CLOCK_THREAD_CPUTIME_ID);
	bytes = read_all(t, h);
	wall[1] = now(CLOCK_MONOTONIC);
	cpu[1] = now(CLOCK_THREAD_CPUTIME_ID);
	if (heaps_walk(h, HEAP_ALL, add, &s, &e) < 0)
		return e.status;
	wall[2] = now(CLOCK_MONOTONIC);
	cpu[2] = now(CLOCK_THREAD_CPUTIME_ID);
	printf("{\"how\": \"%s\", \"bytes\": %llu, \"blocks\": %llu, \"busy_bytes\": %llu, ",
	       target_kind_name(target_how(t)->kind), (unsigned long long)bytes,
	       (unsigned long long)s.blocks, (unsigned long long)s.bytes);
	printf("\"read_s\": %.3f, \"walk_s\": %.3f, \"read_cpu_s\": %.3f, \"walk_cpu_s\": %.3f, ",
	       wall[1] - wall[0], wall[2] - wall[1], cpu[1] - cpu[0], cpu[2] - cpu[1]);
	printf("\"ratio\": %.2f, \"cpu_ratio\": %.2f, \"walker_kib\": %ld}\n",
	       (wall[2] - wall[1]) / (wall[1] - wall[0]), (cpu[2] - cpu[1]) / (cpu[1] - cpu[0]),
	       peak_kib() - before);
	heaps_free(h);
	target_close(t);
	return EXIT_DONE;
}
