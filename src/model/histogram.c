/* Blocks counted by heap and size; see histogram.h. */
#include "model/histogram.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

#define CAP_FIRST 256

static uint64_t add_capped(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t multiply_capped(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static int64_t difference(uint64_t after, uint64_t before)
{
	uint64_t distance = after > before ? after - before : before - after;
	int64_t capped = distance > INT64_MAX ? INT64_MAX : (int64_t)distance;

	return after > before ? capped : -capped;
}

void histogram_init(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
}

void histogram_release(struct histogram *h)
{
	if (!h)
		return;
	free(h->slots);
	histogram_init(h);
}

/* The slot of this key, or the free one where it belongs. There always is a free one. */
static struct histogram_entry *probe(const struct histogram *h, uint32_t heap, uint64_t size)
{
	size_t i = hash_u64(size ^ (uint64_t)heap << 40) & (h->cap - 1);

	while (h->slots[i].count && (h->slots[i].size != size || h->slots[i].heap != heap))
		i = (i + 1) & (h->cap - 1);
	return &h->slots[i];
}

static void grow(struct histogram *h)
{
	struct histogram old = *h;

	h->cap = old.cap ? old.cap * 2 : CAP_FIRST;
	h->slots = mem_alloc_array(h->cap, sizeof(*h->slots));
	for (size_t i = 0; i < old.cap; i++) {
		if (old.slots[i].count)
			*probe(h, old.slots[i].heap, old.slots[i].size) = old.slots[i];
	}
	free(old.slots);
}

static void add(struct histogram *h, uint32_t heap, uint64_t size, uint64_t count, uint64_t bytes)
{
	struct histogram_entry *e;

	if (h->nr * 10 >= h->cap * 7)
		grow(h);
	e = probe(h, heap, size);
	if (e->count == 0) {
		e->size = size;
		e->heap = heap;
		h->nr++;
	}
	e->count = add_capped(e->count, count);
	e->bytes = add_capped(e->bytes, bytes);
	h->count = add_capped(h->count, count);
	h->bytes = add_capped(h->bytes, bytes);
}

void histogram_add(struct histogram *h, uint32_t heap, uint64_t size)
{
	add(h, heap, size, 1, size);
}

void histogram_add_many(struct histogram *h, uint32_t heap, uint64_t size, uint64_t count)
{
	if (count)
		add(h, heap, size, count, multiply_capped(size, count));
}

void histogram_add_to_group(struct histogram *h, uint32_t group, uint64_t bytes)
{
	add(h, group, 0, 1, bytes);
}

const struct histogram_entry *histogram_find(const struct histogram *h, uint32_t heap,
					     uint64_t size)
{
	const struct histogram_entry *e;

	if (h->cap == 0)
		return NULL;
	e = probe(h, heap, size);
	return e->count ? e : NULL;
}

const struct histogram_entry *histogram_next(const struct histogram *h, size_t *pos)
{
	while (*pos < h->cap) {
		const struct histogram_entry *e = &h->slots[(*pos)++];

		if (e->count)
			return e;
	}
	return NULL;
}

void histogram_merge(const struct histogram *from, struct histogram *to)
{
	const struct histogram_entry *e;
	size_t pos = 0;

	while ((e = histogram_next(from, &pos)))
		add(to, HISTOGRAM_ALL_HEAPS, e->size, e->count, e->bytes);
}

void histogram_pick(const struct histogram *from, uint32_t heap, struct histogram *to)
{
	const struct histogram_entry *e;
	size_t pos = 0;

	while ((e = histogram_next(from, &pos))) {
		if (e->heap == heap)
			add(to, heap, e->size, e->count, e->bytes);
	}
}

void histogram_renumber(const struct histogram *from, const uint32_t *map, size_t nr,
			struct histogram *to)
{
	const struct histogram_entry *e;
	size_t pos = 0;

	while ((e = histogram_next(from, &pos)))
		add(to, e->heap < nr ? map[e->heap] : e->heap, e->size, e->count, e->bytes);
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int by_place(const struct histogram_entry *a, const struct histogram_entry *b)
{
	int rc = compare_u64(a->size, b->size);

	return rc ? rc : compare_u64(a->heap, b->heap);
}

static int by_bytes(const void *va, const void *vb)
{
	const struct histogram_entry *a = va, *b = vb;
	int rc = compare_u64(b->bytes, a->bytes);

	return rc ? rc : by_place(a, b);
}

static int by_count(const void *va, const void *vb)
{
	const struct histogram_entry *a = va, *b = vb;
	int rc = compare_u64(b->count, a->count);

	return rc ? rc : by_place(a, b);
}

static int by_size(const void *va, const void *vb)
{
	const struct histogram_entry *a = va, *b = vb;
	int rc = compare_u64(b->size, a->size);

	return rc ? rc : by_place(a, b);
}

size_t histogram_top(const struct histogram *h, enum histogram_order order,
		     struct histogram_entry *rows, size_t cap)
{
	static int (*const compare[])(const void *, const void *) = {
		[HISTOGRAM_BY_BYTES] = by_bytes,
		[HISTOGRAM_BY_COUNT] = by_count,
		[HISTOGRAM_BY_SIZE] = by_size,
	};
	struct histogram_entry *all = mem_alloc_array(h->nr, sizeof(*all));
	const struct histogram_entry *e;
	size_t pos = 0, nr = 0;

	while ((e = histogram_next(h, &pos)))
		all[nr++] = *e;
	qsort(all, nr, sizeof(*all), compare[order]);
	if (nr > cap)
		nr = cap;
	if (nr)
		memcpy(rows, all, nr * sizeof(*rows));
	free(all);
	return nr;
}

int64_t histogram_change_bytes(const struct histogram_change *c)
{
	return difference(c->bytes_after, c->bytes_before);
}

int64_t histogram_change_count(const struct histogram_change *c)
{
	return difference(c->count_after, c->count_before);
}

static int by_growth(const void *va, const void *vb)
{
	const struct histogram_change *a = va, *b = vb;
	int64_t x = histogram_change_bytes(a), y = histogram_change_bytes(b);
	int rc;

	if (x != y)
		return x > y ? -1 : 1;
	rc = compare_u64(a->size, b->size);
	return rc ? rc : compare_u64(a->heap, b->heap);
}

static void push(struct histogram_changes *c, const struct histogram_entry *before,
		 const struct histogram_entry *after)
{
	const struct histogram_entry *any = after ? after : before;
	struct histogram_change change = {
		.size = any->size,
		.heap = any->heap,
		.count_before = before ? before->count : 0,
		.count_after = after ? after->count : 0,
		.bytes_before = before ? before->bytes : 0,
		.bytes_after = after ? after->bytes : 0,
	};
	int64_t grown = histogram_change_bytes(&change);

	ARRAY_PUSH(c->items, c->nr, c->cap, change);
	if (grown > 0)
		c->grown_bytes = add_capped(c->grown_bytes, (uint64_t)grown);
	else
		c->shrunk_bytes = add_capped(c->shrunk_bytes, (uint64_t)-grown);
}

void histogram_diff(const struct histogram *before, const struct histogram *after,
		    struct histogram_changes *ret)
{
	const struct histogram_entry *e;
	size_t pos = 0;

	memset(ret, 0, sizeof(*ret));
	while ((e = histogram_next(after, &pos)))
		push(ret, histogram_find(before, e->heap, e->size), e);
	pos = 0;
	while ((e = histogram_next(before, &pos))) {
		if (!histogram_find(after, e->heap, e->size))
			push(ret, e, NULL);
	}
	if (ret->nr)
		qsort(ret->items, ret->nr, sizeof(*ret->items), by_growth);
}

void histogram_changes_release(struct histogram_changes *c)
{
	if (!c)
		return;
	free(c->items);
	memset(c, 0, sizeof(*c));
}
