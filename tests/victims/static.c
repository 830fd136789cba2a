/* Linked statically: no dynamic loader runs, so nothing can be preloaded. */
#include <stdlib.h>

#include "truth.h"

static NOINLINE void leak_statically(void)
{
	struct truth_site *s = truth_at(__func__);

	for (int i = 0; i < 25; i++)
		truth_born(s, malloc(opaque(50)), 50);
}

int main(int argc, char **argv)
{
	leak_statically();
	truth_print("static", "end");
	truth_wait(argc, argv);
	return truth_status();
}
