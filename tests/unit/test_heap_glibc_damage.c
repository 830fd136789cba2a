/* glibc's heaps with damage in them, or caught in the middle: it is said, and nothing else is lost.
 */
#include "glibc_walk.h"

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

			print_message("# %s, arena %u\n", layouts[i].name, arena);
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

		print_message("# %s\n", l->name);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_header), cmocka_unit_test(damaged_links),
		cmocka_unit_test(damaged_foot),	  cmocka_unit_test(damaged_top),
		cmocka_unit_test(cyclic_cache),	  cmocka_unit_test(torn_cache),
		cmocka_unit_test(locked_arena),	  cmocka_unit_test(broken_ring),
		cmocka_unit_test(damaged_main),	  cmocka_unit_test(damaged_bins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
