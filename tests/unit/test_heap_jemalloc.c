/* jemalloc of every layout that there was, read from images made by hand. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "heap/heaps.h"
#include "jemalloc_image.h"

static const struct heap_ops *const only_jemalloc[] = {&heap_jemalloc, NULL};

/* Small classes: 36 with a quantum of 16 bytes, 39 with 8; 52 where pages have 64 KiB. */
static const struct image_kind kinds[] = {
	{"5.0", 50, 12, 48, 16, 36, 2, 3},
	{"5.1", 51, 12, 48, 16, 36, 2, 3},
	{"5.2", 52, 12, 48, 16, 36, 2, 3},
	{"5.3", 53, 12, 48, 16, 36, 2, 3},
	{"5.2 with a quantum of 8", 52, 12, 48, 8, 39, 3, 5},
	{"5.3 with a quantum of 8", 53, 12, 48, 8, 39, 3, 5},
	{"5.3 for addresses of 57 bits", 53, 12, 57, 16, 36, 2, 3},
	{"5.3 with pages of 64 KiB", 53, 16, 48, 16, 52, 2, 3},
	{"5.2 with pages of 16 KiB", 52, 14, 48, 16, 44, 2, 3},
	{"5.2 for addresses of 57 bits", 52, 12, 57, 16, 36, 2, 3},
};

struct seen {
	uint64_t nr[BLOCK_STATES], bytes[BLOCK_STATES];
	uint64_t last;
	int32_t tid;
	bool large, free_extent, stacks;
	const struct image *image;
};

static int see(void *context, const struct heap_block *b)
{
	struct seen *s = context;

	assert_true(b->start >= s->last);
	s->last = b->start + b->total;
	s->nr[b->state]++;
	s->bytes[b->state] += b->size;
	if (b->state == BLOCK_CACHED)
		s->tid = b->tid;
	if (b->addr == s->image->large)
		s->large = b->state == BLOCK_BUSY && b->size == 4 * s->image->page;
	if (b->addr == s->image->free_extent)
		s->free_extent = b->state == BLOCK_FREE && b->total == 7 * s->image->page;
	if (b->addr == s->image->stacks)
		s->stacks = b->state == BLOCK_INTERNAL && b->size == 8 * s->image->page;
	return 0;
}

static void check_walk(struct image *m, struct heaps *h)
{
	uint64_t nr32 = image_regions_32(m), nr48 = image_regions_48(m);
	uint64_t free32 = (nr32 + 2) / 3, free48 = (nr48 + 2) / 3;
	struct seen s = {.image = m};
	size_t nr;
	const struct heap_verdict *v;

	assert_int_equal(heaps_walk(h, HEAP_ALL, see, &s, NULL), 0);
	assert_int_equal(s.nr[BLOCK_CACHED], 2 * IMAGE_ENTRIES);
	assert_int_equal(s.tid, 77);
	assert_int_equal(s.nr[BLOCK_FREE], free32 + free48 + 1);
	assert_int_equal(s.nr[BLOCK_BUSY], nr32 - free32 + nr48 - free48 + 1 - 2 * IMAGE_ENTRIES);
	assert_int_equal(s.bytes[BLOCK_FREE], 32 * free32 + 48 * free48 + 7 * m->page);
	assert_true(s.large && s.free_extent && s.stacks);
	v = heaps_verdicts(h, &nr);
	assert_true(nr >= 4);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(v[i].expected, v[i].found);
	assert_string_equal(heaps_get(h, 0)->fault, "");
}

static void every_layout(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		struct image m;
		struct heaps *h;

		print_message("# jemalloc %s\n", kinds[i].name);
		image_make(&m, &kinds[i]);
		assert_int_equal(heaps_find_with(m.t, only_jemalloc, &h, NULL), 0);
		assert_int_equal(heaps_nr(h), 1);
		assert_string_equal(heaps_get(h, 0)->name, "arena 0");
		assert_int_equal(heaps_get(h, 0)->addr, IMAGE_ARENA);
		assert_int_equal(heaps_get(h, 0)->nr_tids, 1);
		check_walk(&m, h);
		heaps_free(h);
		target_close(m.t);
	}
}

/* A count that the bitmap does not have: the heap is walked all the same, and is suspect. */
static void wrong_count(void **state)
{
	struct image m;
	struct heaps *h;
	struct seen s;

	(void)state;
	image_make(&m, &kinds[3]);
	for (unsigned int i = 0; i < 130; i++) /* enough of them that one is an exception */
		image_extent(&m, true, 0, kinds[3].of_32, 1);
	image_word(&m, IMAGE_RECORDS, image_first_word(&kinds[3], true, 0, kinds[3].of_32, 7));
	s = (struct seen){.image = &m};
	assert_int_equal(heaps_find_with(m.t, only_jemalloc, &h, NULL), 0);
	assert_int_equal(heaps_nr(h), 1);
	assert_int_equal(heaps_walk(h, HEAP_ALL, see, &s, NULL), 0);
	assert_true(heaps_get(h, 0)->flags & HEAP_SUSPECT);
	assert_non_null(strstr(heaps_get(h, 0)->fault, "93 expected, 129 found"));
	assert_true(s.nr[BLOCK_BUSY] > 130 * 128);
	heaps_free(h);
	target_close(m.t);
}

