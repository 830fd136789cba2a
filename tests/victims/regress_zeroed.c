/* calloc and aligned forms, which some C libraries make of their own malloc: each counts once. */
#include <stdlib.h>

#include "truth.h"

#define BLOCKS 100

static NOINLINE void zeroed(void)
{
	struct truth_site *s = truth_at(__func__);

	for (size_t i = 0; i < BLOCKS; i++)
		truth_born(s, calloc(opaque(1), 40 + i), 40 + i);
}

static NOINLINE void aligned(void)
{
	struct truth_site *s = truth_at(__func__);
	void *p;

	for (size_t i = 0; i < BLOCKS; i++) {
		p = NULL;
		truth_check(posix_memalign(&p, 64, 100 + i) == 0, "aligned memory can be had");
		truth_born(s, p, 100 + i);
	}
}

static NOINLINE void grown(void)
{
	struct truth_site *s = truth_at(__func__);

	for (size_t i = 0; i < BLOCKS; i++) {
		void *p = truth_born(s, calloc(opaque(1), 40 + i), 40 + i);

		truth_died(s, 40 + i);
		truth_born(s, realloc(p, 3000 + i), 3000 + i);
	}
}

int main(void)
{
	zeroed();
	aligned();
	grown();
	truth_print("zeroed", "end");
	return truth_status();
}
