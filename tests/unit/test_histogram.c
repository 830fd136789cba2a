/* Blocks counted by size and heap, against counts that are made independently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/histogram.h"

static void test_empty(void **state)
{
	struct histogram h = {0};
	struct histogram_entry rows[4];
	struct histogram_changes changes;
	size_t pos = 0;

	(void)state;
	assert_null(histogram_find(&h, 0, 16));
	assert_null(histogram_next(&h, &pos));
	assert_int_equal(histogram_top(&h, HISTOGRAM_BY_BYTES, rows, 4), 0);
	histogram_diff(&h, &h, &changes);
	assert_int_equal(changes.nr, 0);
	histogram_changes_release(&changes);
	histogram_changes_release(NULL);
	histogram_release(&h);
	histogram_release(NULL);
}

/* Sizes 0, 16, 32 … in three heaps, size k a total of k % 7 + 1 times. */
static void test_counts(void **state)
{
	struct histogram h = {0};
	uint64_t blocks = 0, bytes = 0;

	(void)state;
	for (uint64_t k = 0; k < 5000; k++) {
		for (uint64_t n = 0; n < k % 7 + 1; n++) {
			histogram_add(&h, (uint32_t)(k % 3), k * 16);
			blocks++;
			bytes += k * 16;
		}
	}
	assert_int_equal(h.nr, 5000);
	assert_int_equal(h.count, blocks);
	assert_int_equal(h.bytes, bytes);
	for (uint64_t k = 0; k < 5000; k++) {
		const struct histogram_entry *e = histogram_find(&h, (uint32_t)(k % 3), k * 16);

		assert_non_null(e);
		assert_int_equal(e->count, k % 7 + 1);
		assert_int_equal(e->bytes, (k % 7 + 1) * k * 16);
		assert_null(histogram_find(&h, (uint32_t)(k % 3) + 1, k * 16));
	}
	histogram_release(&h);
	assert_int_equal(h.nr, 0);
}

static void test_merge_and_pick(void **state)
{
	struct histogram h = {0}, all = {0}, one = {0}, renumbered = {0};
	const uint32_t map[] = {7, 0};

	(void)state;
	histogram_add_many(&h, 0, 64, 10);
	histogram_add_many(&h, 1, 64, 5);
	histogram_add_many(&h, 1, 128, 1);
	histogram_add_many(&h, 2, 128, 0);
	assert_int_equal(h.nr, 3);
	histogram_merge(&h, &all);
	assert_int_equal(all.nr, 2);
	assert_int_equal(histogram_find(&all, HISTOGRAM_ALL_HEAPS, 64)->count, 15);
	assert_int_equal(histogram_find(&all, HISTOGRAM_ALL_HEAPS, 128)->bytes, 128);
	histogram_pick(&h, 1, &one);
	assert_int_equal(one.nr, 2);
	assert_int_equal(one.count, 6);
	histogram_renumber(&h, map, 2, &renumbered);
	assert_int_equal(histogram_find(&renumbered, 7, 64)->count, 10);
	assert_int_equal(histogram_find(&renumbered, 0, 64)->count, 5);
	assert_int_equal(renumbered.bytes, h.bytes);
	histogram_release(&h);
	histogram_release(&all);
	histogram_release(&one);
	histogram_release(&renumbered);
}

static void test_top(void **state)
{
	struct histogram h = {0};
	struct histogram_entry rows[3];

	(void)state;
	histogram_add_many(&h, 0, 1000, 2);
	histogram_add_many(&h, 0, 10, 200);
	histogram_add_many(&h, 0, 3, 50);
	histogram_add_many(&h, 0, 70000, 1);
	assert_int_equal(histogram_top(&h, HISTOGRAM_BY_BYTES, rows, 3), 3);
	assert_int_equal(rows[0].size, 70000);
	assert_int_equal(rows[1].size, 10); /* 2000 bytes as well: the smaller size first */
	assert_int_equal(rows[2].size, 1000);
	assert_int_equal(histogram_top(&h, HISTOGRAM_BY_COUNT, rows, 2), 2);
	assert_int_equal(rows[0].size, 10);
	assert_int_equal(rows[1].size, 3);
	assert_int_equal(histogram_top(&h, HISTOGRAM_BY_SIZE, rows, 3), 3);
	assert_int_equal(rows[1].size, 1000);
	histogram_release(&h);
}

static void test_diff(void **state)
{
	struct histogram a = {0}, b = {0};
	struct histogram_changes c;

	(void)state;
	histogram_add_many(&a, 0, 100, 5); /* stays */
	histogram_add_many(&a, 0, 200, 5); /* grows */
	histogram_add_many(&a, 0, 300, 5); /* goes */
	histogram_add_many(&b, 0, 100, 5);
	histogram_add_many(&b, 0, 200, 50);
	histogram_add_many(&b, 0, 400, 7); /* comes */
	histogram_diff(&a, &b, &c);
	assert_int_equal(c.nr, 4);
	assert_int_equal(c.items[0].size, 200);
	assert_int_equal(histogram_change_bytes(&c.items[0]), 9000);
	assert_int_equal(histogram_change_count(&c.items[0]), 45);
	assert_int_equal(c.items[1].size, 400);
	assert_int_equal(c.items[2].size, 100);
	assert_int_equal(c.items[3].size, 300);
	assert_int_equal(histogram_change_bytes(&c.items[3]), -1500);
	assert_int_equal(c.grown_bytes, 9000 + 2800);
	assert_int_equal(c.shrunk_bytes, 1500);
	histogram_changes_release(&c);
	histogram_release(&a);
	histogram_release(&b);
}

/* Figures that nobody can have, as a hostile file may claim. */
static void test_sums_stop(void **state)
{
	struct histogram h = {0};

	(void)state;
	histogram_add_many(&h, 0, UINT64_MAX, 2);
	histogram_add(&h, 1, UINT64_MAX);
	histogram_add_many(&h, 2, 1, UINT64_MAX);
	assert_true(h.bytes == UINT64_MAX);
	assert_true(h.count == UINT64_MAX);
	assert_true(histogram_find(&h, 0, UINT64_MAX)->bytes == UINT64_MAX);
	histogram_release(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),	       cmocka_unit_test(test_counts),
		cmocka_unit_test(test_merge_and_pick), cmocka_unit_test(test_top),
		cmocka_unit_test(test_diff),	       cmocka_unit_test(test_sums_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