/* Where no layout fits, there is no jemalloc: no heap, no blocks, no guess. */
static void no_layout(void **state)
{
	struct image m;
	struct heaps *h;

	(void)state;
	image_make(&m, &kinds[3]);
	for (unsigned int i = 0; i < m.nr_records; i++)
		image_word(&m, IMAGE_RECORDS + i * IMAGE_RECORD_BYTES, 0x5555555555555000ull);
	assert_int_equal(heaps_find_with(m.t, only_jemalloc, &h, NULL), 0);
	assert_int_equal(heaps_nr(h), 0);
	heaps_free(h);
	target_close(m.t);
}

/* A cache that names something that is no block of its size. */
static void bad_cache(void **state)
{
	struct image m;
	struct heaps *h;
	struct seen s;
	size_t nr, wrong = 0;
	const struct heap_verdict *v;

	(void)state;
	image_make(&m, &kinds[3]);
	image_word(&m, m.stacks + 512 * (kinds[3].of_32 + 1ull) - 8, m.slab32 + 5);
	s = (struct seen){.image = &m};
	assert_int_equal(heaps_find_with(m.t, only_jemalloc, &h, NULL), 0);
	assert_int_equal(heaps_walk(h, HEAP_ALL, see, &s, NULL), 0);
	assert_int_equal(s.nr[BLOCK_CACHED], 2 * IMAGE_ENTRIES - 1);
	v = heaps_verdicts(h, &nr);
	for (size_t i = 0; i < nr; i++)
		wrong += v[i].expected != v[i].found;
	assert_int_equal(wrong, 1);
	heaps_free(h);
	target_close(m.t);
}

/* Without its cache: a sentence, not a wrong figure in silence. */
static void no_cache(void **state)
{
	struct image m;
	struct heaps *h;
	struct seen s;

	(void)state;
	image_make(&m, &kinds[3]);
	memset(fake_target_at(m.t, IMAGE_TLS), 0, 0x10000);
	s = (struct seen){.image = &m};
	assert_int_equal(heaps_find_with(m.t, only_jemalloc, &h, NULL), 0);
	assert_int_equal(heaps_walk(h, HEAP_ALL, see, &s, NULL), 0);
	assert_int_equal(s.nr[BLOCK_CACHED], 0);
	assert_non_null(strstr(heaps_get(h, 0)->fault, "no thread caches were found"));
	assert_false(heaps_get(h, 0)->flags & HEAP_SUSPECT);
	heaps_free(h);
	target_close(m.t);
}

/* A record that claims more than is mapped makes no heap of it. */
static void huge_extent(void **state)
{
	struct image m;
	struct heaps *h;

	(void)state;
	image_make(&m, &kinds[3]);
	image_word(&m, IMAGE_RECORDS + 4 * IMAGE_RECORD_BYTES + 16, 1ull << 46);
	assert_int_equal(heaps_find_with(m.t, only_jemalloc, &h, NULL), 0);
	assert_int_equal(heaps_nr(h), 1);
	assert_true(heaps_get(h, 0)->figures.reserved_bytes < 1 << 30);
	heaps_free(h);
	target_close(m.t);
}

static void described(void **state)
{
	struct str text = STR_INIT;
	struct heap_block b;
	struct image m;
	struct heaps *h;

	(void)state;
	image_make(&m, &kinds[3]);
	assert_int_equal(heaps_find_with(m.t, only_jemalloc, &h, NULL), 0);
	assert_int_equal(heaps_find_block(h, m.slab48 + 48 * 2 + 5, &b), 0);
	assert_int_equal(b.addr, m.slab48 + 48 * 2);
	assert_int_equal(b.state, BLOCK_BUSY);
	heaps_describe(h, &b, &text);
	assert_non_null(strstr(text.data, "slab of 256 regions of 48 bytes, 86 free"));
	assert_non_null(strstr(text.data, "region 2\n"));
	assert_int_equal(heaps_find_block(h, IMAGE_TLS, &b), -ENOENT);
	str_release(&text);
	heaps_free(h);
	target_close(m.t);
}

/* A slab whose size class is none: it is in the walk as what it is, and can be asked about. */
static void no_such_class(void **state)
{
	struct str text = STR_INIT;
	struct heap_block b;
	struct image m;
	struct heaps *h;

	(void)state;
	image_make(&m, &kinds[3]);
	for (unsigned int i = 0; i < 130; i++)
		image_extent(&m, true, 0, kinds[3].of_32, 1);
	image_word(&m, IMAGE_RECORDS + IMAGE_RECORD_BYTES,
		   image_first_word(&kinds[3], true, 0, 255, 7));
	assert_int_equal(heaps_find_with(m.t, only_jemalloc, &h, NULL), 0);
	assert_int_equal(heaps_find_block(h, m.slab48 + 48 * 2 + 5, &b), 0);
	assert_int_equal(b.state, BLOCK_OVERHEAD);
	heaps_describe(h, &b, &text);
	assert_non_null(strstr(text.data, "size class 255, which cannot be"));
	str_release(&text);
	heaps_free(h);
	target_close(m.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_layout), cmocka_unit_test(wrong_count),
		cmocka_unit_test(no_layout),	cmocka_unit_test(bad_cache),
		cmocka_unit_test(no_cache),	cmocka_unit_test(described),
		cmocka_unit_test(huge_extent),	cmocka_unit_test(no_such_class),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
