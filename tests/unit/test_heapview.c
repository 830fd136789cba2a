/* Heaps as tables, the balance, changes and the sentence, on snapshots whose figures are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../tools/heap_snapshots.h"
#include "base/str.h"
#include "model/balance.h"
#include "model/heapdiff.h"
#include "model/heapnames.h"
#include "model/heapview.h"
#include "model/map_use.h"
#include "model/sheet.h"

static const struct cell *cell(const struct sheet *s, size_t row, const char *key)
{
	size_t column = sheet_find_column(s, key);

	assert_int_not_equal(column, SIZE_MAX);
	return sheet_cell(s, row, column);
}

static const struct cell *total(const struct sheet *s, const char *key)
{
	for (size_t i = 0; i < s->nr_totals; i++)
		if (!strcmp(s->totals[i].key, key))
			return &s->totals[i].value;
	fail_msg("there is no total %s", key);
	return NULL;
}

static bool has_note(const struct sheet *s, const char *part)
{
	for (size_t i = 0; i < s->nr_notes; i++)
		if (strstr(s->notes[i], part))
			return true;
	return false;
}

static int64_t line(const struct balance *b, const char *key)
{
	for (size_t i = 0; i < b->nr; i++)
		if (!strcmp(balance_line_key(&b->lines[i]), key))
			return b->lines[i].bytes;
	return 0;
}

static void assert_closes(const struct balance *b)
{
	int64_t sum = 0;

	for (size_t i = 0; i < b->nr; i++)
		sum += b->lines[i].bytes;
	assert_int_equal(sum, b->rss_bytes);
}

static void test_rows_and_totals(void **state)
{
	struct snapshot s;
	struct sheet sheet;

	(void)state;
	heaps_before(&s);
	assert_int_equal(snapshot_check(&s, NULL), 0);
	heapview_make(&s, &sheet);
	assert_string_equal(sheet.schema, "seep-heaps-1");
	assert_int_equal(sheet_rows(&sheet), 5);
	assert_true(sheet.has_total_row);
	assert_string_equal(cell(&sheet, 1, "heap")->text, "glibc arena 1");
	assert_string_equal(cell(&sheet, 1, "threads")->text, "worker");
	assert_string_equal(cell(&sheet, 1, "tids")->text, "4243");
	assert_int_equal(cell(&sheet, 1, "address")->u, 0x7f1000000030);
	assert_false(cell(&sheet, 2, "address")->known);
	assert_int_equal(cell(&sheet, 1, "fragmentation_percent")->u, 150);
	assert_string_equal(cell(&sheet, 3, "inside")->text, "glibc direct");
	/* the sub-heap's bytes are in the sum already */
	assert_int_equal(cell(&sheet, 4, "busy_bytes")->u, (64 + 1000 + 2040) * KIB);
	assert_int_equal(cell(&sheet, 4, "busy_blocks")->u, 1052);
	assert_int_equal(total(&sheet, "busy_bytes")->u, (64 + 1000 + 2040) * KIB);
	assert_int_equal(total(&sheet, "busy_blocks")->u, 1052);
	assert_int_equal(total(&sheet, "committed_bytes")->u, (132 + 1200 + 2048) * KIB);
	assert_int_equal(sheet.nr_parts, 1);
	assert_string_equal(sheet.parts[0].key, "balance");
	sheet_release(&sheet);
	snapshot_release(&s);
}

static void test_unknown_is_not_zero(void **state)
{
	struct snapshot s;
	struct sheet sheet;

	(void)state;
	heaps_before(&s);
	s.heaps[2].flags = 0;
	s.heaps[2].kind = HEAP_UNKNOWN;
	heapview_make(&s, &sheet);
	assert_false(cell(&sheet, 2, "busy_bytes")->known);
	assert_false(cell(&sheet, 2, "resident_bytes")->known);
	assert_true(cell(&sheet, 2, "committed_bytes")->known);
	assert_string_equal(cell(&sheet, 2, "state")->text, "not walked");
	assert_true(has_note(&sheet, "1 heap of 2.0 MiB could not be walked"));
	sheet_release(&sheet);
	snapshot_release(&s);

	make_begin(&s, 3);
	heapview_make(&s, &sheet);
	assert_int_equal(sheet_rows(&sheet), 0);
	assert_true(has_note(&sheet, "No heap was found"));
	sheet_release(&sheet);
	snapshot_release(&s);
}

