/* See clock.h. */
#include "clock.h"

#include <time.h>

#include "bytes.h"
#include "elf_image.h"
#include "wire/marks.h"

static int (*ask)(int clock, struct timespec *ret);
static uint32_t is_ours;

void clock_find(void)
{
	for (struct link_map *lm = elf_link_maps(); lm; lm = lm->l_next)
		if (lm->l_name && text_starts(lm->l_name, "linux-vdso"))
			ask = (int (*)(int, struct timespec *))elf_symbol(lm,
									  "__vdso_clock_gettime");
}

void clock_start(void)
{
	is_ours = 1;
}

static uint64_t now_ns(int clock)
{
	struct timespec ts;

	if (!ask || ask(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t clock_now_ns(const struct wire_header *h)
{
	uint64_t ns = now_ns(CLOCK_MONOTONIC);

	return ns ? ns : wire_clock_ns(h);
}

void clock_tick(struct wire_header *h)
{
	uint64_t ns = is_ours ? now_ns(CLOCK_MONOTONIC_COARSE) : 0;

	if (ns > h->began_monotonic_ns)
		wire_clock_set(h, (ns - h->began_monotonic_ns) / 1000000);
}
