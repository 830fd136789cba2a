/* UMDH's formats: the grammar that its readers use, and figures worked out by hand. */
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../tools/meter_snapshots.h"
#include "../tools/render.h"

/* The readers' expressions, in POSIX spelling. */
static const char delta_bytes_line[] =
	"^[+-] +[0-9a-f]+ \\( *[0-9a-f]+ - *[0-9a-f]+\\) +[0-9a-f]+ allocs\tBackTrace[0-9A-F]+$";
static const char delta_count_line[] =
	"^[+-] +[0-9A-Fa-f]+ *\\( *[0-9A-Fa-f]* *- *[0-9A-Fa-f]*\\)\tBackTrace[0-9A-F]+"
	"\tallocations$";
static const char frame_line[] = "^\t[^!]+!.+\\+[0-9A-F]+( *: *[0-9A-Fa-f]+)?"
				 "( \\( *[^,]+, *[0-9]+\\))?$";
static const char block_line[] =
	"^[0-9A-F]+ bytes \\+ [0-9A-F]+ at [0-9A-F]+ by BackTrace[0-9A-F]+$";
static const char address_line[] = "^\t[0-9A-F]+$";
static const char total_line[] = "^Total (increase|decrease) == +[0-9a-f]+ requested \\+ +"
				 "[0-9a-f]+ overhead = +[0-9a-f]+$";

static bool matches(const char *expression, const char *line)
{
	regex_t regex;
	bool found;

	assert_int_equal(regcomp(&regex, expression, REG_EXTENDED | REG_NOSUB), 0);
	found = regexec(&regex, line, 0, NULL, 0) == 0;
	regfree(&regex);
	return found;
}

/* Cuts the next CR LF line off *p; NULL at the end. A bare LF is a failure. */
static char *next_line(char **p)
{
	char *line = *p, *end;

	if (*line == 0)
		return NULL;
	end = strchr(line, '\n');
	assert_non_null(end);
	assert_true(end > line && end[-1] == '\r');
	end[-1] = 0;
	*p = end + 1;
	return line;
}

static void expect_inside(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is missing in:\n%s", part, text);
}

static void test_report_figures(void **state)
{
	struct render r = render_defaults();
	struct snapshot before, after;
	char *text;

	(void)state;
	meter_before(&before);
	meter_after(&after);
	r.listing.group = GROUP_STACK;
	text = render(&r, &before, &after, format_umdh, NULL);
	expect_inside(text, "DBGHELP: meter - private symbols & lines \r\n"
			    "         /opt/meter/bin/meter\r\n");
	expect_inside(text, "DBGHELP: libc.so.6 - public symbols  \r\n");
	/* 4,560,000 = 0x459480; 9,120,000 = 0x8b2900; 2,000 = 0x7d0 */
	expect_inside(text, "\r\n+  459480 ( 8b2900 - 459480)    7d0 allocs\tBackTrace22\r\n"
			    "+     3e8 (   7d0 -   3e8)\tBackTrace22\tallocations\r\n\r\n"
			    "\tlibc.so.6!malloc+0000001C\r\n"
			    "\tmeter!cpu_info_new+00000000 (/src/meter/cpu_info.c, 31)\r\n"
			    "\tmeter!worker_turn+00001040 (/src/meter/batterymeter.c, 150)\r\n"
			    "\tmeter!worker+00000022 (/src/meter/batterymeter.c, 170)\r\n"
			    "\tlibc.so.6!start_thread+00000304\r\n\r\n");
	expect_inside(text, "\r\n-     1f4 (     0 -   1f4)      0 allocs\tBackTrace25\r\n"
			    "-       1 (     0 -     1)\tBackTrace25\tallocations\r\n");
	/*
	 * 7,621,180 = 0x744a3c. glibc's chunks: 4,560 and 3,072 and 4,000 bytes take 16 more, 500
	 * take 12 more: (1,000 + 1,000 + 3 - 6) * 16 - 12 = 31,940 = 0x7cc4; the sum is 0x74c700.
	 */
	expect_inside(text,
		      "\r\nTotal increase == 744a3c requested +   7cc4 overhead = 74c700\r\n");
	free(text);

	r.options.decimal = true;
	text = render(&r, &after, &before, format_umdh, NULL);
	expect_inside(text, "\r\n+   24000 (  40000 -  16000)     10 allocs\tBackTrace23\r\n"
			    "+       6 (     10 -      4)\tBackTrace23\tallocations\r\n");
	expect_inside(text,
		      "\r\nTotal decrease == 7621180 requested +  31940 overhead = 7653120\r\n");
	free(text);
	snapshot_release(&before);
	snapshot_release(&after);
}

