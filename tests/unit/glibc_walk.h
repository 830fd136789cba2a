/* Walks heaps of glibc_layouts.h and compares what is found with what was made. */
#ifndef GLIBC_WALK_H
#define GLIBC_WALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/str.h"
#include "glibc_layouts.h"
#include "heap/heaps.h"

#define UNUSED __attribute__((unused))

static const struct heap_ops *const ops[] = {&heap_glibc, NULL};

struct seen {
	struct heap_block *items;
	size_t nr, cap;
};

static UNUSED int see(void *context, const struct heap_block *b)
{
	struct seen *s = context;

	ARRAY_PUSH(s->items, s->nr, s->cap, *b);
	return 0;
}

static UNUSED int by_addr(const void *a, const void *b)
{
	const struct heap_block *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static UNUSED struct heaps *walk(struct image *m, struct seen *s)
{
	struct heaps *h = NULL;
	struct error e = {0};

	assert_int_equal(heaps_find_with(m->t, ops, &h, &e), 0);
	assert_int_equal(heaps_walk(h, HEAP_ALL, see, s, &e), 0);
	if (s->nr)
		qsort(s->items, s->nr, sizeof(*s->items), by_addr);
	return h;
}

static UNUSED const struct heap_block *block_at(const struct seen *s, uint64_t addr)
{
	struct heap_block key = {.addr = addr};
	const struct heap_block *b = bsearch(&key, s->items, s->nr, sizeof(key), by_addr);

	return b && b->state == BLOCK_OVERHEAD ? NULL : b;
}

static UNUSED enum block_state expected_state(const struct image_chunk *c)
{
	switch (c->state) {
	case IMAGE_FREE:
		return BLOCK_FREE;
	case IMAGE_CACHED:
	case IMAGE_FAST:
		return BLOCK_CACHED;
	case IMAGE_CACHE:
		return BLOCK_INTERNAL;
	default:
		return BLOCK_BUSY;
	}
}

static UNUSED size_t count_state(const struct seen *s, enum block_state state)
{
	size_t nr = 0;

	for (size_t i = 0; i < s->nr; i++)
		nr += s->items[i].state == state;
	return nr;
}

/* How many blocks are not what they are; those between `from` and `to` are not asked for. */
static UNUSED size_t differences(const struct image *m, const struct seen *s, uint64_t from,
				 uint64_t to)
{
	size_t wrong = 0;

	for (size_t i = 0; i < m->nr; i++) {
		const struct image_chunk *c = &m->chunks[i];
		const struct heap_block *b = block_at(s, image_user(m, c));

		if (c->at >= from && c->at < to)
			continue;
		wrong += !b || b->state != expected_state(c) || b->size != c->size - m->l->word;
		if (b && c->state == IMAGE_CACHED)
			wrong += b->tid && b->tid != 1000 + (int)c->cache;
	}
	for (size_t i = 0; i < 3; i++) {
		const struct heap_block *b = block_at(s, m->direct[i]);

		wrong += !b || b->state != BLOCK_BUSY || b->size != m->direct_bytes[i];
	}
	return wrong;
}

static UNUSED void expect_sound(struct heaps *h)
{
	size_t nr;
	const struct heap_verdict *v = heaps_verdicts(h, &nr);

	assert_true(nr >= 15);
	for (size_t i = 0; i < nr; i++) {
		if (v[i].expected != v[i].found)
			print_message("# %s\n", v[i].what);
		assert_int_equal(v[i].expected, v[i].found);
	}
	for (size_t i = 0; i < heaps_nr(h); i++) {
		const struct heap_figures *f = &heaps_get(h, i)->figures;

		assert_string_equal(heaps_get(h, i)->fault, "");
		assert_int_equal(heaps_get(h, i)->flags & HEAP_SUSPECT, 0);
		assert_int_equal(f->committed_bytes, f->busy_bytes + f->cached_bytes +
							     f->free_bytes + f->overhead_bytes);
	}
}

static UNUSED const struct image_layout *layout(const char *name)
{
	for (size_t i = 0; i < LAYOUTS; i++)
		if (strcmp(layouts[i].name, name) == 0)
			return &layouts[i];
	fail_msg("no layout %s", name);
	return NULL;
}

/* A busy chunk of the main arena, in the middle, whose neighbours are busy too. */
static UNUSED size_t victim_chunk(const struct image *m, enum image_state wanted)
{
	for (size_t i = 500; i < 1400; i++)
		if (m->chunks[i].state == wanted && m->chunks[i - 1].state == IMAGE_BUSY &&
		    m->chunks[i + 1].state == IMAGE_BUSY && m->chunks[i].size > 64)
			return i;
	fail_msg("no such chunk");
	return 0;
}

#endif
