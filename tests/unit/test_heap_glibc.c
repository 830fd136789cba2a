/* glibc's heaps in every layout since 2.17, made up by dice: each block must come out as it is. */
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

static const struct heap_ops *const ops[] = {&heap_glibc, NULL};

struct seen {
	struct heap_block *items;
	size_t nr, cap;
};

static int see(void *context, const struct heap_block *b)
{
	struct seen *s = context;

	ARRAY_PUSH(s->items, s->nr, s->cap, *b);
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct heap_block *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static struct heaps *walk(struct image *m, struct seen *s)
{
	struct heaps *h = NULL;
	struct error e = {0};

	assert_int_equal(heaps_find_with(m->t, ops, &h, &e), 0);
	assert_int_equal(heaps_walk(h, HEAP_ALL, see, s, &e), 0);
	if (s->nr)
		qsort(s->items, s->nr, sizeof(*s->items), by_addr);
	return h;
}

static const struct heap_block *block_at(const struct seen *s, uint64_t addr)
{
	struct heap_block key = {.addr = addr};
	const struct heap_block *b = bsearch(&key, s->items, s->nr, sizeof(key), by_addr);

	return b && b->state == BLOCK_OVERHEAD ? NULL : b;
}

static enum block_state expected_state(const struct image_chunk *c)
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

static size_t count_state(const struct seen *s, enum block_state state)
{
	size_t nr = 0;

	for (size_t i = 0; i < s->nr; i++)
		nr += s->items[i].state == state;
	return nr;
}

/* How many blocks are not what they are; those between `from` and `to` are not asked for. */
static size_t differences(const struct image *m, const struct seen *s, uint64_t from, uint64_t to)
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

static void expect_sound(struct heaps *h)
{
	size_t nr;
	const struct heap_verdict *v = heaps_verdicts(h, &nr);

	assert_true(nr >= 15);
	for (size_t i = 0; i < nr; i++) {
		if (v[i].expected != v[i].found)
			print_message("%s\n", v[i].what);
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

static void check_image(struct image *m, bool with_threads)
{
	struct seen s = {0};
	struct heaps *h = walk(m, &s);
	size_t busy = 3;

	assert_int_equal(heaps_nr(h), 3);
	assert_int_equal(differences(m, &s, 0, 0), 0);
	for (size_t i = 0; i < m->nr; i++)
		busy += m->chunks[i].state == IMAGE_BUSY;
	assert_int_equal(count_state(&s, BLOCK_BUSY), busy);
	assert_int_equal(count_state(&s, BLOCK_TOP), 2);
	expect_sound(h);
	if (with_threads)
		assert_int_equal(heaps_get(h, 0)->nr_tids, 2);
	heaps_free(h);
	free(s.items);
}

static void every_layout(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		for (uint64_t seed = 1; seed < 4; seed++) {
			struct image m;

			print_message("%s, dice %d\n", layouts[i].name, (int)seed);
			image_make(&m, &layouts[i], seed);
			check_image(&m, true);
			image_release(&m);
		}
	}
}

/* Where registers are not to be had, caches are known by their shape. */
static void without_registers(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		struct image m;

		print_message("%s\n", layouts[i].name);
		image_make(&m, &layouts[i], 7);
		for (size_t k = 0; k < m.t->nr_threads; k++) {
			m.t->threads[k].has_registers = false;
			m.t->threads[k].tp = 0;
		}
		check_image(&m, false);
		image_release(&m);
	}
}

/* After a fork one thread is left; the others' caches are known by what is in them. */
static void forked(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		struct seen s = {0};
		struct heaps *h;
		struct image m;

		print_message("%s\n", layouts[i].name);
		image_make(&m, &layouts[i], 8);
		m.t->nr_threads = 1;
		h = walk(&m, &s);
		assert_int_equal(differences(&m, &s, 0, 0), 0);
		expect_sound(h);
		heaps_free(h);
		free(s.items);
		image_release(&m);
	}
}

