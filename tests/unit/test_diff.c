/* The comparison of two snapshots and the rows made of it; all figures are those of the table in
 * meter_snapshots.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../tools/meter_snapshots.h"
#include "base/error.h"
#include "model/filter.h"
#include "model/listing.h"
#include "model/share_names.h"
#include "model/site.h"
#include "model/stack_ids.h"
#include "model/suppress.h"

struct pair {
	struct snapshot before, after;
};

static int set_up(void **state)
{
	struct pair *p = mem_alloc(sizeof(*p));

	meter_before(&p->before);
	meter_after(&p->after);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *p = *state;

	snapshot_release(&p->before);
	snapshot_release(&p->after);
	free(p);
	return 0;
}

static const char *lead_function(const struct listing *l, size_t row, struct lines *lines)
{
	listing_lines(l, l->rows[row].first, lines);
	return lines->items[site_of(lines).lead].function;
}

static void expect_row(const struct listing *l, size_t row, const char *function, int64_t bytes,
		       int64_t blocks, size_t nr_changed)
{
	const struct listing_row *r = &l->rows[row];
	struct lines lines;

	lines_init(&lines);
	assert_string_equal(lead_function(l, row, &lines), function);
	assert_int_equal(change_bytes(&r->before, &r->after), bytes);
	assert_int_equal(change_blocks(&r->before, &r->after), blocks);
	assert_int_equal(r->nr_changed, nr_changed);
	lines_release(&lines);
}

static void test_snapshots_are_sound(void **state)
{
	const struct pair *p = *state;
	struct error e = {0};

	if (snapshot_check(&p->before, &e) < 0 || snapshot_check(&p->after, &e) < 0)
		fail_msg("%s", e.message);
	assert_int_equal(snapshot_same_process(&p->before, &p->after, &e), 0);
	assert_int_equal(p->before.totals.live_bytes, 7672600);
	assert_int_equal(p->after.totals.live_bytes, 15293780);
}

static void test_stacks_match_by_content(void **state)
{
	const struct pair *p = *state;
	struct changes c;

	changes_of(&p->before, &p->after, &c);
	/* 5 stacks of the new one, and one that only the old one has. */
	assert_int_equal(c.nr, 6);
	assert_int_equal(c.elapsed_ns, 12 * MAKE_SECOND);
	assert_int_equal(c.items[0].id, 0x24);
	assert_int_equal(c.items[0].before.live_bytes, 100);
	assert_int_equal(c.items[0].after.live_bytes, 100);
	assert_int_equal(c.items[2].before.live_blocks, 1000);
	assert_int_equal(c.items[2].after.live_blocks, 2000);
	assert_int_equal(c.items[4].before.live_blocks, 0);
	assert_int_equal(c.items[5].id, 0x25);
	assert_ptr_equal(c.items[5].snapshot, &p->before);
	assert_int_equal(c.items[5].after.live_blocks, 0);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(c.of_after[i], i);
	changes_release(&c);
}

static void test_sites(void **state)
{
	const struct pair *p = *state;
	const struct listing_options options = {.group = GROUP_SITE};
	struct listing l;

	listing_make(&l, &p->before, &p->after, &options);
	assert_int_equal(l.nr_rows, 4);
	expect_row(&l, 0, "cpu_info_new", 4573680, 1003, 2);
	expect_row(&l, 1, "battery_info_new", 3072000, 1000, 1);
	expect_row(&l, 2, "warm_up", -500, -1, 1);
	expect_row(&l, 3, "cache_put", -24000, -6, 1);
	/* Within the row: the stack that grew most comes first. */
	assert_int_equal(listing_change(&l, l.rows[0].first)->id, 0x22);
	assert_int_equal(listing_change(&l, l.rows[0].first + 1)->id, 0x26);
	assert_int_equal(l.rows[0].after.live_bytes, 9133680);

	assert_int_equal(l.totals.grown_bytes, 7645680);
	assert_int_equal(l.totals.grown_blocks, 2003);
	assert_int_equal(l.totals.grown_rows, 2);
	assert_int_equal(l.totals.shrunk_bytes, 24500);
	assert_int_equal(l.totals.shrunk_blocks, 7);
	assert_int_equal(l.totals.shrunk_rows, 2);
	assert_int_equal(l.totals.lead_rows, 2);
	assert_int_equal(l.totals.lead_bytes, 7645680);
	assert_float_equal(rate_of(7645680 - 24500, l.totals.elapsed_ns), 635098.333, 0.01);
	listing_release(&l);
}