static void test_balance_closes(void **state)
{
	struct balance b;
	struct snapshot s;

	(void)state;
	heaps_before(&s);
	assert_true(balance_make(&s, &b));
	assert_closes(&b);
	assert_int_equal(b.rss_bytes, 1776 * KIB);
	assert_int_equal(line(&b, "internal"), 4 * KIB);
	assert_int_equal(line(&b, "cached"), 2 * KIB);
	assert_int_equal(line(&b, "free_pages"), 100 * KIB);
	assert_int_equal(line(&b, "free_pieces"), (60 - 48) * KIB);
	assert_int_equal(line(&b, "overhead"), (6 + 20 + 8) * KIB);
	/* main: 60 less 4 that are not resident; the arena: all; direct: a quarter */
	assert_int_equal(line(&b, "in_use"), (56 + 1000 + 504) * KIB);
	assert_int_equal(line(&b, "image"), 40 * KIB);
	assert_int_equal(line(&b, "stack"), 16 * KIB);
	assert_int_equal(line(&b, "unclaimed"), 8 * KIB);
	assert_int_equal(line(&b, "changed"), 0);
	assert_int_equal(b.untouched_bytes,
			 (60 + 1000 + 2040) * KIB - (uint64_t)line(&b, "in_use"));
	assert_int_equal(b.footprint_bytes, (1736 + 64) * KIB);
	snapshot_release(&s);
}

/* The same word is the same figure in seep heaps and in seep map. */
static void test_footprint_is_that_of_the_map(void **state)
{
	struct map_footprint cost;
	struct balance b;
	struct snapshot s;
	struct region *r;

	(void)state;
	heaps_before(&s);
	r = make_region(&s, REGION_SHARED, 0x7ff100000000, 64 * KIB, 64 * KIB);
	r->prot = 11;
	r->anonymous = 0;
	r->pss = r->private_dirty = 64 * KIB;
	assert_true(balance_make(&s, &b));
	map_footprint_of(&s, &cost);
	assert_int_equal(b.footprint_bytes, cost.total);
	assert_int_equal(b.footprint_bytes, (1736 + 64 + 64) * KIB);
	snapshot_release(&s);
}

static void test_balance_of_different_instants(void **state)
{
	struct balance b;
	struct snapshot s;

	(void)state;
	/* a heap became larger after the mappings were read */
	heaps_before(&s);
	s.heaps[1].figures.resident_bytes += 24 * KIB;
	s.heaps[1].figures.busy_bytes += 24 * KIB;
	assert_true(balance_make(&s, &b));
	assert_closes(&b);
	assert_int_equal(line(&b, "unclaimed"), 0);
	assert_int_equal(line(&b, "changed"), -16 * (int64_t)KIB);
	/* the kernel's own total is another */
	s.figures.rss += 12 * KIB;
	assert_true(balance_make(&s, &b));
	assert_closes(&b);
	assert_int_equal(line(&b, "kernel"), 12 * KIB);
	s.figures.rss = 0;
	assert_true(balance_make(&s, &b));
	assert_closes(&b);
	assert_int_equal(b.rss_bytes, 1776 * KIB);
	s.has_region_use = false;
	assert_false(balance_make(&s, &b));
	snapshot_release(&s);
}

static void test_balance_of_unknown_and_hostile_heaps(void **state)
{
	struct balance b;
	struct snapshot s;

	(void)state;
	heaps_before(&s);
	s.heaps[2].flags = HEAP_HAS_RESIDENCY;
	assert_true(balance_make(&s, &b));
	assert_closes(&b);
	assert_int_equal(line(&b, "unknown_heap"), 512 * KIB);
	memset(&s.heaps[1].figures, 0xff, sizeof(s.heaps[1].figures));
	for (size_t i = 0; i < s.nr_regions; i++)
		s.regions[i].rss = UINT64_MAX;
	assert_true(balance_make(&s, &b));
	snapshot_release(&s);
}

static void test_threads_are_shortened(void **state)
{
	struct str text = STR_INIT;
	struct heap_names n;
	struct snapshot s;
	uint32_t heap;

	(void)state;
	make_begin(&s, 1);
	heap = make_heap(&s, "glibc", "arena 3", HEAP_ARENA, 0, (struct heap_figures){0});
	for (int i = 0; i < 12; i++)
		make_thread(&s, 200 + i, i < 9 ? "worker" : "io", heap);
	make_thread(&s, 300, "net\033[31m", heap);
	make_thread(&s, 301, "a rather long name", heap);
	make_thread(&s, 302, "elsewhere", NO_INDEX);
	heap_names_init(&n, &s);
	assert_int_equal(heap_names_threads(&n, heap, 20, &text), 14);
	assert_string_equal(text.data, "worker x9, io x3 +2");
	str_clear(&text);
	heap_names_threads(&n, heap, 100, &text);
	assert_string_equal(text.data, "worker x9, io x3, net\\x1b[31m, a rather long name");
	str_clear(&text);
	heap_names_threads(&n, heap, 1, &text);
	assert_string_equal(text.data, "worker x9 +5");
	str_clear(&text);
	heap_names_subject(&n, heap, &text);
	assert_true(strstr(text.data, "the heap of threads worker x9") == text.data);
	assert_non_null(strstr(text.data, "(glibc arena 3)"));
	heap_names_release(&n);
	str_release(&text);
	snapshot_release(&s);
}