static const struct image_layout *layout(const char *name)
{
	for (size_t i = 0; i < LAYOUTS; i++)
		if (strcmp(layouts[i].name, name) == 0)
			return &layouts[i];
	fail_msg("no layout %s", name);
	return NULL;
}

/* With huge pages asked for, 2.35 to 2.41 have heaps of four huge pages of any size. */
static void other_heap_sizes(void **state)
{
	static const uint64_t sizes[] = {1ull << 18, 8ull << 20, 128ull << 20, 4ull << 30};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct image m;

		image_make_of(&m, layout("2.41 aarch64"), 5, sizes[i]);
		check_image(&m, true);
		image_release(&m);
	}
}

/* A busy chunk of the main arena, in the middle, whose neighbours are busy too. */
static size_t victim_chunk(const struct image *m, enum image_state wanted)
{
	for (size_t i = 500; i < 1400; i++)
		if (m->chunks[i].state == wanted && m->chunks[i - 1].state == IMAGE_BUSY &&
		    m->chunks[i + 1].state == IMAGE_BUSY && m->chunks[i].size > 64)
			return i;
	fail_msg("no such chunk");
	return 0;
}

static void expect_fault(struct heaps *h, size_t heap, uint64_t addr)
{
	assert_true(heaps_get(h, heap)->flags & HEAP_SUSPECT);
	assert_true(heaps_get(h, heap)->fault[0]);
	assert_int_equal(heaps_get(h, heap)->fault_addr, addr);
	for (size_t i = 0; i < heaps_nr(h); i++)
		if (i != heap)
			assert_int_equal(heaps_get(h, i)->flags & HEAP_SUSPECT, 0);
}

/* A header written over: named, and all blocks before and after it are seen. */
static void damaged_header(void **state)
{
	struct image m;
	struct seen s = {0};
	struct heaps *h;
	size_t i;

	(void)state;
	image_make(&m, layout("2.35 x86-64"), 11);
	i = victim_chunk(&m, IMAGE_BUSY);
	image_put(&m, m.chunks[i].at + 8, 0x4141414141414141ull);
	h = walk(&m, &s);
	expect_fault(h, 0, m.chunks[i].at);
	assert_true(differences(&m, &s, m.chunks[i].at, m.chunks[i + 2].at) == 0);
	heaps_free(h);
	free(s.items);
	image_release(&m);
}

/* A link of a free chunk written over. */
static void damaged_links(void **state)
{
	(void)state;
	for (unsigned int which = 2; which < 4; which++) {
		struct image m;
		struct seen s = {0};
		struct heaps *h;
		size_t i;

		image_make(&m, layout("2.42 x86-64"), 12 + which);
		i = victim_chunk(&m, IMAGE_FREE);
		image_put(&m, m.chunks[i].at + which * 8, m.chunks[i].at - 0x100);
		h = walk(&m, &s);
		assert_true(heaps_get(h, 0)->flags & HEAP_SUSPECT);
		/* The chunk itself, or its neighbour in the list, whichever has the lower address.
		 */
		assert_true(heaps_get(h, 0)->fault_addr <= m.chunks[i].at);
		assert_non_null(strstr(heaps_get(h, 0)->fault, "not linked well"));
		assert_int_equal(differences(&m, &s, 0, 0), 0);
		heaps_free(h);
		free(s.items);
		image_release(&m);
	}
}

/* The size behind a free chunk written over, as by a program that writes too far. */
static void damaged_foot(void **state)
{
	struct image m;
	struct seen s = {0};
	struct heaps *h;
	size_t i;

	(void)state;
	image_make(&m, layout("2.31 i386"), 21);
	i = victim_chunk(&m, IMAGE_FREE);
	image_put(&m, m.chunks[i + 1].at, 0x10);
	h = walk(&m, &s);
	expect_fault(h, 0, m.chunks[i].at);
	assert_int_equal(differences(&m, &s, 0, 0), 0);
	heaps_free(h);
	free(s.items);
	image_release(&m);
}

