/* musl's mallocng of either word size, read from images made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "heap/heaps.h"
#include "musl_image.h"

static const struct heap_ops *const only_musl[] = {&heap_musl, NULL};

struct seen {
	uint64_t nr[BLOCK_STATES], busy_bytes;
};

static int see(void *context, const struct heap_block *b)
{
	struct seen *s = context;

	s->nr[b->state]++;
	if (b->state == BLOCK_BUSY)
		s->busy_bytes += b->size;
	return 0;
}

static uint64_t expected_bytes(void)
{
	uint64_t bytes = MUSL_DIRECT_SIZE + 60;

	for (unsigned int i = 0; i < MUSL_SLOTS; i++)
		bytes += i != MUSL_INNER && !(MUSL_FREE_MASK >> i & 1) ? 150 + i : 0;
	for (unsigned int i = 0; i < MUSL_SMALL; i++)
		bytes += !(MUSL_SMALL_FREE_MASK >> i & 1) ? 3 + i : 0;
	return bytes;
}

static void check(unsigned int word, bool has_page_size)
{
	struct musl_image m;
	struct seen s = {{0}, 0};
	struct heaps *h;
	size_t nr;
	const struct heap_verdict *v;

	musl_make(&m, word, has_page_size);
	assert_int_equal(heaps_find_with(m.t, only_musl, &h, NULL), 0);
	assert_int_equal(heaps_nr(h), 2);
	assert_int_equal(heaps_get(h, 0)->addr, m.context);
	assert_int_equal(heaps_get(h, 1)->kind, HEAP_DIRECT);
	assert_int_equal(heaps_walk(h, HEAP_ALL, see, &s, NULL), 0);
	assert_int_equal(s.nr[BLOCK_BUSY], MUSL_SLOTS - 1 - 3 + MUSL_SMALL - 2 + 1 + 1);
	assert_int_equal(s.nr[BLOCK_FREE], 3 + 2);
	assert_int_equal(s.busy_bytes, expected_bytes());
	v = heaps_verdicts(h, &nr);
	assert_int_equal(nr, 6);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(v[i].expected, v[i].found);
	heaps_free(h);
	target_close(m.t);
}

static void wide(void **state)
{
	(void)state;
	check(8, false);
	check(8, true);
}

static void narrow(void **state)
{
	(void)state;
	check(4, false);
	check(4, true);
}

static void described(void **state)
{
	struct str text = STR_INIT;
	struct musl_image m;
	struct heap_block b;
	struct heaps *h;

	(void)state;
	musl_make(&m, 8, false);
	assert_int_equal(heaps_find_with(m.t, only_musl, &h, NULL), 0);
	assert_int_equal(heaps_find_block(h, m.inner + 16 + 16 * 4 + 1, &b), 0);
	assert_int_equal(b.addr, m.inner + 16 + 16 * 4);
	assert_int_equal(b.size, 7);
	heaps_describe(h, &b, &text);
	assert_non_null(strstr(text.data, "of 10 slots"));
	assert_non_null(strstr(text.data, "slot 4 of 16 bytes, size class 0"));
	str_release(&text);
	heaps_free(h);
	target_close(m.t);
}

/* Headers that were written over are counted, and where is one said. */
static void damaged(void **state)
{
	struct musl_image m;
	struct seen s = {{0}, 0};
	struct heaps *h;

	(void)state;
	musl_make(&m, 8, false);
	for (unsigned int i = 12; i < 16; i++)
		musl_put(&m, m.group + 16 + 192 * i - 4, 0xdeadbeef, 4);
	assert_int_equal(heaps_find_with(m.t, only_musl, &h, NULL), 0);
	assert_int_equal(heaps_walk(h, HEAP_ALL, see, &s, NULL), 0);
	assert_true(heaps_get(h, 0)->flags & HEAP_SUSPECT);
	assert_non_null(strstr(heaps_get(h, 0)->fault, "header that fits"));
	assert_int_equal(s.nr[BLOCK_BUSY], MUSL_SLOTS - 1 - 3 + MUSL_SMALL - 2 + 1 + 1);
	heaps_free(h);
	target_close(m.t);
}

/* A record that leads into nothing, and one whose memory speaks of another record. */
static void lost_groups(void **state)
{
	struct musl_image m;
	struct heaps *h;
	size_t nr, wrong = 0;
	const struct heap_verdict *v;

	(void)state;
	musl_make(&m, 8, false);
	musl_put(&m, m.area + 24 + 40 * 9 + 16, 0x41414140, 8);
	musl_put(&m, m.gift, m.area, 8);
	assert_int_equal(heaps_find_with(m.t, only_musl, &h, NULL), 0);
	assert_int_equal(heaps_walk(h, HEAP_ALL, NULL, NULL, NULL), 0);
	v = heaps_verdicts(h, &nr);
	for (size_t i = 0; i < nr; i++)
		wrong += v[i].expected == v[i].found + 2;
	assert_int_equal(wrong, 1);
	heaps_free(h);
	target_close(m.t);
}

static void none(void **state)
{
	struct musl_image m;
	struct heaps *h;

	(void)state;
	musl_make(&m, 8, false);
	musl_put(&m, m.area, MUSL_SECRET + 1, 8);
	assert_int_equal(heaps_find_with(m.t, only_musl, &h, NULL), 0);
	assert_int_equal(heaps_nr(h), 0);
	heaps_free(h);
	target_close(m.t);
}

/* The list of areas leads back into itself, past its beginning: each area counts once. */
static void areas_in_a_circle(void **state)
{
	struct musl_image m;
	struct heaps *h;
	uint64_t second, bytes = 0;
	size_t nr;
	const struct heap_verdict *v;
	const struct heap *heap;

	(void)state;
	musl_make(&m, 8, false);
	second = m.area + 4096;
	memcpy(fake_target_at(m.t, second), fake_target_at(m.t, m.area), 24);
	musl_put(&m, m.area + 8, second, 8);
	musl_put(&m, second + 8, second, 8);
	/* With the record of the gift in it. */
	memcpy(fake_target_at(m.t, second + 24), fake_target_at(m.t, m.area + 24 + 40 * 6), 40);
	memset(fake_target_at(m.t, m.area + 24 + 40 * 6), 0, 40);
	musl_put(&m, m.gift, second + 24, 8);
	assert_int_equal(heaps_find_with(m.t, only_musl, &h, NULL), 0);
	assert_int_equal(heaps_nr(h), 2);
	heap = heaps_get(h, 0);
	for (size_t i = 0; i < heap->nr_spans; i++)
		if (heap->spans[i].start == m.area)
			bytes = heap->spans[i].end - m.area;
	assert_int_equal(bytes, 2 * 4096);
	assert_int_equal(heaps_walk(h, HEAP_ALL, NULL, NULL, NULL), 0);
	assert_string_equal(heaps_get(h, 0)->fault, "");
	v = heaps_verdicts(h, &nr);
	for (size_t i = 0; i < nr; i++)
		assert_int_equal(v[i].expected, v[i].found);
	heaps_free(h);
	target_close(m.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wide),	       cmocka_unit_test(narrow),
		cmocka_unit_test(described),   cmocka_unit_test(damaged),
		cmocka_unit_test(lost_groups), cmocka_unit_test(areas_in_a_circle),
		cmocka_unit_test(none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