static void diff_of(const struct snapshot *before, const struct snapshot *after, struct heapdiff *d)
{
	struct histogram b, a;

	histogram_init(&b);
	histogram_init(&a);
	heapdiff_sizes(before, &b);
	heapdiff_sizes(after, &a);
	heapdiff_make(before, &b, after, &a, d);
	histogram_release(&b);
	histogram_release(&a);
}

static void test_the_growing_heap_is_named(void **state)
{
	struct str text = STR_INIT;
	struct snapshot before, after;
	struct heapdiff d;
	struct sheet sheet;

	(void)state;
	heaps_before(&before);
	heaps_after(&after);
	diff_of(&before, &after, &d);
	assert_int_equal(d.nr, 4);
	assert_int_equal(heapdiff_lead(&d), 1);
	assert_int_equal(heapdiff_growth(&d, 1), 1200 * KIB);
	heapdiff_sentence(&d, &text);
	assert_string_equal(text.data,
			    "The heap of thread worker (glibc arena 1) grows at 100.0 KiB/s, by "
			    "blocks of 3,072 and 1,024 bytes (+1.1 MiB in 12.0 s).");
	heapdiff_show(&d, 8, &sheet);
	assert_int_equal(cell(&sheet, 1, "delta_busy_bytes")->i, 1200 * KIB);
	assert_int_equal(cell(&sheet, 1, "busy_bytes_per_s")->i, 100 * KIB);
	assert_int_equal(cell(&sheet, 4, "delta_busy_blocks")->i, 600);
	assert_string_equal(total(&sheet, "growing_heap")->text, "glibc arena 1");
	assert_int_equal(sheet.nr_parts, 1);
	assert_int_equal(sheet_rows(&sheet.parts[0]), 2);
	assert_int_equal(cell(&sheet.parts[0], 0, "size")->u, 3072);
	assert_int_equal(cell(&sheet.parts[0], 0, "delta_blocks")->i, 300);
	sheet_release(&sheet);
	heapdiff_release(&d);
	str_clear(&text);

	/* backwards nothing grows */
	diff_of(&after, &before, &d);
	assert_int_equal(heapdiff_lead(&d), SIZE_MAX);
	heapdiff_sentence(&d, &text);
	assert_string_equal(text.data, "No heap grows.");
	heapdiff_release(&d);
	str_release(&text);
	snapshot_release(&before);
	snapshot_release(&after);
}

static void test_heaps_come_and_go(void **state)
{
	struct snapshot before, after;
	struct str text = STR_INIT;
	struct sheet sheet;
	struct heapdiff d;

	(void)state;
	heaps_before(&before);
	heaps_before(&after);
	/* the arena of the newer look is another one, and the order of heaps changed */
	after.heaps[1].addr = 0x7f8000000030;
	after.heaps[1].name = make_text(&after, "arena 2");
	after.taken_monotonic_ns = 0;
	diff_of(&before, &after, &d);
	assert_int_equal(d.nr, 5);
	assert_int_equal(d.rows[1].before, NO_INDEX);
	assert_int_equal(d.rows[4].before, 1);
	assert_int_equal(d.rows[4].after, NO_INDEX);
	assert_int_equal(heapdiff_growth(&d, 4), -1000 * (int64_t)KIB);
	heapdiff_sentence(&d, &text);
	assert_string_equal(text.data, "The heap of thread worker (glibc arena 2) grew by 1000.0 "
				       "KiB, by blocks of 3,072 and 1,024 bytes.");
	heapdiff_show(&d, 8, &sheet);
	assert_string_equal(cell(&sheet, 1, "heap")->text, "glibc arena 2 (new)");
	assert_string_equal(cell(&sheet, 4, "heap")->text, "glibc arena 1 (gone)");
	assert_false(cell(&sheet, 0, "busy_bytes_per_s")->known);
	sheet_release(&sheet);
	heapdiff_release(&d);
	str_release(&text);
	snapshot_release(&before);
	snapshot_release(&after);
}

