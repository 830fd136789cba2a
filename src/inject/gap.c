/*
 * See gap.h. The nearest gap below is taken first, towards its upper end. What lies right above a
 * heap or below a stack is left to them.
 */
#include "inject/gap.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "target/maps.h"

#define LOWEST UINT64_C(0x100000)
#define HIGHEST UINT64_C(0x7ffffffff000)
/* Room to grow: of the heap that brk moves, and of a stack. */
#define HEAP_ROOM (UINT64_C(1) << 30)
#define STACK_ROOM (UINT64_C(1) << 30)
#define GUARD UINT64_C(0x1000)
/* So far from the end of a large gap, which is where the next mapping will go. */
#define ASIDE (UINT64_C(128) << 20)

static bool is(const struct map *m, const char *name)
{
	return m && !strcmp(m->path, name);
}

/* What may be used of the gap between two mappings, either of which may be missing. */
static bool usable(const struct map *below, const struct map *above, uint64_t *ret_start,
		   uint64_t *ret_end)
{
	uint64_t start = below ? below->end + GUARD : LOWEST;
	uint64_t end = above ? above->start : HIGHEST;

	if (is(below, "[heap]"))
		start = below->end + HEAP_ROOM;
	if (is(above, "[stack]"))
		end = end > STACK_ROOM ? end - STACK_ROOM : 0;
	if (start < LOWEST)
		start = LOWEST;
	if (end > HIGHEST)
		end = HIGHEST;
	*ret_start = start;
	*ret_end = end;
	return start < end;
}

uint64_t gap_find(const struct maps *maps, uint64_t low, uint64_t high, uint64_t bytes,
		  uint64_t reach)
{
	uint64_t from = high > reach ? high - reach : 0, to = low + reach, below = 0, above = 0;

	for (size_t i = 0; i <= maps->nr; i++) {
		uint64_t start, end;

		if (!usable(i ? &maps->items[i - 1] : NULL, i < maps->nr ? &maps->items[i] : NULL,
			    &start, &end))
			continue;
		if (start < from)
			start = from;
		if (end > to)
			end = to;
		start = (start + 4095) & ~UINT64_C(4095);
		end &= ~UINT64_C(4095);
		if (start >= end || end - start < bytes)
			continue;
		if (end <= low)
			below = end - bytes - (end - start > 2 * ASIDE ? ASIDE : 0);
		else if (start > high && !above)
			above = start;
	}
	return below ? below : above;
}
