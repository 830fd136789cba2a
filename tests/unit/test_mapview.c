/* model/mapview, map_use, map_words: sums, gaps and words of maps made by hand. */
#include <errno.h>
#include <stdlib.h>

#include "mapview_test.h"

#include "base/str.h"
#include "model/filter.h"
#include "model/map_use.h"
#include "model/map_words.h"

static struct sheet fill(const struct snapshot *s, const struct mapview_options *o)
{
	struct sheet sheet;
	struct error e = {0};

	if (mapview_fill(s, o, &sheet, &e) < 0)
		fail_msg("%s", e.message);
	return sheet;
}

static void kinds_add_up(void **state)
{
	static const char *const keys[] = {"regions",	  "size_bytes",	  "committed_bytes",
					   "rss_bytes",	  "pss_bytes",	  "uss_bytes",
					   "dirty_bytes", "private_bytes"};
	struct snapshot s;
	struct sheet sheet;
	size_t last;

	(void)state;
	make(&s);
	sheet = fill(&s, &plain);
	last = sheet_rows(&sheet) - 1;
	assert_true(sheet.has_total_row);
	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		uint64_t sum = 0, rows = 0;

		for (size_t r = 0; r < last; r++)
			sum += number(&sheet, r, keys[k]);
		assert_int_equal(sum, number(&sheet, last, keys[k]));
		assert_int_equal(sum, total(&sheet, keys[k]));
		if (sheet_find_column(&sheet.parts[0], keys[k]) == SIZE_MAX)
			continue;
		for (size_t r = 0; r < sheet_rows(&sheet.parts[0]); r++)
			rows += number(&sheet.parts[0], r, keys[k]);
		assert_int_equal(sum, rows);
	}
	assert_int_equal(total(&sheet, "rss_bytes"), 68 * PAGE);
	assert_int_equal(total(&sheet, "regions"), s.nr_regions);
	assert_int_equal(sheet_rows(&sheet.parts[0]), s.nr_regions);
	sheet_release(&sheet);
	snapshot_release(&s);
}

static void a_kind_has_its_figures(void **state)
{
	struct snapshot s;
	struct sheet sheet;
	size_t row;

	(void)state;
	make(&s);
	sheet = fill(&s, &plain);
	row = find_row(&sheet, "kind", "heap");
	assert_int_equal(number(&sheet, row, "regions"), 2);
	assert_int_equal(number(&sheet, row, "size_bytes"), 66 * PAGE);
	assert_int_equal(number(&sheet, row, "largest_bytes"), 33 * PAGE);
	assert_int_equal(number(&sheet, row, "rss_bytes"), 13 * PAGE);
	row = find_row(&sheet, "kind", "reserved");
	assert_int_equal(number(&sheet, row, "committed_bytes"), 0);
	row = find_row(&sheet, "kind", "shared");
	assert_int_equal(number(&sheet, row, "private_bytes"), 0);
	/* Read-only pages of a file are nobody's own; written ones are. */
	row = find_row(&sheet, "kind", "image");
	assert_int_equal(number(&sheet, row, "private_bytes"), 3 * PAGE);
	sheet_release(&sheet);
	snapshot_release(&s);
}

static void the_footprint_is_what_only_ending_gives_back(void **state)
{
	struct map_footprint cost;
	struct snapshot s;
	struct region *r;

	(void)state;
	snapshot_init(&s);
	s.figures.page_tables = 3 * PAGE;
	r = map_region(&s, 0x10000, 0x20000, PR | PW, "", 5 * PAGE);
	r->swap = 2 * PAGE;
	/* Shared by two: 4 pages of its own, 8 dirty and 8 clean shared ones, half of them its. */
	r = map_region(&s, 0x20000, 0x40000, PR | PW | PS, "/dev/zero", 20 * PAGE);
	r->private_clean = 0;
	r->private_dirty = 4 * PAGE;
	r->shared_dirty = r->shared_clean = 8 * PAGE;
	r->pss = 12 * PAGE;
	/* Dirty pages of a file can be written back. */
	r = map_region(&s, 0x40000, 0x50000, PR | PW | PS, "/data/table", 9 * PAGE);
	r->private_clean = 0;
	r->private_dirty = 9 * PAGE;
	regions_classify(&s);
	map_footprint_of(&s, &cost);
	assert_int_equal(cost.anonymous, 5 * PAGE);
	assert_int_equal(cost.swap, 2 * PAGE);
	assert_int_equal(cost.page_tables, 3 * PAGE);
	assert_int_equal(cost.shared_dirty, (4 + 4) * PAGE);
	assert_int_equal(cost.total, 18 * PAGE);
	snapshot_release(&s);
}

