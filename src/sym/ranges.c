/* Disjoint ranges out of overlapping ones: a sweep over the starts with a heap of what is open. */
#include "sym/ranges.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"

struct heap {
	struct range *items;
	size_t nr, cap;
};

void ranges_release(struct ranges *r)
{
	if (!r)
		return;
	free(r->items);
	*r = (struct ranges){0};
}

void ranges_add(struct ranges *r, uint64_t lo, uint64_t hi, uint64_t weight, uint32_t id)
{
	struct range range = {.lo = lo, .hi = hi, .weight = weight, .id = id};

	if (hi <= lo || r->nr >= UINT32_MAX / 2)
		return;
	range.order = (uint32_t)r->nr;
	ARRAY_PUSH(r->items, r->nr, r->cap, range);
}

static bool wins(const struct range *a, const struct range *b)
{
	if (a->weight != b->weight)
		return a->weight > b->weight;
	if (a->hi - a->lo != b->hi - b->lo)
		return a->hi - a->lo < b->hi - b->lo;
	return a->order > b->order;
}

static void swap(struct range *a, struct range *b)
{
	struct range t = *a;

	*a = *b;
	*b = t;
}

static void heap_push(struct heap *h, const struct range *range)
{
	size_t at = h->nr;

	ARRAY_PUSH(h->items, h->nr, h->cap, *range);
	while (at > 0 && wins(&h->items[at], &h->items[(at - 1) / 2])) {
		swap(&h->items[at], &h->items[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
}

static void heap_pop(struct heap *h)
{
	size_t at = 0;

	h->items[0] = h->items[--h->nr];
	for (;;) {
		size_t best = at, child = 2 * at + 1;

		if (child < h->nr && wins(&h->items[child], &h->items[best]))
			best = child;
		if (child + 1 < h->nr && wins(&h->items[child + 1], &h->items[best]))
			best = child + 1;
		if (best == at)
			return;
		swap(&h->items[at], &h->items[best]);
		at = best;
	}
}

static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->lo != y->lo)
		return x->lo < y->lo ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static void emit(struct ranges *out, const struct range *range, uint64_t lo, uint64_t hi)
{
	struct range *last = out->nr > 0 ? &out->items[out->nr - 1] : NULL;
	struct range cut = *range;

	if (last && last->order == range->order && last->hi == lo) {
		last->hi = hi;
		return;
	}
	cut.lo = lo;
	cut.hi = hi;
	ARRAY_PUSH(out->items, out->nr, out->cap, cut);
}

void ranges_flatten(struct ranges *r)
{
	struct ranges out = {0};
	struct heap open = {0};
	uint64_t pos = 0;
	size_t i = 0;

	if (r->nr > 0)
		qsort(r->items, r->nr, sizeof(*r->items), by_start);
	while (i < r->nr || open.nr > 0) {
		uint64_t end;

		if (open.nr == 0)
			pos = r->items[i].lo;
		while (i < r->nr && r->items[i].lo <= pos)
			heap_push(&open, &r->items[i++]);
		while (open.nr > 0 && open.items[0].hi <= pos)
			heap_pop(&open);
		if (open.nr == 0)
			continue;
		end = open.items[0].hi;
		if (i < r->nr && r->items[i].lo < end)
			end = r->items[i].lo;
		emit(&out, &open.items[0], pos, end);
		pos = end;
	}
	free(open.items);
	free(r->items);
	*r = out;
}

const struct range *ranges_find(const struct ranges *r, uint64_t addr)
{
	size_t lo = 0, hi = r->nr;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (addr < r->items[mid].lo)
			hi = mid;
		else if (addr >= r->items[mid].hi)
			lo = mid + 1;
		else
			return &r->items[mid];
	}
	return NULL;
}
