/* What became of the heaps between two looks; see heapdiff.h. How it is told: heapdiff_show.c. */
#include "model/heapdiff.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "model/heaps.h"
#include "model/snapshot.h"

/* Growth that is none: less than this comes and goes in any program. */
enum { NOISE_BYTES = 4096 };

void heapdiff_sizes(const struct snapshot *s, struct histogram *add_to)
{
	for (size_t i = 0; i < s->nr_blocks; i++) {
		const struct block *b = &s->blocks[i];

		if (b->state == BLOCK_BUSY && b->heap != NO_INDEX)
			histogram_add(add_to, b->heap, b->size);
	}
}

/* What makes heaps of two snapshots the same one. */
static uint64_t identity_by_addr(const struct snapshot *s, const struct heap_row *h)
{
	const char *allocator = strings_get(&s->strings, h->allocator);

	return hash_seeded(&h->addr, sizeof(h->addr), hash_bytes(allocator, strlen(allocator)));
}

static uint64_t identity_by_name(const struct snapshot *s, const struct heap_row *h)
{
	const char *allocator = strings_get(&s->strings, h->allocator);
	const char *name = strings_get(&s->strings, h->name);

	return hash_seeded(name, strlen(name) + 1, hash_bytes(allocator, strlen(allocator)));
}

typedef uint64_t (*identity)(const struct snapshot *s, const struct heap_row *h);

/* Pairs those that have no partner yet; paired: by heap of the older snapshot. */
static void pair_by(struct heapdiff *d, identity of, bool *paired)
{
	const struct snapshot *a = d->after, *b = d->before;
	struct map known = MAP_INIT;

	for (size_t i = 0; i < a->nr_heaps; i++) {
		bool added;
		uint64_t *row;

		if (d->rows[i].before != NO_INDEX || (of == identity_by_addr && !a->heaps[i].addr))
			continue;
		row = map_at(&known, of(a, &a->heaps[i]), &added);
		if (added)
			*row = i;
	}
	for (size_t i = 0; i < b->nr_heaps; i++) {
		uint64_t row;

		if (paired[i] || !map_get(&known, of(b, &b->heaps[i]), &row) ||
		    d->rows[row].before != NO_INDEX)
			continue;
		d->rows[row].before = (uint32_t)i;
		paired[i] = true;
	}
	map_release(&known);
}

static void pair_heaps(struct heapdiff *d)
{
	bool *paired = mem_alloc_array(d->before->nr_heaps, sizeof(*paired));

	for (size_t i = 0; i < d->after->nr_heaps; i++)
		ARRAY_PUSH(d->rows, d->nr, d->cap, ((struct heap_change){NO_INDEX, (uint32_t)i}));
	pair_by(d, identity_by_addr, paired);
	pair_by(d, identity_by_name, paired);
	for (size_t i = 0; i < d->before->nr_heaps; i++)
		if (!paired[i])
			ARRAY_PUSH(d->rows, d->nr, d->cap,
				   ((struct heap_change){(uint32_t)i, NO_INDEX}));
	free(paired);
}

/* Heaps of the newer snapshot are the first rows, so only the older one's need other numbers. */
static void compare_sizes(struct heapdiff *d, const struct histogram *before,
			  const struct histogram *after)
{
	uint32_t *row_of = mem_alloc_array(d->before->nr_heaps, sizeof(*row_of));
	struct histogram renumbered;

	for (size_t r = 0; r < d->nr; r++)
		if (d->rows[r].before != NO_INDEX)
			row_of[d->rows[r].before] = (uint32_t)r;
	histogram_init(&renumbered);
	histogram_renumber(before, row_of, d->before->nr_heaps, &renumbered);
	histogram_diff(&renumbered, after, &d->sizes);
	histogram_release(&renumbered);
	free(row_of);
}

void heapdiff_make(const struct snapshot *before, const struct histogram *before_sizes,
		   const struct snapshot *after, const struct histogram *after_sizes,
		   struct heapdiff *ret)
{
	*ret = (struct heapdiff){.before = before, .after = after};
	pair_heaps(ret);
	if (before->taken_monotonic_ns && after->taken_monotonic_ns > before->taken_monotonic_ns)
		ret->elapsed_ns = after->taken_monotonic_ns - before->taken_monotonic_ns;
	ret->has_sizes = before_sizes && after_sizes;
	if (ret->has_sizes)
		compare_sizes(ret, before_sizes, after_sizes);
}

void heapdiff_release(struct heapdiff *d)
{
	if (!d)
		return;
	free(d->rows);
	histogram_changes_release(&d->sizes);
	*d = (struct heapdiff){0};
}

static uint64_t held(const struct snapshot *s, uint32_t heap, bool blocks)
{
	const struct heap_figures *f;

	if (heap == NO_INDEX)
		return 0;
	f = &s->heaps[heap].figures;
	if (!blocks)
		return f->committed_bytes;
	return f->busy_bytes > f->internal_bytes ? f->busy_bytes - f->internal_bytes : 0;
}

static bool knows_blocks(const struct snapshot *s, uint32_t heap)
{
	return heap == NO_INDEX || s->heaps[heap].flags & HEAP_HAS_BLOCKS;
}

int64_t heapdiff_growth(const struct heapdiff *d, size_t row)
{
	const struct heap_change *c = &d->rows[row];
	bool blocks = knows_blocks(d->before, c->before) && knows_blocks(d->after, c->after);

	return (int64_t)(held(d->after, c->after, blocks) - held(d->before, c->before, blocks));
}

static bool is_nested(const struct heapdiff *d, size_t row)
{
	const struct heap_change *c = &d->rows[row];
	const struct heap_row *h =
		c->after != NO_INDEX ? &d->after->heaps[c->after] : &d->before->heaps[c->before];

	return h->flags & HEAP_NESTED;
}

/* Does a heap inside this one account for its growth? Then it is the better answer. */
static size_t look_inside(const struct heapdiff *d, size_t lead)
{
	for (size_t r = 0; r < d->nr; r++) {
		const struct heap_change *c = &d->rows[r];

		if (c->after != NO_INDEX && is_nested(d, r) &&
		    d->after->heaps[c->after].parent == d->rows[lead].after &&
		    heapdiff_growth(d, r) > heapdiff_growth(d, lead) / 4 * 3)
			return r;
	}
	return lead;
}

size_t heapdiff_lead(const struct heapdiff *d)
{
	size_t lead = SIZE_MAX;
	int64_t most = NOISE_BYTES;

	for (size_t r = 0; r < d->nr; r++) {
		int64_t growth = heapdiff_growth(d, r);

		if (is_nested(d, r) || growth <= most)
			continue;
		most = growth;
		lead = r;
	}
	return lead == SIZE_MAX ? lead : look_inside(d, lead);
}