static void gaps_lie_between_regions(void **state)
{
	struct map_space space;
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	map_region(&s, 0x10000, 0x20000, PR, "", 0);
	map_region(&s, 0x30000, 0x40000, PR, "", 0);
	map_region(&s, 0x40000, 0x50000, PR, "", 0);
	map_space_of(&s, &space);
	assert_int_equal(space.limit, 1ull << 32);
	assert_int_equal(space.nr, 2);
	assert_int_equal(space.gaps[0].start, 0x20000);
	assert_int_equal(space.gaps[0].end, 0x30000);
	assert_int_equal(space.gaps[1].start, 0x50000);
	assert_int_equal(space.gaps[1].end, 1ull << 32);
	assert_int_equal(space.free_bytes, 0x10000 + (1ull << 32) - 0x50000);
	assert_int_equal(space.largest_bytes, (1ull << 32) - 0x50000);
	map_space_release(&space);
	/* vsyscall does not make everything below it free. */
	map_region(&s, 0x7ffd00000000, 0x7ffd00001000, PR, "", 0);
	map_region(&s, 0xffffffffff600000, 0xffffffffff601000, PX, "[vsyscall]", 0);
	map_space_of(&s, &space);
	assert_int_equal(space.limit, 1ull << 47);
	assert_int_equal(space.nr, 3);
	assert_int_equal(space.gaps[2].end, 1ull << 47);
	map_space_release(&space);
	snapshot_release(&s);
}

static void check_words(const struct snapshot *s, uint64_t start, size_t max, const char *expected)
{
	struct region_claim *claims = mem_alloc_array(s->nr_regions, sizeof(*claims));
	struct str out = STR_INIT;

	regions_claims(s, claims);
	region_detail_text(s, claims, map_find(s, start), max, &out);
	assert_string_equal(out.data, expected);
	str_release(&out);
	free(claims);
}

static void regions_are_told_in_words(void **state)
{
	struct snapshot s;

	(void)state;
	make(&s);
	check_words(&s, 0x401000, 0, "/opt/prog text");
	check_words(&s, 0x405000, 0, "/opt/prog bss");
	check_words(&s, 0x500000, 0, "glibc main");
	check_words(&s, 0x7f0000021000, 0, "glibc arena 1");
	check_words(&s, 0x7f0000200000, 0, "glibc direct, 2 blocks");
	check_words(&s, 0x7f0000400000, 0, "thread 101 worker");
	check_words(&s, 0x7f0000401000, 0, "thread 101 worker");
	check_words(&s, 0x7f0000412000, 0, "no thread, by its size and guard");
	check_words(&s, 0x7f0000500000, 0, "main thread prog");
	check_words(&s, 0x7f0000600000, 0, "pool");
	check_words(&s, 0x7f0000700000, 0, "");
	check_words(&s, 0x7f0000b00000, 0, "/dev/zero");
	snapshot_release(&s);
}

static void long_words_are_cut_where_they_say_least(void **state)
{
	struct snapshot s;

	(void)state;
	snapshot_init(&s);
	map_module(&s, "/usr/lib/python3/_bz2.cpython-311-x86_64.so", 0x10000, 0x20000);
	map_module(&s, "/usr/lib/libc.so.6", 0x20000, 0x30000);
	map_region(&s, 0x10000, 0x20000, PR | PX, "/usr/lib/python3/_bz2.cpython-311-x86_64.so", 0);
	map_region(&s, 0x20000, 0x30000, PR | PX, "/usr/lib/libc.so.6", 0);
	map_region(&s, 0x30000, 0x40000, PR | PW, "[anon:a pool with a long name]", 0);
	map_region(&s, 0x40000, 0x50000, PR | PW, "[anon:\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc]", 0);
	regions_classify(&s);
	check_words(&s, 0x10000, 24, "_bz2.cpython-311… text");
	check_words(&s, 0x20000, 18, "…/libc.so.6 text");
	check_words(&s, 0x20000, 60, "/usr/lib/libc.so.6 text");
	check_words(&s, 0x30000, 12, "a pool wi…");
	/* Never half a character. */
	check_words(&s, 0x40000, 8, "\u00e4\u00f6…");
	check_words(&s, 0x40000, 3, "…");
	snapshot_release(&s);
}

