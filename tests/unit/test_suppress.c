/* LeakSanitizer's patterns and files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../tools/make_snapshot.h"
#include "base/error.h"
#include "model/lines.h"
#include "model/suppress.h"

static void test_patterns(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool matches;
	} cases[] = {
		{"foo", "foo", true},
		{"foo", "a_foo_b", true},
		{"foo", "fo", false},
		{"foo", "", false},
		{"*", "x", true},
		{"*", "", false},
		{"^foo", "foobar", true},
		{"^foo", "a_foo", false},
		{"foo$", "a_foo", true},
		{"foo$", "foo_a", false},
		{"^foo$", "foo", true},
		{"^foo$", "foofoo", false},
		{"^foo$", "foo_", false},
		{"foo*bar", "a_foo_x_bar_b", true},
		{"foo*bar", "bar_foo", false},
		{"^foo*bar$", "foo_bar_bar", true},
		{"^foo*bar$", "foo_bar_", false},
		{"^foo*bar$", "fobar", false},
		{"foo*foo$", "foo", false},
		{"ab*ab$", "abab", true},
		{"^*x$", "yyx", true},
		{"foo*", "a_foo", true},
		{"a$b", "xa$by", true},
		{"libfoo.so", "/usr/lib/libfoo.so.1", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (suppression_matches(cases[i].pattern, cases[i].text) != cases[i].matches)
			fail_msg("pattern '%s' on '%s'", cases[i].pattern, cases[i].text);
	}
}

static void test_file(void **state)
{
	static const char text[] = "# known\r\n"
				   "\n"
				   "  leak:^init_cache$  \n"
				   "leak:libcurl*\r\n"
				   "\t# more\n"
				   "leak:table.c";
	struct suppressions s;

	(void)state;
	assert_int_equal(suppressions_parse(text, "known.supp", &s, NULL), 0);
	assert_int_equal(s.nr, 3);
	assert_string_equal(s.items[0].pattern, "^init_cache$");
	assert_int_equal(s.items[0].line, 3);
	assert_string_equal(s.items[1].pattern, "libcurl*");
	assert_string_equal(s.items[2].pattern, "table.c");
	assert_int_equal(s.items[2].line, 6);
	suppressions_release(&s);
}

static void test_bad_lines(void **state)
{
	struct suppressions s;
	struct error e = {0};

	(void)state;
	assert_true(suppressions_parse("leak:a\nrace:b\n", "x.supp", &s, &e) < 0);
	assert_string_equal(e.message, "cannot read suppressions 'x.supp': line 2: 'race:b'");
	assert_int_equal(e.status, EXIT_FILE);
	assert_true(suppressions_parse("leak:", "x.supp", &s, &e) < 0);
	assert_true(suppressions_parse("foo", "x.supp", &s, &e) < 0);
	assert_int_equal(suppressions_parse("", "x.supp", &s, &e), 0);
	assert_int_equal(s.nr, 0);
}

static struct suppression *find(const char *rule, const struct lines *lines, struct suppressions *s)
{
	assert_int_equal(suppressions_parse(rule, "x", s, NULL), 0);
	return suppressions_find(s, lines);
}

static void test_stacks(void **state)
{
	static const struct {
		const char *rule;
		bool matches;
	} cases[] = {
		{"leak:^parse$", true},	     {"leak:main", true},     {"leak:in.c", true},
		{"leak:^/opt/meter/", true}, {"leak:malloc$", false}, {"leak:nothing", false},
	};
	struct suppressions rules;
	struct snapshot s;
	struct lines lines;
	uint32_t frames[2], module;

	(void)state;
	make_begin(&s, 10);
	module = make_module(&s, "/opt/meter/bin/meter", 0x400000, MODULE_MAIN, 1);
	frames[0] = make_frame(&s, module, 0x10);
	make_name(&s, "parse", "src/parse.c", 5, 0);
	frames[1] = make_frame(&s, module, 0x20);
	make_name(&s, "main", "src/main.c", 9, 0);
	lines_init(&lines);
	lines_of_stack(&lines, &s, make_chain(&s, frames, 2), NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if ((find(cases[i].rule, &lines, &rules) != NULL) != cases[i].matches)
			fail_msg("%s", cases[i].rule);
		suppressions_release(&rules);
	}
	lines_release(&lines);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
