/*
 * Visiting the blocks of heaps: hands each one to the visitor, keeps one account for all
 * allocators, and notes which checks hold.
 *
 * The account closes by construction: bytes of a span that no block covered are overhead, and the
 * verdict "bytes in blocks = bytes committed" tells how many they were.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "heap/heaps.h"
#include "target/target.h"

struct walk {
	struct heaps *heaps;
	heap_visit visit;
	void *context;
	size_t heap;	/* the one that is walked; SIZE_MAX: none (finish) */
	size_t span;	/* where the last block was */
	uint64_t reach; /* end of the last block in that span */
	uint64_t covered;
	bool residency; /* can be asked for */
	uint64_t page;
	int stopped; /* what the visitor returned */
	bool keep_verdicts;
};

static const struct heap_span *span_at(const struct heap *heap, size_t *cursor, uint64_t addr)
{
	size_t low = 0, high = heap->nr_spans;

	if (*cursor < heap->nr_spans && addr >= heap->spans[*cursor].start &&
	    addr < heap->spans[*cursor].end)
		return &heap->spans[*cursor];
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (heap->spans[middle].start <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || addr >= heap->spans[low - 1].end)
		return NULL;
	*cursor = low - 1;
	return &heap->spans[low - 1];
}

/* What of a block lies in whole pages, and how much of that is in memory. */
struct pages {
	uint64_t bytes, resident_bytes;
	bool known; /* resident_bytes is */
};

/* From the block itself on: its header's page is never given back. */
static struct pages pages_of(struct walk *w, const struct heap_block *b)
{
	uint64_t from = b->state == BLOCK_OVERHEAD ? b->start : b->addr;
	uint64_t start = (from + w->page - 1) & ~(w->page - 1);
	uint64_t end = (b->start + b->total) & ~(w->page - 1);
	struct target_residency r;
	struct pages p = {0};

	if (start < from || start >= end)
		return p;
	p.bytes = end - start;
	p.known = w->residency && target_residency(w->heaps->target, start, end, &r) == 0;
	if (p.known)
		p.resident_bytes = r.resident_bytes < p.bytes ? r.resident_bytes : p.bytes;
	return p;
}

static void add_pages(struct walk *w, struct heap_figures *f, const struct heap_block *b)
{
	struct pages p = {0};

	if (b->total >= w->page)
		p = pages_of(w, b);
	switch (b->state) {
	case BLOCK_FREE:
	case BLOCK_TOP:
		f->free_page_bytes += p.bytes;
		f->free_resident_bytes += p.resident_bytes;
		break;
	case BLOCK_BUSY:
	case BLOCK_INTERNAL:
		f->busy_absent_bytes += p.known ? p.bytes - p.resident_bytes : 0;
		break;
	case BLOCK_OVERHEAD:
		f->overhead_absent_bytes += p.known ? p.bytes - p.resident_bytes : 0;
		break;
	default:
		break;
	}
}

static void account(struct walk *w, struct heap *heap, const struct heap_block *b)
{
	struct heap_figures *f = &heap->figures;
	uint64_t size = b->size < b->total ? b->size : b->total;

	switch (b->state) {
	case BLOCK_INTERNAL:
		f->internal_blocks++;
		f->internal_bytes += size;
		/* fall through */
	case BLOCK_BUSY:
		f->busy_blocks++;
		f->busy_bytes += size;
		break;
	case BLOCK_CACHED:
		f->cached_blocks++;
		f->cached_bytes += size;
		break;
	case BLOCK_TOP:
		f->top_bytes += size;
		/* fall through */
	case BLOCK_FREE:
		f->free_blocks++;
		f->free_bytes += size;
		if (size > f->largest_free_bytes)
			f->largest_free_bytes = size;
		break;
	default:
		size = 0;
		break;
	}
	f->overhead_bytes += b->total - size;
	add_pages(w, f, b);
}

int walk_emit(struct walk *w, const struct heap_block *b)
{
	struct heap *heap = &w->heaps->items[w->heap];
	size_t cursor = w->span;
	const struct heap_span *s = span_at(heap, &cursor, b->start);
	int r;

	if (b->heap != w->heap || !s || cursor < w->span || b->total == 0 ||
	    b->total > s->committed_end - b->start || b->start >= s->committed_end) {
		walk_fault(w, w->heap, b->start, "a block of %llu bytes reaches outside its heap",
			   (unsigned long long)b->total);
		return 0;
	}
	if (cursor != w->span)
		w->reach = s->start;
	if (b->start < w->reach) {
		walk_fault(w, w->heap, b->start, "a block lies over the one before it");
		return 0;
	}
	w->span = cursor;
	w->reach = b->start + b->total;
	w->covered += b->total;
	account(w, heap, b);
	r = w->visit ? w->visit(w->context, b) : 0;
	if (r)
		w->stopped = r;
	return r;
}

struct heaps *walk_heaps(struct walk *w)
{
	return w->heaps;
}