static uint64_t filtered_rss(const struct snapshot *s, const char *text)
{
	struct mapview_options o = plain;
	struct filter *filter;
	struct error e = {0};
	struct sheet sheet;
	uint64_t rss;

	if (mapview_filter_parse(text, &filter, &e) < 0)
		fail_msg("%s", e.message);
	o.filter = filter;
	sheet = fill(s, &o);
	rss = number(&sheet, sheet_rows(&sheet) - 1, "rss_bytes");
	/* Totals are the process's, whatever is listed. */
	assert_int_equal(total(&sheet, "rss_bytes"), 68 * PAGE);
	sheet_release(&sheet);
	filter_free(filter);
	return rss;
}

static void filters_choose_regions(void **state)
{
	struct filter *filter;
	struct error e = {0};
	struct snapshot s;

	(void)state;
	make(&s);
	assert_int_equal(filtered_rss(&s, "kind=heap"), 13 * PAGE);
	assert_int_equal(filtered_rss(&s, "kind=heap or kind=block"), 33 * PAGE);
	assert_int_equal(filtered_rss(&s, "kind=image and section=text"), 3 * PAGE);
	assert_int_equal(filtered_rss(&s, "prot~w.x"), 0);
	assert_int_equal(filtered_rss(&s, "prot=rwxp"), PAGE);
	assert_int_equal(filtered_rss(&s, "path~libx"), 3 * PAGE);
	assert_int_equal(filtered_rss(&s, "owner=libx.so"), 3 * PAGE);
	assert_int_equal(filtered_rss(&s, "owner~worker"), 2 * PAGE);
	assert_int_equal(filtered_rss(&s, "size>=1M and rss>4k"), 24 * PAGE);
	assert_int_equal(filtered_rss(&s, "addr=0x400000..0x402000"), 3 * PAGE);
	assert_int_equal(filtered_rss(&s, "not rss>0"), 0);
	assert_int_equal(filtered_rss(&s, "pool"), 4 * PAGE);
	assert_int_equal(mapview_filter_parse("age>5", &filter, &e), -EINVAL);
	assert_int_equal(e.status, EXIT_USAGE);
	assert_non_null(strstr(e.hint, "section"));
	assert_int_equal(mapview_filter_parse("kind>5", &filter, &e), -EINVAL);
	snapshot_release(&s);
}

static void owners_gather_their_regions(void **state)
{
	struct mapview_options o = plain;
	struct snapshot s;
	struct sheet sheet;
	const struct sheet *part;
	size_t row;

	(void)state;
	make(&s);
	o.group = MAP_BY_OWNER;
	sheet = fill(&s, &o);
	part = &sheet.parts[0];
	assert_string_equal(part->key, "owners");
	row = find_row(part, "owner", "/opt/prog");
	assert_int_equal(number(part, row, "regions"), 6);
	assert_int_equal(number(part, row, "rss_bytes"), 6 * PAGE);
	/* An arena's heap and the rest of its reservation are of two kinds. */
	row = find_row(part, "owner", "glibc arena 1");
	assert_string_equal(cell(part, row, "kind")->text, "heap");
	assert_int_equal(number(part, row, "regions"), 1);
	/* Kinds stand together in their order. */
	assert_string_equal(cell(part, 0, "owner")->text, "glibc main");
	sheet_release(&sheet);
	snapshot_release(&s);
}

static void rows_are_sorted_and_cut(void **state)
{
	struct mapview_options o = plain;
	struct error e = {0};
	struct snapshot s;
	struct sheet sheet;

	(void)state;
	make(&s);
	o.sort = "rss";
	o.limit = 2;
	sheet = fill(&s, &o);
	assert_int_equal(sheet_rows(&sheet.parts[0]), 2);
	assert_int_equal(number(&sheet.parts[0], 0, "start"), 0x7f0000200000);
	assert_int_equal(number(&sheet.parts[0], 1, "start"), 0x500000);
	assert_int_equal(sheet.parts[0].rows_left_out, s.nr_regions - 2);
	sheet_release(&sheet);
	o.summary = true;
	o.limit = 0;
	sheet = fill(&s, &o);
	assert_int_equal(sheet.nr_parts, 0);
	assert_string_equal(cell(&sheet, 0, "kind")->text, "block");
	assert_string_equal(cell(&sheet, sheet_rows(&sheet) - 1, "kind")->text, "total");
	sheet_release(&sheet);
	o.sort = "colour";
	assert_int_equal(mapview_fill(&s, &o, &sheet, &e), -EINVAL);
	assert_int_equal(e.status, EXIT_USAGE);
	snapshot_release(&s);
}

