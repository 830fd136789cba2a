/* The filter grammar: what it accepts, what it means, and how it complains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../tools/make_snapshot.h"
#include "base/error.h"
#include "base/str.h"
#include "model/filter.h"
#include "model/lines.h"

/* malloc < std::vector < Parser::read(int) < main; 12 blocks, 4,800 bytes, 400 a block. */
struct world {
	struct snapshot s;
	struct lines lines;
	struct filter_item item;
};

static int set_up(void **state)
{
	struct world *w = mem_alloc(sizeof(*w));
	uint32_t prog, libc, frames[4];

	make_begin(&w->s, 10);
	prog = make_module(&w->s, "/opt/meter/bin/meter", 0x400000, MODULE_MAIN, 1);
	libc = make_module(&w->s, "/usr/lib/libc.so.6", 0x7f0000000000,
			   MODULE_SYSTEM | MODULE_ALLOCATOR, 2);
	frames[0] = make_frame(&w->s, libc, 0x10);
	make_name(&w->s, "malloc", "", 0, 0);
	frames[1] = make_frame(&w->s, prog, 0x10);
	make_name(&w->s, "std::vector<int>::grow", "/usr/include/c++/12/vector", 88, 0);
	frames[2] = make_frame(&w->s, prog, 0x20);
	make_name(&w->s, "Parser::read(int)", "src/parser.cc", 51, 0);
	frames[3] = make_frame(&w->s, prog, 0x30);
	make_name(&w->s, "main", "src/main.cc", 9, 0);
	lines_init(&w->lines);
	lines_of_stack(&w->lines, &w->s, make_chain(&w->s, frames, 4), NULL);
	w->item = (struct filter_item){
		.lines = &w->lines,
		.bytes = 4800,
		.blocks = 12,
		.block_size = 400,
	};
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	lines_release(&w->lines);
	snapshot_release(&w->s);
	free(w);
	return 0;
}

static void test_meaning(void **state)
{
	static const struct {
		const char *text;
		bool matches;
	} cases[] = {
		{"func~^Parser::", true},
		{"func~read$", false},
		{"func~read", true},
		{"func=Parser::read", true},
		{"func=Parser::read(int)", true},
		{"func=Parser", false},
		{"function!~nothing", true},
		{"func!=main", false},
		{"file~parser", true},
		{"file=parser.cc", true},
		{"file=src/parser.cc", true},
		{"file=arser.cc", false},
		{"mod=libc.so.6", true},
		{"mod=libc", false},
		{"module~^/opt/", true},
		{"site~Parser", true},
		{"site~grow", false},
		{"site=parser.cc:51", true},
		{"site=main", false},
		{"size=400", true},
		{"size>400", false},
		{"size >= 400", true},
		{"size<1k", true},
		{"bytes>4k", true},
		{"bytes<=4799", false},
		{"bytes!=4800", false},
		{"bytes>-1k", true},
		{"blocks==12", true},
		{"vector", true},
		{"libc.so", true},
		{"elsewhere", false},
		{"func~read and size>1k", false},
		{"func~read size>100", true},
		{"func~nothing or size>100", true},
		/* and binds tighter than or */
		{"size>100 or func~nothing and func~nothing", true},
		{"(size>100 or func~nothing) and func~nothing", false},
		{"not func~nothing", true},
		{"!func~read", false},
		{"not not func~read", true},
		{"!(func~read and size>1k)", true},
		{"not size>1k and func~read", true},
		{"func~(Parser|Lexer)::read", true},
		{"(func~(Lexer|Scanner))", false},
		{"func~'read(int)'", false},
		{"func~'read\\(int\\)'", true},
		{"func=\"Parser::read(int)\"", true},
		{"\"std::vector<int>\"", true},
		{"OR_not_a_keyword", false},
		{"NOT func~read OR func~main", true},
	};
	const struct world *w = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter *f = NULL;
		struct error e = {0};

		if (filter_parse(cases[i].text, &f, &e) < 0)
			fail_msg("%s", e.message);
		if (filter_match(f, &w->item) != cases[i].matches)
			fail_msg("'%s' should be %d", cases[i].text, cases[i].matches);
		filter_free(f);
	}
	assert_true(filter_match(NULL, &w->item));
}

