/* Which heaps lie in which regions: one sweep over regions and spans together. */
#include <stdlib.h>

#include "base/mem.h"
#include "model/regions.h"
#include "model/snapshot.h"

/* Spans that reach beyond the region they began in: as deep as heaps are nested. */
#define OPEN_MAX 64

struct sweep {
	const struct snapshot *s;
	size_t next; /* span */
	size_t open[OPEN_MAX];
	size_t nr_open;
	uint64_t *bytes; /* of the region at hand, by heap */
	uint32_t *touched;
	size_t nr_touched;
	uint64_t covered_to; /* so that a nested span's bytes count once */
};

static void take_span(struct sweep *w, const struct heap_span *span, const struct region *r,
		      struct region_claim *claim)
{
	uint64_t from = span->start > r->start ? span->start : r->start;
	uint64_t to = span->end < r->end ? span->end : r->end;

	if (from >= to)
		return;
	if (w->bytes[span->heap] == 0)
		w->touched[w->nr_touched++] = span->heap;
	w->bytes[span->heap] += to - from;
	claim->spans++;
	if (from < w->covered_to)
		from = w->covered_to;
	if (from < to) {
		claim->bytes += to - from;
		w->covered_to = to;
	}
}

static void take_open(struct sweep *w, const struct region *r, struct region_claim *claim)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->nr_open; i++) {
		const struct heap_span *span = &w->s->spans[w->open[i]];

		if (span->end <= r->start)
			continue;
		take_span(w, span, r, claim);
		w->open[kept++] = w->open[i];
	}
	w->nr_open = kept;
}

static void take_new(struct sweep *w, const struct region *r, struct region_claim *claim)
{
	for (; w->next < w->s->nr_spans && w->s->spans[w->next].start < r->end; w->next++) {
		const struct heap_span *span = &w->s->spans[w->next];

		take_span(w, span, r, claim);
		if (span->end > r->end && w->nr_open < OPEN_MAX)
			w->open[w->nr_open++] = w->next;
	}
}

/* Of equals the one found last: the innermost. */
static void settle(struct sweep *w, struct region_claim *claim)
{
	uint64_t most = 0;

	claim->nr_heaps = (uint32_t)w->nr_touched;
	for (size_t i = 0; i < w->nr_touched; i++) {
		uint32_t heap = w->touched[i];

		if (w->bytes[heap] >= most) {
			most = w->bytes[heap];
			claim->heap = heap;
		}
		w->bytes[heap] = 0;
	}
	w->nr_touched = 0;
}

void regions_claims(const struct snapshot *s, struct region_claim *ret)
{
	struct sweep w = {.s = s};

	w.bytes = mem_alloc_array(s->nr_heaps, sizeof(*w.bytes));
	w.touched = mem_alloc_array(s->nr_heaps, sizeof(*w.touched));
	for (size_t i = 0; i < s->nr_regions; i++) {
		ret[i] = (struct region_claim){.heap = NO_INDEX};
		w.covered_to = 0;
		take_open(&w, &s->regions[i], &ret[i]);
		take_new(&w, &s->regions[i], &ret[i]);
		settle(&w, &ret[i]);
	}
	free(w.bytes);
	free(w.touched);
}