static void gaps_are_rows_when_asked_for(void **state)
{
	struct mapview_options o = plain;
	struct map_space space;
	struct snapshot s;
	struct sheet sheet;
	uint64_t at = 0, gaps = 0;

	(void)state;
	make(&s);
	o.free_gaps = true;
	sheet = fill(&s, &o);
	map_space_of(&s, &space);
	for (size_t r = 0; r < sheet_rows(&sheet.parts[0]); r++) {
		assert_true(number(&sheet.parts[0], r, "start") >= at);
		at = number(&sheet.parts[0], r, "end");
		gaps += strcmp(cell(&sheet.parts[0], r, "kind")->text, "free") == 0;
	}
	assert_int_equal(gaps, space.nr);
	assert_int_equal(total(&sheet, "free_gaps"), space.nr);
	map_space_release(&space);
	sheet_release(&sheet);
	snapshot_release(&s);
}

static void an_address_is_found(void **state)
{
	struct snapshot s;
	struct sheet sheet;

	(void)state;
	make(&s);
	mapview_fill_at(&s, &plain, 0x401234, &sheet);
	assert_int_equal(sheet_rows(&sheet), 3);
	assert_int_equal(number(&sheet, 1, "start"), 0x401000);
	assert_non_null(strstr(sheet.heading, "0x234 bytes into a region of kind image"));
	assert_non_null(strstr(sheet.notes[0], "0x1234"));
	sheet_release(&sheet);
	mapview_fill_at(&s, &plain, 0x450000, &sheet);
	assert_int_equal(sheet_rows(&sheet), 3);
	assert_string_equal(cell(&sheet, 1, "kind")->text, "free");
	assert_int_equal(number(&sheet, 1, "start"), 0x406000);
	assert_int_equal(number(&sheet, 1, "end"), 0x500000);
	sheet_release(&sheet);
	mapview_fill_at(&s, &plain, 0, &sheet);
	assert_int_equal(number(&sheet, 0, "start"), 0x400000);
	sheet_release(&sheet);
	mapview_fill_at(&s, &plain, UINT64_MAX, &sheet);
	assert_non_null(strstr(sheet.heading, "no program"));
	sheet_release(&sheet);
	snapshot_release(&s);
}

static void names_cannot_steer_a_terminal(void **state)
{
	struct snapshot s;
	struct sheet sheet;

	(void)state;
	snapshot_init(&s);
	map_region(&s, 0x10000, 0x20000, PR, "/tmp/\033[2J\n", 0);
	regions_classify(&s);
	mapview_fill_at(&s, &plain, 0x10000, &sheet);
	assert_null(strchr(sheet.heading, '\033'));
	assert_null(strchr(sheet.heading, '\n'));
	sheet_release(&sheet);
	snapshot_release(&s);
}

static void a_core_knows_sizes_only(void **state)
{
	struct snapshot s;
	struct sheet sheet;

	(void)state;
	make(&s);
	s.has_region_use = false;
	sheet = fill(&s, &plain);
	assert_true(cell(&sheet, 0, "size_bytes")->known);
	assert_false(cell(&sheet, 0, "rss_bytes")->known);
	assert_false(cell(&sheet.parts[0], 0, "dirty_bytes")->known);
	for (size_t i = 0; i < sheet.nr_totals; i++)
		assert_string_not_equal(sheet.totals[i].key, "rss_bytes");
	sheet_release(&sheet);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kinds_add_up),
		cmocka_unit_test(a_kind_has_its_figures),
		cmocka_unit_test(the_footprint_is_what_only_ending_gives_back),
		cmocka_unit_test(gaps_lie_between_regions),
		cmocka_unit_test(regions_are_told_in_words),
		cmocka_unit_test(long_words_are_cut_where_they_say_least),
		cmocka_unit_test(filters_choose_regions),
		cmocka_unit_test(owners_gather_their_regions),
		cmocka_unit_test(rows_are_sorted_and_cut),
		cmocka_unit_test(gaps_are_rows_when_asked_for),
		cmocka_unit_test(an_address_is_found),
		cmocka_unit_test(names_cannot_steer_a_terminal),
		cmocka_unit_test(a_core_knows_sizes_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
