/* Ways out of a function that pass by free(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "leaks.h"

static volatile int zero; /* the compiler does not know that it is */

static int early(int bad)
{
	char *p = malloc(120);

	memset(p, 1, 120);
	if (zero == 0 && bad)
		return -1;
	free(p);
	return 0;
}

CASE(early_return)
{
	early(bad);
}

CASE(overwritten)
{
	char *p = malloc(50);

	leak_touch(p);
	if (!bad)
		free(p);
	p = malloc(60);
	leak_touch(p);
	free(p);
}

CASE(overwritten_in_loop)
{
	char *p = NULL;

	for (int i = 0; i < 5; i++) {
		if (!bad)
			free(p);
		p = malloc(32);
		leak_touch(p);
	}
	free(p);
}

CASE(goto_passes_by)
{
	char *p = malloc(64), *q = malloc(65);

	leak_touch(p);
	if (zero == 0 && bad)
		goto out;
	free(p);
out:
	free(q);
}

CASE(switch_without_default)
{
	char *p = malloc(66);

	leak_touch(p);
	switch (bad ? 7 : 1) {
	case 1:
	case 2:
		free(p);
		break;
	}
}

CASE(condition_is_wrong)
{
	char *p = malloc(67);

	leak_touch(p);
	if (zero != bad)
		p = NULL;
	free(p);
}

static char *give(void)
{
	return strdup("whoever calls owns this");
}

CASE(result_ignored)
{
	char *p = give();

	if (!bad)
		free(p);
}

static void fill(char **ret)
{
	*ret = malloc(88);
}

CASE(out_parameter)
{
	char *p;

	fill(&p);
	if (!bad)
		free(p);
}

static void with_block(void (*then)(void *block, int bad), int bad)
{
	then(malloc(99), bad);
}

static void take(void *block, int bad)
{
	leak_touch(block);
	if (!bad)
		free(block);
}

CASE(callback)
{
	with_block(take, bad);
}

static void descend(int depth, int bad)
{
	char *p = malloc(16 + (size_t)depth);

	leak_touch(p);
	if (depth)
		descend(depth - 1, bad);
	if (!bad || depth % 2)
		free(p);
}

CASE(recursion)
{
	descend(9, bad);
}

static void free_all(int nr, ...)
{
	va_list blocks;

	va_start(blocks, nr);
	for (int i = 0; i < nr; i++)
		free(va_arg(blocks, void *));
	va_end(blocks);
}

CASE(variable_arguments)
{
	free_all(bad ? 2 : 3, malloc(10), malloc(200), malloc(300));
}

static jmp_buf back;

static void jump(int bad)
{
	char *p = malloc(111);

	leak_touch(p);
	if (!bad)
		free(p);
	longjmp(back, 1);
}

CASE(jumped_over)
{
	if (setjmp(back) == 0)
		jump(bad);
	memset(&back, 0, sizeof(back));
}

CASE(left_the_loop)
{
	for (int i = 0; i < 4; i++) {
		char *p = malloc(48);

		leak_touch(p);
		if (i == 2 && bad)
			break;
		free(p);
	}
}

CASE(swapped)
{
	char *a = malloc(41), *b = malloc(42);

	leak_touch(a);
	leak_touch(b);
	if (!bad) {
		char *swap = a;

		a = b;
		b = swap;
	} else {
		a = b;
	}
	free(a);
	if (a != b)
		free(b);
}
