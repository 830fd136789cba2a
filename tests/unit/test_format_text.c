/* What people read. The figures are those of the table in meter_snapshots.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../tools/meter_snapshots.h"
#include "../tools/render.h"
#include "model/filter.h"
#include "model/suppress.h"

static void expect_inside(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is missing in:\n%s", part, text);
}

static void expect_not_inside(const char *text, const char *part)
{
	if (strstr(text, part))
		fail_msg("'%s' should not be in:\n%s", part, text);
}

static void test_diff(void **state)
{
	/* 7,621,180 B = 7.26 MiB; in 12 s 635,098 B/s = 620.2 KiB/s. */
	static const char expected[] =
		"meter (pid 4242) grew by 7.2 MiB in 12.0 s: +1,996 blocks, 620.2 KiB/s; "
		"2 sites make 100.0 % of the growth\n"
		"7.2 MiB more in 2 sites, 23.9 KiB less in 2 sites\n"
		"\n"
		"#      bytes  blocks         rate       now  site\n"
		"1   +4.3 MiB  +1,003  372.2 KiB/s   8.7 MiB  cpu_info.c:31 in cpu_info_new "
		"(inlined in worker_turn, batterymeter.c:150)\n"
		"2   +2.9 MiB  +1,000  250.0 KiB/s   5.8 MiB  battery_info.c:24 in "
		"battery_info_new (inlined in worker_turn, batterymeter.c:149)\n"
		"3     -500 B      -1      -41 B/s       0 B  main.c:5 in warm_up\n"
		"4  -23.4 KiB      -6   -1.9 KiB/s  15.6 KiB  cache.c:10 in cache_put\n"
		"\n"
		"#1  +4.3 MiB  cpu_info.c:31 in cpu_info_new (inlined in worker_turn, "
		"batterymeter.c:150)\n"
		"    +1,000 blocks of 4,560 bytes; allocated meanwhile: 1,000, freed: none\n"
		"        cpu_info_new  cpu_info.c:31 (inlined)\n"
		"        worker_turn   batterymeter.c:150\n"
		"        worker        batterymeter.c:170\n"
		"    and 1 more stack (--full shows them)\n";
	struct render r = render_defaults();
	struct snapshot before, after;
	char *text;

	(void)state;
	meter_before(&before);
	meter_after(&after);
	r.options.stacks = 1;
	text = render(&r, &before, &after, format_text, NULL);
	assert_string_equal(text, expected);
	free(text);

	/* Freed: 80 allocated + 10 there before - 4 left. */
	r.options.stacks = 4;
	text = render(&r, &before, &after, format_text, NULL);
	expect_inside(text, "    -6 blocks of 4,000 bytes; allocated meanwhile: 80, freed: 86\n");
	expect_not_inside(text, "malloc");
	expect_not_inside(text, "start_thread");
	free(text);

	r.options.full = true;
	text = render(&r, &before, &after, format_text, NULL);
	expect_inside(text, "        malloc        /usr/lib/libc.so.6+0x100\n");
	expect_inside(text, "/src/meter/cpu_info.c:31 (inlined)  meter+0x1040\n");
	expect_inside(text, "        start_thread  /usr/lib/libc.so.6+0x200\n");
	expect_inside(text, "    +3 blocks of 4,560 bytes");
	expect_not_inside(text, "seep_hook_malloc");
	free(text);
	snapshot_release(&before);
	snapshot_release(&after);
}

static void test_swapped_and_unchanged(void **state)
{
	struct render r = render_defaults();
	struct snapshot before, after;
	char *text;

	(void)state;
	meter_before(&before);
	meter_after(&after);
	r.options.stacks = 0;
	text = render(&r, &after, &before, format_text, NULL);
	expect_inside(text, "meter (pid 4242) shrank by 7.2 MiB: -1,996 blocks\n");
	expect_not_inside(text, "B/s");
	free(text);
	text = render(&r, &after, &after, format_text, NULL);
	assert_string_equal(text, "meter (pid 4242) did not change\n");
	free(text);
	snapshot_release(&before);
	snapshot_release(&after);
}

