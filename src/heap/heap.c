/*
 * Heaps of a target as a list: asks every allocator of the registry, puts their spans in order and
 * finds the heap of an address. What is done with the blocks is in walk.c.
 */
#include "heap/heap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "heap/heaps.h"
#include "heap/registry.h"
#include "target/target.h"

static int compare_spans(const void *a, const void *b)
{
	const struct heap_span *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

/* Ascending, not one inside another: what hostile bytes put askew is left out and said. */
static void sort_spans(struct heap *heap)
{
	size_t kept = 0;

	if (heap->nr_spans == 0)
		return;
	qsort(heap->spans, heap->nr_spans, sizeof(*heap->spans), compare_spans);
	for (size_t i = 0; i < heap->nr_spans; i++) {
		if (kept && heap->spans[i].start < heap->spans[kept - 1].end) {
			heap->flags |= HEAP_SUSPECT;
			if (!heap->fault[0]) {
				heap->fault_addr = heap->spans[i].start;
				snprintf(heap->fault, sizeof(heap->fault),
					 "two pieces of the heap overlap");
			}
			continue;
		}
		heap->spans[kept++] = heap->spans[i];
	}
	heap->nr_spans = kept;
}

static void index_spans(struct span_index *index, const struct heap *heap)
{
	for (size_t i = 0; i < heap->nr_spans; i++)
		ARRAY_PUSH(index->items, index->nr, index->cap, heap->spans[i]);
}

static void index_sort(struct span_index *index)
{
	if (index->nr)
		qsort(index->items, index->nr, sizeof(*index->items), compare_spans);
}

static const struct heap_span *index_find(const struct span_index *index, uint64_t addr)
{
	size_t low = 0, high = index->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (index->items[middle].start <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || addr >= index->items[low - 1].end)
		return NULL;
	return &index->items[low - 1];
}

/* A heap inside another one's spans: its bytes are counted there already. */
static void place_sub_heap(struct heaps *h, struct heap *heap)
{
	const struct heap_span *around;

	if (heap->nr_spans == 0)
		return;
	around = index_find(&h->outer, heap->spans[0].start);
	if (!around || around->end < heap->spans[0].end)
		return;
	heap->flags |= HEAP_NESTED;
	if (heap->parent == SIZE_MAX)
		heap->parent = around->heap;
}

static void sum_spans(struct heap *heap)
{
	heap->figures.reserved_bytes = 0;
	heap->figures.committed_bytes = 0;
	for (size_t i = 0; i < heap->nr_spans; i++) {
		const struct heap_span *s = &heap->spans[i];

		heap->figures.reserved_bytes += s->end - s->start;
		heap->figures.committed_bytes += s->committed_end - s->start;
	}
}

static void settle(struct heaps *h)
{
	for (size_t i = 0; i < h->nr; i++) {
		struct heap *heap = &h->items[i];

		sort_spans(heap);
		sum_spans(heap);
		if (heap->kind != HEAP_SUB)
			index_spans(&h->outer, heap);
	}
	index_sort(&h->outer);
	for (size_t i = 0; i < h->nr; i++) {
		struct heap *heap = &h->items[i];

		if (heap->kind == HEAP_SUB) {
			place_sub_heap(h, heap);
			index_spans(&h->nested, heap);
		}
		h->found[i].flags = heap->flags;
		h->found[i].fault_addr = heap->fault_addr;
		memcpy(h->found[i].fault, heap->fault, sizeof(heap->fault));
	}
	index_sort(&h->nested);
}

int heaps_find_with(struct target *t, const struct heap_ops *const *ops, struct heaps **ret,
		    struct error *e)
{
	struct heaps *h = mem_alloc(sizeof(*h));
	int err;

	h->target = t;
	for (; *ops; ops++) {
		struct provider p = {.ops = *ops};

		ARRAY_PUSH(h->providers, h->nr_providers, h->cap_providers, p);
		err = (*ops)->find(h, &p.state, e);
		h->providers[h->nr_providers - 1].state = p.state;
		if (err < 0) {
			heaps_free(h);
			return err;
		}
	}
	settle(h);
	*ret = h;
	return 0;
}

int heaps_find(struct target *t, struct heaps **ret, struct error *e)
{
	return heaps_find_with(t, heap_registry, ret, e);
}

void heaps_free(struct heaps *h)
{
	if (!h)
		return;
	for (size_t i = 0; i < h->nr_providers; i++)
		if (h->providers[i].state && h->providers[i].ops->free_state)
			h->providers[i].ops->free_state(h->providers[i].state);
	for (size_t i = 0; i < h->nr; i++) {
		free(h->items[i].spans);
		free(h->items[i].tids);
	}
	free(h->providers);
	free(h->items);
	free(h->found);
	free(h->outer.items);
	free(h->nested.items);
	free(h->verdicts);
	free(h->own);
	free(h);
}

void heaps_add_own(struct heaps *h, uint64_t start, uint64_t end)
{
	if (start < end)
		ARRAY_PUSH(h->own, h->nr_own, h->cap_own, ((struct heap_own){start, end}));
}

void heaps_set_idle(struct heaps *h, const char *name)
{
	h->idle = name;
}

bool heaps_is_idle(const struct heaps *h)
{
	return h->idle != NULL;
}

const struct heap_own *heaps_own(const struct heaps *h, size_t *ret_nr)
{
	*ret_nr = h->nr_own;
	return h->own;
}

size_t heaps_nr(const struct heaps *h)
{
	return h->nr;
}

const struct heap *heaps_get(const struct heaps *h, size_t i)
{
	return &h->items[i];
}

const char *heaps_allocator(const struct heaps *h)
{
	const char *best = h->idle ? h->idle : "";
	uint64_t most = 0;

	for (size_t i = 0; i < h->nr; i++) {
		const struct heap *a = &h->items[i];
		uint64_t bytes = 0;

		for (size_t k = 0; k < h->nr; k++)
			if (h->found[k].provider == h->found[i].provider &&
			    !(h->items[k].flags & HEAP_NESTED))
				bytes += h->items[k].figures.committed_bytes;
		if (a->kind != HEAP_UNKNOWN && !(a->flags & HEAP_NESTED) && bytes > most) {
			most = bytes;
			best = a->allocator;
		}
	}
	return best;
}

struct target *heaps_target(struct heaps *h)
{
	return h->target;
}

struct heap *heaps_add(struct heaps *h, const struct heap_ops *ops, enum heap_kind kind,
		       size_t *ret_index)
{
	struct heap heap = {.kind = kind, .allocator = ops->allocator, .parent = SIZE_MAX};
	struct found found = {.provider = h->nr_providers - 1};
	size_t nr = h->nr;

	ARRAY_PUSH(h->found, nr, h->cap_found, found);
	*ret_index = h->nr;
	ARRAY_PUSH(h->items, h->nr, h->cap, heap);
	return &h->items[*ret_index];
}

struct heap *heaps_at(struct heaps *h, size_t i)
{
	return &h->items[i];
}

void heap_add_span(struct heap *heap, size_t index, uint64_t start, uint64_t committed_end,
		   uint64_t end)
{
	struct heap_span span = {.start = start,
				 .committed_end = committed_end,
				 .end = end,
				 .heap = (uint32_t)index};

	if (end <= start)
		return;
	if (span.committed_end > end)
		span.committed_end = end;
	if (span.committed_end < start)
		span.committed_end = start;
	ARRAY_PUSH(heap->spans, heap->nr_spans, heap->cap_spans, span);
}

void heap_add_tid(struct heap *heap, int32_t tid)
{
	for (size_t i = 0; i < heap->nr_tids; i++)
		if (heap->tids[i] == tid)
			return;
	ARRAY_PUSH(heap->tids, heap->nr_tids, heap->cap_tids, tid);
}

size_t heaps_find_heap(const struct heaps *h, uint64_t addr)
{
	const struct heap_span *s = index_find(&h->nested, addr);

	if (!s)
		s = index_find(&h->outer, addr);
	return s ? s->heap : HEAP_ALL;
}

void heaps_describe(struct heaps *h, const struct heap_block *block, struct str *out)
{
	const struct provider *p;

	if (block->heap >= h->nr)
		return;
	p = &h->providers[h->found[block->heap].provider];
	if (p->ops->describe)
		p->ops->describe(h, p->state, block, out);
}

void heaps_in_hand(struct heaps *h, heap_hand take, void *context)
{
	for (size_t i = 0; i < h->nr_providers; i++)
		if (h->providers[i].state && h->providers[i].ops->in_hand)
			h->providers[i].ops->in_hand(h, h->providers[i].state, take, context);
}