/* A structure that moved is still that of the heap of this name. */
static void test_a_heap_that_moved(void **state)
{
	struct snapshot before, after;
	struct heapdiff d;

	(void)state;
	heaps_before(&before);
	heaps_after(&after);
	after.heaps[1].addr = 0x7f8000000030;
	diff_of(&before, &after, &d);
	assert_int_equal(d.nr, 4);
	assert_int_equal(d.rows[1].before, 1);
	heapdiff_release(&d);
	/* addresses come before names */
	after.heaps[1].addr = before.heaps[0].addr;
	after.heaps[0].addr = before.heaps[1].addr;
	diff_of(&before, &after, &d);
	assert_int_equal(d.nr, 4);
	assert_int_equal(d.rows[0].before, 1);
	assert_int_equal(d.rows[1].before, 0);
	heapdiff_release(&d);
	snapshot_release(&before);
	snapshot_release(&after);
}

static void test_growth_inside_another_heap(void **state)
{
	struct str text = STR_INIT;
	struct snapshot before, after;
	struct heapdiff d;

	(void)state;
	heaps_before(&before);
	heaps_before(&after);
	after.heaps[2].figures.busy_bytes += 512 * KIB;
	diff_of(&before, &after, &d);
	assert_int_equal(heapdiff_lead(&d), 2);
	heapdiff_release(&d);
	after.heaps[3].figures.busy_bytes += 500 * KIB;
	after.heaps[0].figures.busy_bytes += 256 * KIB;
	diff_of(&before, &after, &d);
	assert_int_equal(heapdiff_lead(&d), 3);
	heapdiff_sentence(&d, &text);
	assert_string_equal(text.data, "Heap python arenas grew by 500.0 KiB. Then comes heap "
				       "glibc main with 256.0 KiB.");
	str_release(&text);
	heapdiff_release(&d);
	snapshot_release(&before);
	snapshot_release(&after);
}

static void test_verdicts(void **state)
{
	struct heap_verdicts v;
	struct sheet sheet;
	struct snapshot s;

	(void)state;
	heaps_before(&s);
	heapview_judge(&s, &v);
	assert_int_equal(v.nr, 2);
	assert_false(v.damage);
	heapview_checks(&s, &sheet);
	assert_true(has_note(&sheet, "Every check holds"));
	sheet_release(&sheet);
	snapshot_release(&s);

	heaps_damaged(&s);
	heapview_judge(&s, &v);
	assert_int_equal(v.failed, 1);
	assert_int_equal(v.damaged_heaps, 1);
	assert_true(v.damage);
	heapview_checks(&s, &sheet);
	assert_false(cell(&sheet, 0, "holds")->u);
	assert_true(has_note(&sheet, "glibc arena 1 does not fit together: size 0x4141414141414140 "
				     "of a block reaches outside, first at 0x7f1000000b10."));
	assert_true(has_note(&sheet, "1 heap is damaged"));
	sheet_release(&sheet);

	/* somebody was in it, or it was not one instant: that is no damage */
	s.heaps[1].flags |= HEAP_LOCKED;
	heapview_judge(&s, &v);
	assert_false(v.damage);
	s.heaps[1].flags &= (uint8_t)~HEAP_LOCKED;
	s.method = make_text(&s, "live");
	heapview_judge(&s, &v);
	assert_int_equal(v.damaged_heaps, 1);
	assert_false(v.damage);
	s.method = make_text(&s, "core");
	heapview_judge(&s, &v);
	assert_true(v.damage);
	snapshot_release(&s);

	/* books of the allocator as a whole */
	heaps_before(&s);
	make_check(&s, "arenas in the ring = heaps", NO_INDEX, 3, 2);
	heapview_judge(&s, &v);
	assert_true(v.damage);
	assert_int_equal(v.damaged_heaps, 0);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows_and_totals),
		cmocka_unit_test(test_unknown_is_not_zero),
		cmocka_unit_test(test_balance_closes),
		cmocka_unit_test(test_footprint_is_that_of_the_map),
		cmocka_unit_test(test_balance_of_different_instants),
		cmocka_unit_test(test_balance_of_unknown_and_hostile_heaps),
		cmocka_unit_test(test_threads_are_shortened),
		cmocka_unit_test(test_the_growing_heap_is_named),
		cmocka_unit_test(test_heaps_come_and_go),
		cmocka_unit_test(test_a_heap_that_moved),
		cmocka_unit_test(test_growth_inside_another_heap),
		cmocka_unit_test(test_verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
