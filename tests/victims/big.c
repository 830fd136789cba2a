/*
 * Blocks of all orders of magnitude, the sizes at which a compact table must change its form among
 * them. Their pages are never touched, so this costs address space only.
 */
#include <stdlib.h>

#include "truth.h"

static const size_t sizes[] = {
	65535,	  65536,     131071,   131072,	   131073,     262142,	   262143,
	262144,	  262145,    524287,   524288,	   1048575,    1048576,	   16777215,
	16777216, 268435456, 1u << 30, 2147483647, 2147483648, 2147483649,
};

static NOINLINE void hold_big(void)
{
	struct truth_site *s = truth_at(__func__);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		truth_check(truth_born(s, malloc(opaque(sizes[i])), sizes[i]) != NULL,
			    "a big block can be had");
}

static NOINLINE void free_big(void)
{
	struct truth_site *s = truth_at(__func__);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		void *p = truth_born(s, malloc(opaque(sizes[i])), sizes[i]);

		if (p)
			truth_died(s, sizes[i]);
		free(p);
	}
}

/* One block that is resized to every size, up and then down; it ends small. */
static NOINLINE void resize_big(void)
{
	struct truth_site *s = truth_at(__func__);
	size_t count = sizeof(sizes) / sizeof(sizes[0]), size = 100;
	void *p = truth_born(s, malloc(opaque(size)), size), *moved;

	for (size_t i = 0; i < 2 * count; i++) {
		size_t next = sizes[i < count ? i : 2 * count - 1 - i];

		moved = truth_born(s, realloc(p, opaque(next)), next);
		if (!moved)
			continue;
		truth_died(s, size);
		p = moved;
		size = next;
	}
	truth_born(s, realloc(p, opaque(300)), 300);
	truth_died(s, size);
}

static NOINLINE void align_big(void)
{
	struct truth_site *s = truth_at(__func__);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		void *p = truth_born(s, aligned_alloc(opaque(65536), opaque(sizes[i])), sizes[i]);

		truth_check(p && (uintptr_t)p % 65536 == 0, "a big block can be aligned");
		if (!p || i % 2)
			continue;
		truth_died(s, sizes[i]);
		free(p);
	}
}

int main(int argc, char **argv)
{
	hold_big();
	free_big();
	resize_big();
	align_big();
	truth_print("big", "end");
	truth_wait(argc, argv);
	return truth_status();
}