static void test_what_was_left_out(void **state)
{
	struct render r = render_defaults();
	struct suppressions rules;
	struct snapshot before, after;
	struct filter *filter;
	char *text;

	(void)state;
	meter_before(&before);
	meter_after(&after);
	assert_int_equal(suppressions_parse("leak:^cpu_info_new$", "x", &rules, NULL), 0);
	assert_int_equal(filter_parse("not func=warm_up", &filter, NULL), 0);
	r.listing = (struct listing_options){
		.limit = 1,
		.suppressions = &rules,
		.filter = filter,
	};
	r.options.stacks = 0;
	text = render(&r, &before, &after, format_text, NULL);
	expect_inside(text, "\n1 more row, -23.4 KiB together (--limit 0 shows all)\n");
	expect_inside(text, "\nleft out by the filter: 1 stack\n");
	expect_inside(text, "\nsuppressed: 2 stacks, 4.3 MiB in 1,003 blocks\n"
			    "  4.3 MiB by leak:^cpu_info_new$ (line 1)\n");
	free(text);
	filter_free(filter);
	suppressions_release(&rules);

	r.listing = (struct listing_options){.min_bytes = 1000};
	text = render(&r, &before, &after, format_text, NULL);
	expect_inside(text, "\nleft out by --min or --grown-only: 1 row\n");
	expect_not_inside(text, "warm_up");
	free(text);
	snapshot_release(&before);
	snapshot_release(&after);
}

static void test_losses(void **state)
{
	static const char *why[] = {NULL, NULL, NULL, "build-id differs"};
	struct render r = render_defaults();
	struct snapshot after;
	char *text;
	uint32_t lib;

	(void)state;
	meter_after(&after);
	after.losses = (struct losses){
		.dropped_blocks = 1200,
		.dropped_bytes = 4096,
		.unknown_frees = 3,
		.lost_frees = 1,
		.cut_stacks = 5,
		.stopped_stacks = 6,
		.missing_stacks = 2,
		.torn = true,
	};
	lib = make_module(&after, "/opt/libpool.so", 0x600000, 0, 0xee);
	make_stack(&after, 9, make_node(&after, 0, make_frame(&after, lib, 0x1234), FRAME_NONE), 7,
		   70000);
	r.view.after_damage = "cut short, 3 of 9 chunks are left";
	r.view.why_nameless = why;
	r.options.stacks = 0;
	text = render(&r, NULL, &after, format_text, NULL);
	expect_inside(text,
		      "incomplete: 'two.seep' is damaged: cut short, 3 of 9 chunks are left\n");
	expect_inside(text, "incomplete: 'two.seep' is no consistent instant");
	expect_inside(text, "a table being full: 1,200 (4.0 KiB)\n");
	expect_inside(text, "incomplete: allocations without a stack, the table of stacks being "
			    "full: 2\n");
	expect_inside(text, "incomplete: stacks cut off at the depth limit: 5\n");
	expect_inside(text, "at code without unwind information: 6\n");
	expect_inside(text, "having been given out again: 1\n");
	expect_inside(text, "incomplete: frees of blocks older than the recording: 3\n");
	expect_inside(text,
		      "incomplete: no symbols for /opt/libpool.so (1 frame): build-id differs\n");
	expect_inside(text, "3  68.3 KiB       7    68.3 KiB");
	expect_inside(text, "libpool.so+0x1234\n");
	free(text);
	snapshot_release(&after);
}

static void test_hostile_names(void **state)
{
	struct render r = render_defaults();
	struct snapshot s;
	uint32_t module;
	char *text;

	(void)state;
	make_begin(&s, 10);
	s.identity.name = make_text(&s, "x\033[2J");
	module = make_module(&s, "/opt/\033c", 0x400000, MODULE_MAIN, 0);
	make_stack(&s, 1, make_node(&s, 0, make_frame(&s, module, 1), FRAME_NONE), 1, 1);
	make_name(&s, "f\033]0;owned\007", "/a/\x9b.c", 1, 1);
	snapshot_sum(&s);
	r.options.full = true;
	text = render(&r, NULL, &s, format_text, NULL);
	for (const char *p = text; *p; p++) {
		if ((unsigned char)*p < 0x20 && *p != '\n')
			fail_msg("control byte %d in:\n%s", *p, text);
	}
	expect_inside(text, "\\x1b]0;owned\\x07");
	free(text);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_diff),
		cmocka_unit_test(test_swapped_and_unchanged),
		cmocka_unit_test(test_what_was_left_out),
		cmocka_unit_test(test_losses),
		cmocka_unit_test(test_hostile_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