/* Top reaches over the arena's end, or a block over top. */
static void damaged_top(void **state)
{
	struct image m;
	struct seen s = {0};
	struct heaps *h;

	(void)state;
	image_make(&m, layout("2.34 x86-64"), 31);
	image_put(&m, m.tops[1] + 8, 0x7000001);
	h = walk(&m, &s);
	expect_fault(h, 1, m.tops[1]);
	assert_int_equal(differences(&m, &s, 0, 0), 0);
	heaps_free(h);
	free(s.items);
	image_release(&m);
}

/* A list of a thread cache that leads back into itself: a block freed twice. */
static void cyclic_cache(void **state)
{
	struct image m;
	struct seen s = {0};
	struct heaps *h;
	uint64_t entries, user, last;

	(void)state;
	image_make(&m, layout("2.36 i386"), 41);
	entries = m.caches[0] + 128;
	for (unsigned int bin = 0;; bin++) {
		assert_true(bin < 64);
		if (m.fills[0][bin] < 3)
			continue;
		user = last = image_get(&m, entries + bin * 4);
		for (unsigned int i = 1; i < m.fills[0][bin]; i++)
			last = image_get(&m, last) ^ last >> 12;
		break;
	}
	image_put(&m, last, user ^ last >> 12);
	h = walk(&m, &s);
	assert_true(heaps_get(h, 0)->flags & HEAP_SUSPECT || heaps_get(h, 1)->flags & HEAP_SUSPECT);
	assert_int_equal(differences(&m, &s, 0, 0), 0);
	heaps_free(h);
	free(s.items);
	image_release(&m);
}

/* A process that was not stopped: a list's head is lost, but its blocks still carry the key. */
static void torn_cache(void **state)
{
	struct image m;
	struct seen s = {0};
	struct heaps *h;
	unsigned int bin = 0;

	(void)state;
	image_make(&m, layout("2.35 x86-64"), 51);
	while (m.fills[0][bin] == 0)
		bin++;
	image_put(&m, m.caches[0] + 128 + bin * 8, 0);
	m.t->how.consistent = false;
	h = walk(&m, &s);
	for (size_t i = 0; i < m.nr; i++) {
		const struct heap_block *b = block_at(&s, image_user(&m, &m.chunks[i]));

		assert_non_null(b);
		assert_int_equal(b->state, expected_state(&m.chunks[i]));
	}
	heaps_free(h);
	free(s.items);
	image_release(&m);
}

/* While its lock is held an arena may be in between: said, and no fault made of it. */
static void locked_arena(void **state)
{
	struct image m;
	struct seen s = {0};
	struct heaps *h;
	size_t i;

	(void)state;
	image_make(&m, layout("2.41 aarch64"), 61);
	i = victim_chunk(&m, IMAGE_FREE);
	image_put(&m, m.chunks[i].at + 16, m.chunks[i].at);
	image_put_int(&m, m.arenas[0], 1);
	m.t->how.kind = TARGET_CLONE;
	h = walk(&m, &s);
	assert_true(heaps_get(h, 0)->flags & HEAP_LOCKED);
	assert_int_equal(heaps_get(h, 0)->flags & HEAP_SUSPECT, 0);
	assert_int_equal(heaps_get(h, 1)->flags & HEAP_LOCKED, 0);
	heaps_free(h);
	/* In a core it was the last thing that the program did. */
	m.t->how.kind = TARGET_CORE;
	s.nr = 0;
	h = walk(&m, &s);
	assert_true(heaps_get(h, 0)->flags & HEAP_LOCKED);
	assert_true(heaps_get(h, 0)->flags & HEAP_SUSPECT);
	heaps_free(h);
	free(s.items);
	image_release(&m);
}

/* The walk of an image with one damage: everything is as it was, and `heap` is said to be damaged.
 */
static void expect_whole(struct image *m, size_t heap, const char *words)
{
	struct seen s = {0};
	struct heaps *h = walk(m, &s);

	assert_int_equal(heaps_nr(h), 3);
	assert_int_equal(differences(m, &s, 0, 0), 0);
	assert_true(heaps_get(h, heap)->flags & HEAP_SUSPECT);
	assert_int_equal(heaps_get(h, heap)->flags & HEAP_LOCKED, 0);
	assert_non_null(strstr(heaps_get(h, heap)->fault, words));
	for (size_t i = 0; i < 3; i++)
		if (i != heap)
			assert_int_equal(heaps_get(h, i)->flags & HEAP_SUSPECT, 0);
	heaps_free(h);
	free(s.items);
}