void walk_fault(struct walk *w, size_t heap, uint64_t addr, const char *format, ...)
{
	struct heap *h;
	va_list args;

	if (heap >= w->heaps->nr)
		return;
	h = &w->heaps->items[heap];
	h->flags |= HEAP_SUSPECT;
	if (h->fault[0])
		return;
	h->fault_addr = addr;
	va_start(args, format);
	vsnprintf(h->fault, sizeof(h->fault), format, args);
	va_end(args);
}

void walk_verdict(struct walk *w, const char *what, size_t heap, uint64_t expected, uint64_t found)
{
	struct heap_verdict v = {.what = what, .heap = heap, .expected = expected, .found = found};
	struct heaps *h = w->heaps;

	if (w->keep_verdicts)
		ARRAY_PUSH(h->verdicts, h->nr_verdicts, h->cap_verdicts, v);
	if (expected != found && heap < h->nr)
		walk_fault(w, heap, 0, "%s: %llu expected, %llu found", what,
			   (unsigned long long)expected, (unsigned long long)found);
}

/* As find() left it. */
static void begin_heap(struct heaps *h, size_t i)
{
	struct heap *heap = &h->items[i];
	const struct found *found = &h->found[i];
	struct heap_figures sizes = {.reserved_bytes = heap->figures.reserved_bytes,
				     .committed_bytes = heap->figures.committed_bytes};

	heap->figures = sizes;
	heap->flags = found->flags;
	heap->fault_addr = found->fault_addr;
	memcpy(heap->fault, found->fault, sizeof(heap->fault));
}

static bool add_residency(struct heaps *h, struct heap *heap)
{
	struct heap_figures *f = &heap->figures;

	for (size_t i = 0; i < heap->nr_spans; i++) {
		const struct heap_span *s = &heap->spans[i];
		struct target_residency r = {0};

		if (s->committed_end == s->start)
			continue;
		if (target_residency(h->target, s->start, s->committed_end, &r) < 0) {
			f->resident_bytes = f->swapped_bytes = 0;
			return false;
		}
		f->resident_bytes += r.resident_bytes;
		f->swapped_bytes += r.swapped_bytes;
	}
	heap->flags |= HEAP_HAS_RESIDENCY;
	return true;
}

static int walk_heap(struct walk *w, size_t i)
{
	struct heaps *h = w->heaps;
	struct heap *heap = &h->items[i];
	const struct provider *p = &h->providers[h->found[i].provider];
	int err;

	begin_heap(h, i);
	w->heap = i;
	w->span = 0;
	w->reach = heap->nr_spans ? heap->spans[0].start : 0;
	w->covered = 0;
	w->residency = add_residency(h, heap);
	if (!(heap->flags & HEAP_HAS_BLOCKS) || !p->ops->walk)
		return 0;
	err = p->ops->walk(w, p->state, i);
	if (err)
		return err;
	heap->figures.overhead_bytes += heap->figures.committed_bytes - w->covered;
	walk_verdict(w, "bytes in blocks = bytes committed", i, heap->figures.committed_bytes,
		     w->covered);
	return 0;
}

static void finish(struct walk *w)
{
	w->heap = SIZE_MAX;
	for (size_t i = 0; i < w->heaps->nr_providers; i++) {
		const struct provider *p = &w->heaps->providers[i];

		if (p->ops->finish && p->state)
			p->ops->finish(w, p->state);
	}
}

int heaps_walk(struct heaps *h, size_t which, heap_visit visit, void *context, struct error *e)
{
	struct walk w = {.heaps = h,
			 .visit = visit,
			 .context = context,
			 .page = (uint64_t)sysconf(_SC_PAGESIZE),
			 .keep_verdicts = which == HEAP_ALL};
	size_t first = which == HEAP_ALL ? 0 : which;
	size_t last = which == HEAP_ALL ? h->nr : which + 1;

	if (w.keep_verdicts)
		h->nr_verdicts = 0;
	for (size_t i = first; i < last && i < h->nr; i++) {
		int err = walk_heap(&w, i);

		if (w.stopped)
			return w.stopped;
		if (err)
			return error_set(e, err, EXIT_TARGET, "cannot read the heap: %s",
					 error_strerror(err));
	}
	if (which == HEAP_ALL)
		finish(&w);
	return 0;
}

const struct heap_verdict *heaps_verdicts(const struct heaps *h, size_t *ret_nr)
{
	*ret_nr = h->nr_verdicts;
	return h->verdicts;
}

struct wanted {
	uint64_t addr;
	bool found;
	struct heap_block block;
};

static int see(void *context, const struct heap_block *b)
{
	struct wanted *wanted = context;

	if (wanted->addr < b->start || wanted->addr - b->start >= b->total)
		return 0;
	wanted->block = *b;
	wanted->found = true;
	return 1;
}

int heaps_find_block(struct heaps *h, uint64_t addr, struct heap_block *ret)
{
	struct wanted wanted = {.addr = addr};
	size_t which = heaps_find_heap(h, addr);
	struct heap before;
	int err;

	if (which == HEAP_ALL)
		return -ENOENT;
	before = h->items[which];
	err = heaps_walk(h, which, see, &wanted, NULL);
	h->items[which] = before; /* the figures of a walk cut short are of no use */
	if (err < 0)
		return err;
	if (!wanted.found)
		return -ENOENT;
	*ret = wanted.block;
	return 0;
}