static void test_report_grammar(void **state)
{
	struct render r = render_defaults();
	struct snapshot before, after;
	char *text, *p, *line;
	size_t entries = 0, frames = 0;
	uint32_t lib;

	(void)state;
	meter_before(&before);
	meter_after(&after);
	lib = make_module(&after, "/opt/libpool.so", 0x600000, 0, 0xee);
	make_stack(&after, 0, make_node(&after, 0, make_frame(&after, lib, 0x1234), FRAME_NONE), 1,
		   9);
	make_stack(&after, 0x77,
		   make_node(&after, 0, make_frame(&after, NO_INDEX, 0x1234), FRAME_NONE), 1, 9);
	r.listing.group = GROUP_STACK;
	p = text = render(&r, &before, &after, format_umdh, NULL);
	expect_inside(text, "\tlibpool.so!0x0+00001234 : 601234\r\n");
	expect_inside(text, "\tunknown!0x0+00001234 : 1234\r\n");
	expect_inside(text, "DBGHELP: libpool.so - no symbols loaded\r\n//");
	expect_inside(text, "BackTrace80000");
	while ((line = next_line(&p))) {
		if (line[0] == '+' || line[0] == '-') {
			assert_true(matches(delta_bytes_line, line));
			line = next_line(&p);
			assert_true(matches(delta_count_line, line));
			assert_string_equal(next_line(&p), "");
			entries++;
		} else if (line[0] == '\t') {
			assert_true(matches(frame_line, line));
			frames++;
		} else if (strncmp(line, "Total", 5) == 0) {
			assert_true(matches(total_line, line));
		} else {
			assert_true(line[0] == 0 || strncmp(line, "//", 2) == 0 ||
				    strncmp(line, "DBGHELP", 7) == 0 || line[0] == ' ');
		}
	}
	assert_int_equal(entries, 7);
	/* 3 in the worker (5, 5, 5 with main as caller), warm_up and cache 4 each, 2 without names
	 */
	assert_int_equal(frames, 5 + 5 + 5 + 4 + 4 + 2);
	free(text);
	snapshot_release(&before);
	snapshot_release(&after);
}

static void test_log(void **state)
{
	struct render r = render_defaults();
	struct error e = {0};
	struct snapshot s;
	struct meter m = {.s = &s};
	char *text, *p, *line;
	uint32_t first, none;

	(void)state;
	make_begin(&s, 22);
	s.allocator = make_text(&s, "glibc");
	m.prog = make_module(&s, "/opt/meter/bin/meter", 0x400000, MODULE_MAIN, 0xaa);
	m.libc = make_module(&s, "/usr/lib/libc.so.6", 0x7f0000000000, MODULE_SYSTEM, 0xbb);
	m.rec = make_module(&s, "/usr/lib/libseep-rec.so", 0x7f2000000000, MODULE_RECORDER, 0);
	meter_code(&m);
	first = make_stack(&s, 0xc0ffee, meter_chain(&m, NO_INDEX, m.cpu, true), 2, 9120);
	none = make_stack(&s, 0, make_node(&s, 0, NO_INDEX, FRAME_UNKNOWN_STACK), 1, 16);
	r.listing.group = GROUP_STACK;
	assert_null(render(&r, NULL, &s, format_umdh, &e));
	assert_string_equal(e.message, "cannot write 'two.seep' as a UMDH log: it holds no single "
				       "blocks");

	make_block(&s, first, 0x5001000, 4560);
	make_block(&s, none, 0x5000010, 16);
	make_block(&s, first, 0x5000020, 4560);
	text = render(&r, NULL, &s, format_umdh, NULL);
	/* By address; the stack with the first block of it only. */
	expect_inside(text, "\r\n10 bytes + 10 at 5000010 by BackTrace0\r\n"
			    "\r\n11D0 bytes + 10 at 5000020 by BackTraceC0FFEE\r\n"
			    "\t7F0000000100\r\n\t401040\r\n\t401800\r\n\t7F0000000200\r\n\r\n"
			    "11D0 bytes + 10 at 5001000 by BackTraceC0FFEE\r\n"
			    "\r\n*- - - - - - - - - - End of data for heap @ 0 - - - - - - - - - "
			    "-\r\n\r\n");
	expect_inside(text, " - Machine=lab - PID=4242\r\n// \r\n\r\n");
	expect_inside(text, "//     Base Size Module\r\n"
			    "//              400000   100000 /opt/meter/bin/meter\r\n");
	p = strstr(text, "Hogs");
	next_line(&p);
	while ((line = next_line(&p))) {
		if (line[0] && line[0] != '*')
			assert_true(matches(line[0] == '\t' ? address_line : block_line, line));
	}
	free(text);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report_figures),
		cmocka_unit_test(test_report_grammar),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
