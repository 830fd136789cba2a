/* Runs one case; see leaks.h. */
#include "leaks.h"

#include <stdio.h>
#include <string.h>

#define DEEP 200000

static struct leak_case *cases;

void leak_case_add(struct leak_case *c)
{
	c->next = cases;
	cases = c;
}

void leak_touch(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

static __attribute__((noinline)) void run_deep(const struct leak_case *c, int bad)
{
	volatile char deep[DEEP];

	deep[0] = 0;
	c->run(bad);
	deep[DEEP - 1] = deep[0];
}

int main(int argc, char **argv)
{
	for (struct leak_case *c = cases; c; c = c->next) {
		if (argc == 2 && strcmp(argv[1], "list") == 0)
			puts(c->name);
		if (argc == 3 && strcmp(argv[1], c->name) == 0) {
			run_deep(c, strcmp(argv[2], "bad") == 0);
			return 0;
		}
	}
	return argc == 2 ? 0 : 2;
}