/* A ring of arenas that does not close: the others are known by their heaps. */
static void broken_ring(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		for (unsigned int arena = 0; arena < 2; arena++) {
			uint64_t values[3], at;
			struct image m;

			print_message("%s, arena %u\n", layouts[i].name, arena);
			image_make(&m, &layouts[i], 71 + arena);
			at = m.arenas[arena] + layouts[i].next;
			values[0] = 0;
			values[1] = 0x41414141;
			values[2] = image_get(&m, at) + 16;
			for (size_t k = 0; k < 3; k++) {
				image_put(&m, at, values[k]);
				expect_whole(&m, arena, "arena is damaged: the next one should be");
			}
			image_release(&m);
		}
	}
}

/* One word of the main arena written over: it is said, and nothing is lost. */
static void damaged_main(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		const struct image_layout *l = &layouts[i];
		struct image m;
		uint64_t main, size;

		print_message("%s\n", l->name);
		image_make(&m, l, 75);
		main = m.arenas[0];
		image_put_int(&m, main, 0x41414141);
		expect_whole(&m, 0, "main arena is damaged: its lock is 0x41414141");
		image_put_int(&m, main, 0);
		image_put(&m, main + l->top, m.tops[0] + 16);
		expect_whole(&m, 0, "main arena is damaged: top is");
		image_put(&m, main + l->top, m.tops[0]);
		size = image_get(&m, main + l->system_mem);
		for (uint64_t wrong = 0; wrong <= size + 16; wrong += size + 16) {
			image_put(&m, main + l->system_mem, wrong);
			expect_whole(&m, 0, "main arena is damaged: it says it has");
		}
		image_release(&m);
	}
}

/* All list heads gone: the other arena's ring still leads to the main one. */
static void damaged_bins(void **state)
{
	struct image m;
	struct seen s = {0};
	struct heaps *h;

	(void)state;
	image_make(&m, layout("2.35 x86-64"), 77);
	memset(fake_target_at(m.t, m.arenas[0] + m.l->bins), 0, (size_t)2 * 127 * 8);
	h = walk(&m, &s);
	assert_int_equal(heaps_nr(h), 3);
	assert_int_equal(heaps_get(h, 0)->addr, m.arenas[0]);
	assert_int_equal(differences(&m, &s, 0, 0), 0);
	assert_non_null(strstr(heaps_get(h, 0)->fault, "its list heads lead nowhere"));
	assert_int_equal(heaps_get(h, 1)->flags & HEAP_SUSPECT, 0);
	heaps_free(h);
	free(s.items);
	image_release(&m);
}

/* As libc's file has it: the arena leads to itself, nothing else is set. Nobody has allocated. */
static void idle_arena(void **state)
{
	static const struct heap_ops *const both[] = {&heap_glibc, &heap_unknown, NULL};

	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		struct image m = {.l = &layouts[i]};
		struct heaps *h = NULL;
		struct error e = {0};

		print_message("%s\n", layouts[i].name);
		m.t = fake_target_new(layouts[i].word, layouts[i].machine);
		image_add_libc(&m);
		fake_target_map(m.t, 0x20000000, 0x5000, MAP_READ | MAP_WRITE, "");
		fake_target_ready(m.t);
		assert_int_equal(heaps_find_with(m.t, both, &h, &e), 0);
		assert_int_equal(heaps_nr(h), 1);
		assert_string_equal(heaps_allocator(h), "");
		heaps_free(h);
		image_put(&m, m.arenas[0] + layouts[i].next, m.arenas[0]);
		image_put(&m, m.arenas[0] + layouts[i].system_mem - layouts[i].word,
			  layouts[i].attached);
		assert_int_equal(heaps_find_with(m.t, both, &h, &e), 0);
		assert_int_equal(heaps_nr(h), 0);
		assert_string_equal(heaps_allocator(h), "glibc");
		heaps_free(h);
		image_release(&m);
	}
}