static void test_other_groups(void **state)
{
	const struct pair *p = *state;
	struct listing_options options = {.group = GROUP_STACK};
	struct listing l;

	listing_make(&l, &p->before, &p->after, &options);
	assert_int_equal(l.nr_rows, 5);
	expect_row(&l, 0, "cpu_info_new", 4560000, 1000, 1);
	expect_row(&l, 2, "cpu_info_new", 13680, 3, 1);
	listing_release(&l);

	options.group = GROUP_MODULE;
	listing_make(&l, &p->before, &p->after, &options);
	assert_int_equal(l.nr_rows, 1);
	assert_int_equal(change_bytes(&l.rows[0].before, &l.rows[0].after), 7621180);
	/* The site that did not change is in its module's sum too. */
	assert_int_equal(l.rows[0].after.live_bytes, 15293780);
	listing_release(&l);

	options.group = GROUP_FUNCTION;
	listing_make(&l, &p->before, &p->after, &options);
	assert_int_equal(l.nr_rows, 4);
	listing_release(&l);
}

static void test_sorting_and_limits(void **state)
{
	const struct pair *p = *state;
	struct listing_options options = {.sort = SORT_SITE};
	struct listing l;

	listing_make(&l, &p->before, &p->after, &options);
	expect_row(&l, 0, "battery_info_new", 3072000, 1000, 1);
	expect_row(&l, 1, "cache_put", -24000, -6, 1);
	expect_row(&l, 2, "cpu_info_new", 4573680, 1003, 2);
	expect_row(&l, 3, "warm_up", -500, -1, 1);
	assert_int_equal(l.totals.lead_rows, 2);
	listing_release(&l);

	options = (struct listing_options){.limit = 1, .min_bytes = 1000};
	listing_make(&l, &p->before, &p->after, &options);
	assert_int_equal(l.nr_rows, 3);
	assert_int_equal(l.nr_shown, 1);
	assert_int_equal(l.totals.small_rows, 1);
	assert_int_equal(l.totals.shrunk_bytes, 24000);
	listing_release(&l);

	options = (struct listing_options){.grown_only = true};
	listing_make(&l, &p->before, &p->after, &options);
	assert_int_equal(l.nr_rows, 2);
	assert_int_equal(l.totals.small_rows, 2);
	assert_int_equal(l.totals.shrunk_bytes, 0);
	listing_release(&l);
}

static void test_filter_and_suppressions(void **state)
{
	const struct pair *p = *state;
	struct listing_options options = {0};
	struct suppressions rules;
	struct filter *filter;
	struct listing l;

	assert_int_equal(filter_parse("file~cpu_info", &filter, NULL), 0);
	options.filter = filter;
	listing_make(&l, &p->before, &p->after, &options);
	assert_int_equal(l.nr_rows, 1);
	assert_int_equal(l.totals.grown_bytes, 4573680);
	/* battery, cache, warm_up; what did not change is not counted */
	assert_int_equal(l.totals.filtered_stacks, 3);
	listing_release(&l);
	filter_free(filter);

	assert_int_equal(suppressions_parse("leak:nobody\nleak:^cpu_info*\nleak:warm_up\n", "x",
					    &rules, NULL),
			 0);
	options = (struct listing_options){.suppressions = &rules};
	listing_make(&l, &p->before, &p->after, &options);
	assert_int_equal(l.nr_rows, 2);
	assert_int_equal(l.totals.grown_bytes, 3072000);
	assert_int_equal(l.totals.suppressed_stacks, 3);
	assert_int_equal(l.totals.suppressed_bytes, 4573680);
	assert_int_equal(l.totals.suppressed_blocks, 1003);
	assert_int_equal(rules.items[0].stacks, 0);
	assert_int_equal(rules.items[1].stacks, 2);
	assert_int_equal(rules.items[1].bytes, 4573680);
	assert_int_equal(rules.items[2].stacks, 1);
	assert_int_equal(rules.items[2].bytes, 0);
	listing_release(&l);
	suppressions_release(&rules);
}

static void test_report(void **state)
{
	const struct pair *p = *state;
	struct listing_options options = {0};
	struct listing l;
	struct lines lines;

	lines_init(&lines);
	listing_make(&l, NULL, &p->after, &options);
	assert_int_equal(l.nr_rows, 4);
	assert_string_equal(lead_function(&l, 0, &lines), "cpu_info_new");
	assert_string_equal(lead_function(&l, 3, &lines), "config_set");
	assert_int_equal(listing_bytes(&l, &l.rows[0].before, &l.rows[0].after), 9133680);
	assert_int_equal(l.totals.elapsed_ns, 0);
	listing_release(&l);

	options.sort = SORT_TEMPORARY;
	listing_make(&l, NULL, &p->after, &options);
	assert_string_equal(lead_function(&l, 0, &lines), "cache_put");
	assert_int_equal(l.rows[0].after.temporary_blocks, 40);
	listing_release(&l);
	lines_release(&lines);
}