static void test_complaints(void **state)
{
	static const struct {
		const char *text, *what;
	} cases[] = {
		{"", "a term is missing at column 1"},
		{"func~", "a value is missing at column 6"},
		{"fun~x", "an unknown field at column 1"},
		{"size~1k", "a number cannot be searched with ~ at column 1"},
		{"func>3", "a text cannot be compared by size at column 1"},
		{"size>big", "not a number at column 1"},
		{"size>1k and", "a term is missing at column 12"},
		{"or size>1k", "a term is missing at column 1"},
		{"(size>1k", "a parenthesis that is not closed at column 1"},
		{"size>1k)", "a parenthesis that was not opened at column 8"},
		{"func~'a", "a quote that is not closed at column 6"},
		{"((x", "a parenthesis that is not closed at column 2"},
		{"x not", "a term is missing at column 6"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter *f = NULL;
		struct error e = {0};
		char *expected =
			mem_printf("cannot read filter '%s': %s", cases[i].text, cases[i].what);

		assert_true(filter_parse(cases[i].text, &f, &e) < 0);
		assert_null(f);
		assert_string_equal(e.message, expected);
		assert_int_equal(e.status, EXIT_USAGE);
		assert_true(e.hint[0] != 0);
		free(expected);
	}
}

static void test_bad_regex_and_excess(void **state)
{
	struct str deep = STR_INIT, many = STR_INIT;
	struct filter *f = NULL;
	struct error e = {0};

	(void)state;
	assert_true(filter_parse("func~[a", &f, &e) < 0);
	assert_non_null(strstr(e.message, "a bad regular expression"));
	for (int i = 0; i < 100000; i++) {
		str_add_char(&deep, '(');
		str_add(&many, "x ");
	}
	assert_true(filter_parse(deep.data, &f, &e) < 0);
	assert_true(filter_parse(many.data, &f, &e) < 0);
	str_release(&deep);
	str_release(&many);
}

static void test_single_blocks(void **state)
{
	static const struct {
		const char *text;
		bool matches;
	} cases[] = {
		{"size=64..128", true},
		{"size=100", true},
		{"size=0x40..100", true},
		{"size=101..128", false},
		{"size!=64..128", false},
		{"addr=0x5000", true},
		{"addr=0x4000..0x4fff", false},
		{"addr>=0x5000 addr<0x5001", true},
		{"heap=main", true},
		{"heap=glibc", true},
		{"heap=0x7f00", true},
		{"heap=0x7f01", false},
		{"heap~'arena [0-9]'", false},
		{"state=busy", true}, /* also what the C library holds */
		{"state=internal", true},
		{"state=free", false},
		{"class~^Batt", true},
		{"class=Battery", false},
		{"age>5m", true},
		{"age>5m30s", false},
		{"age=4m..6m", true},
		{"site~main", false}, /* no stack is known */
		{"not site~main", true},
	};
	const struct filter_block block = {
		.addr = 0x5000,
		.age_ns = 320ull * 1000000000,
		.heap_addr = 0x7f00,
		.heap = "main",
		.allocator = "glibc",
		.state = "internal",
		.class_name = "BatteryInfo",
	};
	const struct filter_item item = {.block_size = 100, .block = &block};
	struct filter_block unknown = block;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct filter *f = NULL;
		struct error e = {0};

		if (filter_parse_blocks(cases[i].text, &f, &e) < 0)
			fail_msg("%s", e.message);
		if (filter_match(f, &item) != cases[i].matches)
			fail_msg("'%s' should be %d", cases[i].text, cases[i].matches);
		filter_free(f);
	}
	unknown.age_ns = UINT64_MAX;
	for (size_t i = 0; i < 2; i++) {
		struct filter_item nobody = {.block = &unknown};
		struct filter *f = NULL;

		assert_int_equal(filter_parse_blocks(i ? "age>1s" : "age<1s", &f, NULL), 0);
		assert_false(filter_match(f, &nobody));
		filter_free(f);
	}
}

static void test_complaints_of_blocks(void **state)
{
	static const struct {
		const char *text, *what;
	} cases[] = {
		{"size=128..64", "a range that ends before it begins at column 1"},
		{"size=1..", "not a number at column 1"},
		{"size=..1", "not a number at column 1"},
		{"size>1..2", "not a number at column 1"},
		{"addr=0xzz", "not a number at column 1"},
		{"addr=0x", "not a number at column 1"},
		{"addr=0x10000000000000000", "not a number at column 1"},
		{"age>soon", "not a duration at column 1"},
		{"heap>3", "a text cannot be compared by size at column 1"},
	};
	struct filter *f = NULL;
	struct error e = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *expected =
			mem_printf("cannot read filter '%s': %s", cases[i].text, cases[i].what);

		assert_true(filter_parse_blocks(cases[i].text, &f, &e) < 0);
		assert_string_equal(e.message, expected);
		assert_int_equal(e.status, EXIT_USAGE);
		assert_non_null(strstr(e.hint, "state"));
		free(expected);
	}
	assert_true(filter_parse("state=busy", &f, &e) < 0);
	assert_non_null(strstr(e.message, "only single blocks have"));
}

static void test_what_is_asked(void **state)
{
	struct filter *f = NULL;

	(void)state;
	assert_int_equal(filter_parse_blocks("size>1 (state=free or not class~x)", &f, NULL), 0);
	assert_true(filter_asks_state(f));
	assert_true(filter_asks_class(f));
	assert_false(filter_asks_stacks(f));
	filter_free(f);
	assert_int_equal(filter_parse_blocks("size>1 word", &f, NULL), 0);
	assert_true(filter_asks_stacks(f));
	assert_false(filter_asks_state(f));
	filter_free(f);
	assert_false(filter_asks_stacks(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_meaning, set_up, tear_down),
		cmocka_unit_test(test_complaints),
		cmocka_unit_test(test_bad_regex_and_excess),
		cmocka_unit_test(test_single_blocks),
		cmocka_unit_test(test_complaints_of_blocks),
		cmocka_unit_test(test_what_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
