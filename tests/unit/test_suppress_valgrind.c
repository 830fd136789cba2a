/* Valgrind's suppressions, and baselines of leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/str.h"
#include "model/leak_baseline.h"
#include "model/lines.h"
#include "model/suppress.h"

static struct line code(const char *function, const char *file, const char *module)
{
	return (struct line){
		.kind = LINE_OWN, .function = function, .file = file, .module = module};
}

/* The stack parse(int) · load · main, of three files in two modules. */
static bool hides(const char *frames)
{
	struct line items[] = {
		code("ini::parse(int)", "/src/ini/parse.cc", "/usr/lib/libini.so.2"),
		code("load", "/src/load.c", "/opt/app"),
		code("main", "/src/main.c", "/opt/app"),
	};
	struct lines lines = {.items = items, .nr = 3, .inner = 0, .outer = 3};
	struct str text = STR_INIT;
	struct suppressions s;
	bool found;

	str_printf(&text, "{\n  a name\n  Memcheck:Leak\n%s}\n", frames);
	assert_int_equal(suppressions_parse(text.data, "x", &s, NULL), 0);
	found = suppressions_find(&s, &lines) != NULL;
	suppressions_release(&s);
	str_release(&text);
	return found;
}

static void frames_match_from_the_inside(void **state)
{
	(void)state;
	assert_true(hides("fun:ini::parse\n"));
	assert_true(hides("fun:ini::parse(int)\n"));
	assert_true(hides("fun:malloc\nfun:*parse*\n"));
	assert_true(hides("fun:_Znwm\nfun:*parse*\nfun:load\nfun:main\n"));
	assert_false(hides("fun:load\n"));
	assert_false(hides("fun:*parse*\nfun:main\n"));
	assert_true(hides("...\nfun:main\n"));
	assert_true(hides("fun:*parse*\n...\nfun:main\n"));
	assert_true(hides("...\nfun:load\n...\n"));
	assert_false(hides("...\nfun:main\nfun:load\n"));
	assert_false(hides("fun:*parse*\nfun:load\nfun:main\nfun:start\n"));
	assert_true(hides("obj:*/libini.so.?\n"));
	assert_false(hides("obj:*/libini.so\n"));
	assert_true(hides("match-leak-kinds: definite\nobj:*libini*\nobj:/opt/app\n"));
	assert_true(hides("src:parse.cc\n"));
	assert_true(hides("src:/src/ini/*\nsrc:load.c\n"));
	assert_false(hides("src:load.c\n"));
}

static void files_mix_both_syntaxes(void **state)
{
	static const char text[] =
		"# first\nleak:one\n{\n  other\n  Memcheck:Cond\n  fun:x\n"
		"  Memcheck-extra: y\n}\n  {\n  two\n  Memcheck:Leak\n  fun:z\n}\n"
		"leak:three";
	struct suppressions s;

	(void)state;
	assert_int_equal(suppressions_parse(text, "x", &s, NULL), 0);
	assert_int_equal(s.nr, 3);
	assert_string_equal(s.items[0].pattern, "one");
	assert_string_equal(s.items[1].pattern, "two");
	assert_int_equal(s.items[1].nr_frames, 1);
	assert_string_equal(s.items[2].pattern, "three");
	suppressions_release(&s);
}

static void says_where_it_is_wrong(void **state)
{
	struct suppressions s;
	struct error e = {0};

	(void)state;
	assert_true(suppressions_parse("{\n  a\n  Memcheck:Leak\n  fun:x\n", "f", &s, &e) < 0);
	assert_non_null(strstr(e.message, "'f'"));
	assert_true(suppressions_parse("leak:x\n{\na\nMemcheck:Leak\nfoo:x\n}\n", "f", &s, &e) < 0);
	assert_non_null(strstr(e.message, "foo:x"));
	assert_non_null(strstr(e.message, "line 5"));
	assert_true(suppressions_parse("{", "f", &s, &e) < 0);
}

static void baselines_count_what_is_known(void **state)
{
	struct leak_baseline b = {.items = NULL}, again;
	struct str out = STR_INIT;
	uint64_t x = leak_fingerprint("x"), y = leak_fingerprint("y");

	(void)state;
	leak_baseline_add(&b, x, 100, "made at x\nand y");
	leak_baseline_add(&b, x, 28, "ignored: the first label counts");
	leak_baseline_add(&b, y, 5, "made at y");
	leak_baseline_write(&b, &out);
	assert_non_null(strstr(out.data, " 2 128 made at x and y\n"));
	assert_int_equal(leak_baseline_parse(out.data, "f", &again, NULL), 0);
	assert_int_equal(again.nr, 2);
	assert_true(leak_baseline_meet(&again, x));
	assert_true(leak_baseline_meet(&again, x));
	assert_false(leak_baseline_meet(&again, x));
	assert_true(leak_baseline_meet(&again, y));
	assert_false(leak_baseline_meet(&again, leak_fingerprint("z")));
	leak_baseline_release(&b);
	leak_baseline_release(&again);
	str_release(&out);
}

static void baselines_are_checked(void **state)
{
	struct leak_baseline b;
	struct error e = {0};

	(void)state;
	assert_int_equal(leak_baseline_parse("", "f", &b, &e), 0);
	assert_int_equal(b.nr, 0);
	assert_int_equal(
		leak_baseline_parse("# nothing\r\n\n0000000000000001 1 2 a\r\n", "f", &b, &e), 0);
	assert_int_equal(b.nr, 1);
	assert_string_equal(b.items[0].label, "a");
	leak_baseline_release(&b);
	assert_true(leak_baseline_parse("# x\nhello\n", "f", &b, &e) < 0);
	assert_non_null(strstr(e.message, "line 2"));
	assert_int_equal(e.status, EXIT_FILE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_match_from_the_inside),
		cmocka_unit_test(files_mix_both_syntaxes),
		cmocka_unit_test(says_where_it_is_wrong),
		cmocka_unit_test(baselines_count_what_is_known),
		cmocka_unit_test(baselines_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