/* Without caches by malloc's parameters, what a thread points to is none unless its lists fit. */
static void no_caches(void **state)
{
	struct image m;
	struct seen s = {0};
	struct heaps *h;
	size_t nr;
	const struct heap_verdict *v;

	(void)state;
	image_make(&m, layout("2.35 x86-64"), 91);
	for (unsigned int i = 0; i < 3; i++) {
		memset(fake_target_at(m.t, m.caches[i]), 1, 0x280);
		image_put(&m, m.par + m.l->sbrk_base + (i + 1) * 8, 0);
	}
	h = walk(&m, &s);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(block_at(&s, m.caches[i])->state, BLOCK_BUSY);
	v = heaps_verdicts(h, &nr);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(v[i].expected, v[i].found);
	heaps_free(h);
	free(s.items);
	image_release(&m);
}

/* Somebody else's memory in which a word looks like the header of a big block. */
static void chance_header(void **state)
{
	(void)state;
	for (size_t i = 0; i < LAYOUTS; i++) {
		uint64_t base = layouts[i].word == 8 ? 0x7f5400000000ull : 0xd8000000;
		struct image m;

		print_message("%s\n", layouts[i].name);
		image_make(&m, &layouts[i], 95);
		fake_target_map(m.t, base, 0x60000, MAP_READ | MAP_WRITE, "");
		fake_target_ready(m.t);
		for (uint64_t at = base + 0x3000; at < base + 0x30000; at += 0x6000) {
			uint64_t lead = layouts[i].align == 16 && layouts[i].word == 4 ? 8 : 0;

			image_put(&m, at + lead, lead);
			image_put(&m, at + lead + layouts[i].word,
				  (0x22000 - lead -
				   (layouts[i].direct_full ? 2 * layouts[i].word : 0)) |
					  2);
		}
		check_image(&m, true);
		image_release(&m);
	}
}

/* The header of a block in words. */
static void described(void **state)
{
	struct image m;
	struct seen s = {0};
	struct str text = STR_INIT;
	struct heap_block b;
	struct heaps *h;
	char line[80];
	size_t i;

	(void)state;
	image_make(&m, layout("2.35 x86-64"), 81);
	h = walk(&m, &s);
	i = victim_chunk(&m, IMAGE_FREE);
	assert_int_equal(heaps_find_block(h, m.chunks[i].at + 40, &b), 0);
	assert_int_equal(b.addr, m.chunks[i].at + 16);
	heaps_describe(h, &b, &text);
	snprintf(line, sizeof(line), "chunk 0x%llx, size 0x%llx\nflags PREV_INUSE\nnext free 0x",
		 (unsigned long long)m.chunks[i].at, (unsigned long long)m.chunks[i].size);
	assert_memory_equal(text.data, line, strlen(line));
	str_clear(&text);
	assert_int_equal(heaps_find_block(h, m.direct[2] + 5, &b), 0);
	assert_int_equal(b.addr, m.direct[2]);
	heaps_describe(h, &b, &text);
	assert_non_null(strstr(text.data, "flags IS_MMAPPED\nmapping begins 0xff0 bytes before\n"));
	str_release(&text);
	heaps_free(h);
	free(s.items);
	image_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_layout),	    cmocka_unit_test(without_registers),
		cmocka_unit_test(other_heap_sizes), cmocka_unit_test(damaged_header),
		cmocka_unit_test(damaged_links),    cmocka_unit_test(damaged_foot),
		cmocka_unit_test(damaged_top),	    cmocka_unit_test(cyclic_cache),
		cmocka_unit_test(torn_cache),	    cmocka_unit_test(locked_arena),
		cmocka_unit_test(broken_ring),	    cmocka_unit_test(damaged_main),
		cmocka_unit_test(damaged_bins),	    cmocka_unit_test(idle_arena),
		cmocka_unit_test(no_caches),	    cmocka_unit_test(forked),
		cmocka_unit_test(chance_header),    cmocka_unit_test(described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
