/*
 * A program with two libraries whose first segment has an address of its own (-Ttext-segment, as
 * prelinked libraries have), the same for both: one is loaded there with bias 0, the other does not
 * begin at its bias. With LIBRARY: a library that has the function of this name.
 */
#include <stdlib.h>

#include "truth.h"

void *first_allocates(size_t size);
void *second_allocates(size_t size);

#ifdef LIBRARY

NOINLINE void *LIBRARY(size_t size)
{
	void *p = malloc(size);

	truth_touch(p);
	return p;
}

#else

int main(void)
{
	struct truth_site *first = truth_at("first_allocates"),
			  *second = truth_at("second_allocates");

	for (size_t i = 1; i <= 100; i++) {
		truth_born(first, first_allocates(i), i);
		truth_born(second, second_allocates(2 * i), 2 * i);
	}
	truth_print("text-segment", "end");
	return truth_status();
}

#endif
