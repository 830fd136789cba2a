/*
 * A program with an allocator of its own in the same file, so that the compiler knows which
 * registers that leaves alone (gcc -fipa-ra) and keeps numbers in them across the calls.
 *
 * attach_own    prints "ready"; a line of input ends it, with how many results were wrong
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define ROOM (1u << 20)

static _Alignas(64) char room[ROOM];
static size_t used;
static volatile uint64_t rounds, wrong;
static volatile bool over;

NOINLINE void *malloc(size_t bytes)
{
	size_t whole = (bytes + 63) & ~(size_t)63, at = used;

	if (whole > ROOM)
		return NULL;
	if (at + whole > ROOM)
		at = 0;
	used = at + whole;
	return room + at;
}

NOINLINE void free(void *p)
{
	if (p)
		*(volatile char *)p = 0;
}

NOINLINE void *calloc(size_t nr, size_t bytes)
{
	char *p = malloc(nr * bytes);

	for (size_t i = 0; p && i < nr * bytes; i++)
		((volatile char *)p)[i] = 0;
	return p;
}

NOINLINE void *realloc(void *old, size_t bytes)
{
	volatile char *p = malloc(bytes);

	for (size_t i = 0; p && old && i < bytes && i < 64; i++)
		p[i] = ((char *)old)[i];
	return (void *)p;
}

NOINLINE int posix_memalign(void **ret, size_t align, size_t bytes)
{
	if (align > 64)
		return 22;
	*ret = malloc(bytes);
	return 0;
}

NOINLINE static uint64_t numbers(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
				 uint64_t f)
{
	volatile char *p = malloc(64);
	uint64_t sum = a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f;

	*p = 1;
	p = realloc((void *)p, 100);
	free((void *)p);
	return sum + a * f + b * e + c * d;
}

NOINLINE static double fractions(double a, double b, double c, double d, double e, double f)
{
	volatile char *p = malloc(64);
	double sum = a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f;

	*p = 1;
	free((void *)p);
	return sum + a * f + b * e + c * d;
}

static void *work(void *context)
{
	volatile uint64_t start = 1;
	volatile double real = 1;

	while (!over) {
		uint64_t n = start;
		double x = real;

		/* 91 + 6 + 10 + 12 */
		wrong += numbers(n, n + 1, n + 2, n + 3, n + 4, n + 5) != 119;
		wrong += fractions(x, x + 1, x + 2, x + 3, x + 4, x + 5) != 119;
		rounds++;
	}
	return context;
}

/* Not by stdio, which allocates at the same time. */
int main(void)
{
	char text[64];
	pthread_t thread;

	if (write(STDOUT_FILENO, "ready\n", 6) != 6 || pthread_create(&thread, NULL, work, NULL))
		return 2;
	if (read(STDIN_FILENO, text, 1) < 0)
		return 2;
	over = true;
	pthread_join(thread, NULL);
	snprintf(text, sizeof(text), "%llu of %llu\n", (unsigned long long)wrong,
		 (unsigned long long)(rounds != 0));
	return write(STDOUT_FILENO, text, 7) == 7 ? 0 : 2;
}