static void test_nothing_changed(void **state)
{
	const struct pair *p = *state;
	struct listing_options options = {0};
	struct listing l;

	listing_make(&l, &p->after, &p->after, &options);
	assert_int_equal(l.nr_rows, 0);
	assert_int_equal(l.totals.grown_bytes, 0);
	assert_int_equal(l.totals.elapsed_ns, 0);
	listing_release(&l);
}

static void test_no_rate_across_boots(void **state)
{
	struct pair *p = *state;
	struct changes c;

	snprintf(p->before.identity.boot_id, sizeof(p->before.identity.boot_id), "boot-two");
	changes_of(&p->before, &p->after, &c);
	assert_int_equal(c.elapsed_ns, 0);
	changes_release(&c);
}

static void test_equal_chains_get_one_number(void **state)
{
	struct snapshot s;
	struct stack_ids ids;
	uint32_t *numbers, lib1, lib2, other, a, b, c, d;

	(void)state;
	make_begin(&s, 1);
	/* One library loaded twice at different places, and another one with the same path. */
	lib1 = make_module(&s, "/opt/a.so", 0x10000000, MODULE_UNLOADED, 7);
	lib2 = make_module(&s, "/opt/a.so", 0x50000000, 0, 7);
	other = make_module(&s, "/opt/a.so", 0x90000000, 0, 8);
	a = make_node(&s, 0, make_frame(&s, lib1, 0x40), FRAME_NONE);
	b = make_node(&s, 0, make_frame(&s, lib2, 0x40), FRAME_NONE);
	c = make_node(&s, 0, make_frame(&s, other, 0x40), FRAME_NONE);
	d = make_node(&s, b, make_frame(&s, NO_INDEX, 0x40), FRAME_NONE);
	make_node(&s, a, make_frame(&s, NO_INDEX, 0x40), FRAME_NONE);
	stack_ids_init(&ids);
	numbers = stack_ids_add(&ids, &s);
	assert_int_equal(numbers[a], numbers[b]);
	assert_int_not_equal(numbers[a], numbers[c]);
	assert_int_not_equal(numbers[a], numbers[d]);
	assert_int_equal(numbers[d], numbers[d + 1]);
	free(numbers);
	stack_ids_release(&ids);
	snapshot_release(&s);
}

static void strip_names(struct snapshot *s)
{
	for (size_t i = 0; i < s->nr_frames; i++)
		s->frames[i].symbols_nr = 0;
}

static void test_names_are_shared(void **state)
{
	struct pair *p = *state;
	const struct listing_options options = {0};
	struct listing l;

	strip_names(&p->before);
	/* The recorder's, libc's and the program's frames, wherever they lie. */
	assert_int_equal(share_names(&p->after, &p->before), p->before.nr_frames);
	assert_int_equal(snapshot_check(&p->before, NULL), 0);
	assert_int_equal(share_names(&p->after, &p->before), 0);
	listing_make(&l, &p->before, &p->after, &options);
	expect_row(&l, 2, "warm_up", -500, -1, 1);
	listing_release(&l);

	/* Another build of the program: its names are not to be used. */
	strip_names(&p->before);
	p->before.modules[0].build_id[0] ^= 1;
	assert_int_equal(share_names(&p->after, &p->before), 5);
}

static void test_hostile_counters(void **state)
{
	struct counters sum = {.live_bytes = UINT64_MAX - 1};
	const struct counters more = {.live_bytes = 5};

	(void)state;
	counters_add(&sum, &more);
	assert_true(sum.live_bytes == UINT64_MAX);
	assert_true(delta_of(0, UINT64_MAX) == INT64_MAX);
	assert_true(delta_of(UINT64_MAX, 0) == -INT64_MAX);
	assert_int_equal(delta_of(7, 3), -4);
}

#define WITH_PAIR(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PAIR(test_snapshots_are_sound),
		WITH_PAIR(test_stacks_match_by_content),
		WITH_PAIR(test_sites),
		WITH_PAIR(test_other_groups),
		WITH_PAIR(test_sorting_and_limits),
		WITH_PAIR(test_filter_and_suppressions),
		WITH_PAIR(test_report),
		WITH_PAIR(test_nothing_changed),
		WITH_PAIR(test_no_rate_across_boots),
		WITH_PAIR(test_names_are_shared),
		cmocka_unit_test(test_equal_chains_get_one_number),
		cmocka_unit_test(test_hostile_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
