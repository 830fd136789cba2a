/* Looking through the writable data of a target's modules; see scan.h. */
#include "heap/scan.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "target/maps.h"
#include "target/target.h"

#define PIECE ((size_t)256 << 10)
#define RANGE_MAX (4ull << 30) /* of one module's data */

static bool is_data(const struct map *m)
{
	return (m->prot & (MAP_READ | MAP_WRITE)) == (MAP_READ | MAP_WRITE) &&
	       !(m->prot & MAP_IS_SHARED);
}

bool scan_next_data(const struct target *t, struct scan_range *r)
{
	const struct maps *maps = target_maps(t);

	for (size_t i = r->next_map; i < maps->nr; i++) {
		const struct map *m = &maps->items[i];
		const struct target_module *module = target_find_module(t, m->start);

		if (!module || !is_data(m))
			continue;
		r->module = module;
		r->start = m->start;
		r->end = m->end < module->end ? m->end : module->end;
		for (i++; i < maps->nr && maps->items[i].start == r->end && r->end < module->end &&
			  is_data(&maps->items[i]);
		     i++)
			r->end =
				maps->items[i].end < module->end ? maps->items[i].end : module->end;
		r->next_map = i;
		return true;
	}
	r->next_map = maps->nr;
	return false;
}

bool scan_is_private(const struct target *t, uint64_t start, uint64_t end)
{
	const struct maps *maps = target_maps(t);
	const struct map *m = maps_find(maps, start);

	for (; m && m < maps->items + maps->nr; m++) {
		if (m->start > start || m->prot & MAP_IS_SHARED)
			return false;
		if (m->end >= end)
			return true;
		start = m->end;
	}
	return false;
}

bool scan_never_touched(struct target *t, uint64_t start, uint64_t end)
{
	struct target_residency r;

	return target_residency(t, start, end, &r) == 0 && r.resident_bytes == 0 &&
	       r.swapped_bytes == 0;
}

void scan_words_read(struct target *t, uint64_t start, uint64_t end, size_t max,
		     struct scan_words *out)
{
	uint8_t *bytes = mem_alloc(PIECE);

	start = (start + 7) & ~7ull;
	if (end > start && end - start > RANGE_MAX)
		end = start + RANGE_MAX;
	for (uint64_t at = start; at < end; at += PIECE) {
		size_t len = end - at < PIECE ? (size_t)(end - at) : PIECE;

		if (scan_never_touched(t, at, at + len))
			continue;
		len = target_read(t, at, bytes, len);
		for (size_t i = 0; i + 8 <= len && out->nr < max; i += 8) {
			struct scan_word w = {.addr = at + i};

			memcpy(&w.value, bytes + i, sizeof(w.value));
			if (w.value)
				ARRAY_PUSH(out->items, out->nr, out->cap, w);
		}
	}
	free(bytes);
}

void scan_words_release(struct scan_words *w)
{
	free(w->items);
	*w = (struct scan_words){0};
}

size_t scan_first(const struct scan_words *w, uint64_t addr)
{
	size_t low = 0, high = w->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (w->items[middle].addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
