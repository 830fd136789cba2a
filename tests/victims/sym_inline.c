/*
 * Tells where it has been called from: each note() prints its label and its return address as an
 * address of the file. The test knows from the marks ("at: …") which functions and lines belong
 * there. With an argument it stays afterwards, until its standard input ends.
 */
#define _GNU_SOURCE
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int find_bias(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	*(uintptr_t *)arg = info->dlpi_addr;
	return 1; /* the program itself comes first */
}

static uintptr_t bias(void)
{
	uintptr_t value = 0;

	dl_iterate_phdr(find_bias, &value);
	return value;
}

__attribute__((noinline)) void note(const char *label)
{
	printf("%s %#lx\n", label,
	       (unsigned long)((uintptr_t)__builtin_return_address(0) - bias()));
}

static inline __attribute__((always_inline)) int *make_cell(int value)
{
	int *cell = malloc(sizeof(*cell));

	note("cell"); /* at: cell */
	*cell = value;
	return cell;
}

static inline __attribute__((always_inline)) int make_row(int width)
{
	int i, sum = 0;

	for (i = 0; i < width; i++) {
		int *cell = make_cell(i); /* at: row */

		sum += *cell;
		free(cell);
	}
	return sum;
}

__attribute__((noinline)) int make_table(int rows)
{
	int sum = make_row(rows); /* at: table */

	note("table"); /* at: plain */
	return sum + 1;
}

int main(int argc, char **argv)
{
	int sum;

	(void)argv;
	printf("bias %#lx\n", (unsigned long)bias());
	sum = make_table(argc); /* at: main */
	note("main");		/* at: main-note */
	fflush(stdout);
	while (argc > 1 && getchar() != EOF) /* stays until its input ends */
		;
	return sum > 1000;
}
