/*
 * A heap for leak scans: N blocks of 32 to 192 bytes, each pointing to two others at random, about
 * three quarters of them reachable from a thousand variables. Prints "blocks N bytes N", then waits
 * for the end of its input; built with LeakSanitizer and given --check it lets that look first and
 * prints "lsan_ns N N": for how long everything stood still, and what the processor had to do.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#define ROOTS 1000

int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

static void **volatile roots[ROOTS];

static uint64_t seed = 88172645463325252ull;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* What is only needed for the building lies where no leak scan looks, and goes. */
static void build(size_t nr)
{
	size_t bytes = nr * sizeof(void *), sum = 0;
	void ***blocks =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (blocks == MAP_FAILED)
		exit(1);
	for (size_t i = 0; i < nr; i++) {
		size_t size = 24 + next_random() % 11 * 16;

		blocks[i] = calloc(1, size);
		sum += size;
	}
	for (size_t i = 0; i < nr; i++) {
		for (int k = 0; k < 2; k++)
			blocks[i][k] = next_random() % 100 < 93 ? blocks[next_random() % nr] : NULL;
	}
	for (size_t i = 0; i < ROOTS; i++)
		roots[i] = blocks[next_random() % nr];
	munmap(blocks, bytes);
	printf("blocks %zu bytes %zu\n", nr, sum);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t used_ns(int who)
{
	struct rusage use;

	getrusage(who, &use);
	return ((uint64_t)use.ru_utime.tv_sec + (uint64_t)use.ru_stime.tv_sec) * 1000000000u +
	       ((uint64_t)use.ru_utime.tv_usec + (uint64_t)use.ru_stime.tv_usec) * 1000u;
}

/* LeakSanitizer looks from a child that shares its memory. */
static uint64_t cpu_ns(void)
{
	return used_ns(RUSAGE_SELF) + used_ns(RUSAGE_CHILDREN);
}

int main(int argc, char **argv)
{
	char line[16];

	if (argc < 2)
		return 2;
	build(strtoul(argv[1], NULL, 10));
	if (argc > 2 && strcmp(argv[2], "--check") == 0 && __lsan_do_recoverable_leak_check) {
		uint64_t began = now_ns(), cpu_began = cpu_ns();

		__lsan_do_recoverable_leak_check();
		printf("lsan_ns %" PRIu64 " %" PRIu64 "\n", now_ns() - began, cpu_ns() - cpu_began);
	}
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		;
	_Exit(0);
}
