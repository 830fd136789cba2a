/* Blocks of allocators that cannot be walked; see extra_blocks.h. */
#include "heap/extra_blocks.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "heap/heap.h"
#include "model/snapshot.h"
#include "target/maps.h"
#include "target/target.h"

/*
 * Allocators give memory out by pages of their own, some of which are free: tcmalloc's are 8 KiB,
 * others' 64 KiB. What is further away may be another mapping, which the kernel has joined.
 */
#define HOLE_MAX ((uint64_t)192 << 10)
/* Where mimalloc asks for memory, and nobody else is (2.0, src/os.c: MI_HINT_BASE, MI_HINT_MAX). */
#define MIMALLOC_START ((uint64_t)2 << 40)
#define MIMALLOC_END ((uint64_t)30 << 40)

struct finder {
	const struct maps *maps;
	bool mimalloc;
	struct extra_range *walked; /* heaps that can be walked, ascending */
	size_t nr_walked, cap_walked;
	struct extra_blocks *x;
};

static int by_start(const void *a, const void *b)
{
	const struct extra_range *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static void collect_walked(struct finder *f, const struct heaps *h)
{
	for (size_t i = 0; i < heaps_nr(h); i++) {
		const struct heap *heap = heaps_get(h, i);

		if (!(heap->flags & HEAP_HAS_BLOCKS) || heap->flags & HEAP_NESTED)
			continue;
		for (size_t k = 0; k < heap->nr_spans; k++)
			ARRAY_PUSH(
				f->walked, f->nr_walked, f->cap_walked,
				((struct extra_range){heap->spans[k].start, heap->spans[k].end}));
	}
	if (f->nr_walked)
		qsort(f->walked, f->nr_walked, sizeof(*f->walked), by_start);
}

/* The first walked heap that ends beyond addr; NULL: none. */
static const struct extra_range *walked_after(const struct finder *f, uint64_t addr)
{
	size_t low = 0, high = f->nr_walked;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (f->walked[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < f->nr_walked ? &f->walked[low] : NULL;
}

static bool overlaps_walked(const struct finder *f, uint64_t start, uint64_t end)
{
	const struct extra_range *walked = walked_after(f, start);

	return walked && walked->start < end;
}

/* Is the mapping the allocator's as a whole? */
static bool is_whole(const struct finder *f, const struct map *m)
{
	if (strcmp(m->path, "[heap]") == 0)
		return true;
	return f->mimalloc && !m->inode && m->start >= MIMALLOC_START && m->end <= MIMALLOC_END;
}

/* Is all between the two addresses one mapping that an allocator may have all of? */
static bool is_one_piece(const struct finder *f, uint64_t from, uint64_t to)
{
	const struct map *m = maps_find(f->maps, from - 1);

	if (!m || to > m->end || overlaps_walked(f, from, to))
		return false;
	return to - from <= HOLE_MAX || is_whole(f, m);
}

static void add_block(struct finder *f, uint64_t addr, uint64_t size)
{
	struct extra_blocks *x = f->x;
	struct extra_range *last = x->nr_ranges ? &x->ranges[x->nr_ranges - 1] : NULL;
	uint64_t start = addr & ~(uint64_t)(EXTRA_GRANULE - 1);
	uint64_t end =
		(addr + (size ? size : 1) + EXTRA_GRANULE - 1) & ~(uint64_t)(EXTRA_GRANULE - 1);

	if (end <= start || overlaps_walked(f, start, end))
		return;
	ARRAY_PUSH(x->items, x->nr, x->cap, ((struct extra_block){addr, size}));
	if (last && (start <= last->end || is_one_piece(f, last->end, start))) {
		if (end > last->end)
			last->end = end;
		return;
	}
	ARRAY_PUSH(x->ranges, x->nr_ranges, x->cap_ranges, ((struct extra_range){start, end}));
}

/* Of a mapping that is the allocator's, what is before the first block and behind the last too. */
static void widen(struct finder *f)
{
	for (size_t i = 0; i < f->x->nr_ranges; i++) {
		struct extra_range *r = &f->x->ranges[i];
		const struct map *m = maps_find(f->maps, r->start);

		if (!m || !is_whole(f, m))
			continue;
		if (!overlaps_walked(f, m->start, r->start) &&
		    (i == 0 || f->x->ranges[i - 1].end <= m->start))
			r->start = m->start;
		if (r->end < m->end && !overlaps_walked(f, r->end, m->end) &&
		    (i + 1 == f->x->nr_ranges || f->x->ranges[i + 1].start >= m->end))
			r->end = m->end;
	}
}

void extra_blocks_find(struct target *t, const struct heaps *h, const struct snapshot *s,
		       struct extra_blocks *ret)
{
	struct extra_blocks x = {.items = NULL};
	struct finder f = {
		.maps = target_maps(t),
		.mimalloc = strcmp(strings_get(&s->strings, s->allocator), "mimalloc") == 0,
		.x = &x,
	};

	collect_walked(&f, h);
	for (size_t i = 0; i < s->nr_blocks; i++)
		add_block(&f, s->blocks[i].addr, s->blocks[i].size);
	widen(&f);
	free(f.walked);
	*ret = x;
}

void extra_blocks_release(struct extra_blocks *x)
{
	if (!x)
		return;
	free(x->items);
	free(x->ranges);
	*x = (struct extra_blocks){.items = NULL};
}
