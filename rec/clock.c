/* See clock.h. */
#include "clock.h"

#include <time.h>

#include "bytes.h"
#include "elf_image.h"

static int (*ask)(int clock, struct timespec *ret);

void clock_start(void)
{
	for (struct link_map *lm = elf_link_maps(); lm; lm = lm->l_next)
		if (lm->l_name && text_starts(lm->l_name, "linux-vdso"))
			ask = (int (*)(int, struct timespec *))elf_symbol(lm,
									  "__vdso_clock_gettime");
}

void clock_tick(struct wire_header *h)
{
	struct timespec ts;
	uint64_t ns;

	if (!ask || ask(CLOCK_MONOTONIC_COARSE, &ts))
		return;
	ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	if (ns > h->began_monotonic_ns)
		__atomic_store_n(&h->time_bits,
				 (uint64_t)wire_time_encode((ns - h->began_monotonic_ns) / 1000000)
					 << WIRE_SLOT_TIME_SHIFT,
				 __ATOMIC_RELAXED);
}
