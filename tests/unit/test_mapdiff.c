/* model/mapdiff: what changed between two maps made by hand. */
#include "mapview_test.h"

#include "model/mapdiff.h"

static struct sheet difference(const struct snapshot *a, const struct snapshot *b, bool by_address)
{
	struct error e = {0};
	struct sheet sheet;

	if (mapdiff_fill(a, b, by_address, &plain, &sheet, &e) < 0)
		fail_msg("%s", e.message);
	return sheet;
}

static void nothing_changed(void **state)
{
	struct snapshot a, b;
	struct sheet sheet;

	(void)state;
	make(&a);
	make(&b);
	sheet = difference(&a, &b, true);
	assert_int_equal(sheet_rows(&sheet.parts[0]), 0);
	assert_int_equal(cell(&sheet, sheet_rows(&sheet) - 1, "rss_change_bytes")->i, 0);
	sheet_release(&sheet);
	snapshot_release(&a);
	snapshot_release(&b);
}

/* Region `start` of the difference must say this. */
static void check_change(const struct sheet *s, uint64_t start, const char *word, int64_t size,
			 int64_t rss)
{
	size_t row = 0;

	while (row < sheet_rows(s) && number(s, row, "start") != start)
		row++;
	assert_true(row < sheet_rows(s));
	assert_string_equal(cell(s, row, "change")->text, word);
	assert_int_equal(cell(s, row, "size_change_bytes")->i, size);
	assert_int_equal(cell(s, row, "rss_change_bytes")->i, rss);
}

static void what_changed_is_told(void **state)
{
	struct snapshot a, b;
	struct sheet sheet;
	struct region *r;
	int64_t page = (int64_t)PAGE;

	(void)state;
	map_snapshot(&a);
	map_snapshot(&b);
	r = &b.regions[map_find(&b, 0x500000)]; /* [heap] grew at its end */
	r->end += 16 * PAGE;
	r->rss = r->private_dirty = r->anonymous = 26 * PAGE;
	b.spans[0].end += 16 * PAGE;
	r = &b.regions[map_find(&b, 0x7ffd00000000)]; /* the stack at its beginning */
	r->start -= 4 * PAGE;
	r = &b.regions[map_find(&b, 0x7f0000b00000)];
	r->rss = r->private_clean = PAGE;
	b.regions[map_find(&b, 0x7f0000600000)].path = 0; /* another name: another thing */
	map_region(&b, 0x7ffe00000000, 0x7ffe00010000, PR | PW, "", 16 * PAGE);
	regions_classify(&a);
	regions_classify(&b);
	sheet = difference(&a, &b, true);
	check_change(&sheet.parts[0], 0x500000, "grown", 16 * page, 16 * page);
	check_change(&sheet.parts[0], 0x7ffd00000000 - 4 * PAGE, "grown", 4 * page, 0);
	check_change(&sheet.parts[0], 0x7f0000b00000, "shrunk", 0, -5 * page);
	check_change(&sheet.parts[0], 0x7ffe00000000, "new", 16 * page, 16 * page);
	assert_int_equal(sheet_rows(&sheet.parts[0]), 6);
	/* The largest change stands first. */
	assert_string_equal(cell(&sheet.parts[0], 0, "change")->text, "grown");
	assert_string_equal(cell(&sheet.parts[0], 0, "kind")->text, "heap");
	assert_int_equal(cell(&sheet, sheet_rows(&sheet) - 1, "rss_change_bytes")->i,
			 (16 - 5 + 16) * page);
	sheet_release(&sheet);
	/* The other way round what was new is gone. */
	sheet = difference(&b, &a, true);
	check_change(&sheet.parts[0], 0x7ffe00000000, "gone", -16 * page, -16 * page);
	check_change(&sheet.parts[0], 0x500000, "shrunk", -16 * page, -16 * page);
	sheet_release(&sheet);
	snapshot_release(&a);
	snapshot_release(&b);
}

static void joined_regions_are_the_same_memory(void **state)
{
	struct snapshot a, b;
	struct sheet sheet;

	(void)state;
	snapshot_init(&a);
	snapshot_init(&b);
	a.has_region_use = b.has_region_use = true;
	for (uint64_t i = 0; i < 8; i++)
		map_region(&a, 0x10000 + i * 0x1000, 0x11000 + i * 0x1000, PR | PW, "", PAGE);
	map_region(&b, 0x10000, 0x18000, PR | PW, "", 8 * PAGE);
	regions_classify(&a);
	regions_classify(&b);
	sheet = difference(&a, &b, true);
	assert_int_equal(sheet_rows(&sheet.parts[0]), 0);
	sheet_release(&sheet);
	/* Every second one became something else. */
	snapshot_release(&b);
	snapshot_init(&b);
	b.has_region_use = true;
	for (uint64_t i = 0; i < 8; i++)
		map_region(&b, 0x10000 + i * 0x1000, 0x11000 + i * 0x1000,
			   i % 2 ? PR | PW | PX : PR | PW, "", PAGE);
	regions_classify(&b);
	sheet = difference(&a, &b, true);
	assert_int_equal(sheet_rows(&sheet.parts[0]), 8);
	sheet_release(&sheet);
	snapshot_release(&a);
	snapshot_release(&b);
}

static void a_look_that_knows_less_makes_nothing_new(void **state)
{
	struct snapshot a, b;
	struct sheet sheet;
	size_t row = 0;

	(void)state;
	make(&a);
	map_snapshot(&b);
	b.nr_threads = b.nr_spans = 0;
	b.regions[map_find(&b, 0x7f0000401000)].rss += PAGE;
	regions_classify(&b);
	assert_int_equal(b.regions[map_find(&b, 0x7f0000401000)].kind, REGION_UNKNOWN);
	sheet = difference(&a, &b, true);
	assert_int_equal(sheet_rows(&sheet.parts[0]), 1);
	assert_string_equal(cell(&sheet.parts[0], row, "change")->text, "grown");
	assert_string_equal(cell(&sheet.parts[0], row, "kind")->text, "stack");
	assert_string_equal(cell(&sheet.parts[0], row, "detail")->text, "thread 101 worker");
	sheet_release(&sheet);
	snapshot_release(&a);
	snapshot_release(&b);
}

static void other_processes_are_compared_by_kind(void **state)
{
	struct snapshot a, b;
	struct sheet sheet;

	(void)state;
	make(&a);
	make(&b);
	b.regions[map_find(&b, 0x500000)].rss += PAGE;
	sheet = difference(&a, &b, false);
	assert_int_equal(sheet.nr_parts, 0);
	assert_int_equal(cell(&sheet, find_row(&sheet, "kind", "heap"), "rss_change_bytes")->i,
			 PAGE);
	sheet_release(&sheet);
	snapshot_release(&a);
	snapshot_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_changed),
		cmocka_unit_test(what_changed_is_told),
		cmocka_unit_test(joined_regions_are_the_same_memory),
		cmocka_unit_test(a_look_that_knows_less_makes_nothing_new),
		cmocka_unit_test(other_processes_are_compared_by_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
