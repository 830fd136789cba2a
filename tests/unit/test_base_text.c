/* base/text: near misses, quoting, wrapping, foreign text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "base/text.h"

static void distance_counts_edits(void **state)
{
	(void)state;
	assert_int_equal(text_distance("", ""), 0);
	assert_int_equal(text_distance("diff", "diff"), 0);
	assert_int_equal(text_distance("dif", "diff"), 1);
	assert_int_equal(text_distance("snpa", "snap"), 1);
	assert_int_equal(text_distance("", "top"), 3);
	assert_int_equal(text_distance("kitten", "sitting"), 3);
	assert_int_equal(text_distance("report", "rpeotr"), 2);
}

static void distance_of_long_texts_is_bounded(void **state)
{
	char a[300], b[300];

	(void)state;
	memset(a, 'a', sizeof(a) - 1);
	memset(b, 'b', sizeof(b) - 1);
	a[sizeof(a) - 1] = b[sizeof(b) - 1] = '\0';
	assert_int_equal(text_distance(a, b), 63);
	b[0] = 'a';
	assert_int_equal(text_distance(a, b), 62);
}

static void nearest_finds_what_was_meant(void **state)
{
	static const char *const names[] = {"run", "snap", "diff", "report", "top", NULL};

	(void)state;
	assert_string_equal(text_nearest("dif", names), "diff");
	assert_string_equal(text_nearest("rep", names), "report");
	assert_string_equal(text_nearest("sanp", names), "snap");
	assert_string_equal(text_nearest("tpo", names), "top");
	assert_null(text_nearest("frobnicate", names));
	assert_null(text_nearest("", names));
}

static void quoting_survives_a_shell(void **state)
{
	struct str s = STR_INIT;
	const char *argv[] = {"./a.out", "--name=x", "", "two words", "it's", "$(rm)", NULL};

	(void)state;
	for (size_t i = 0; argv[i]; i++) {
		if (i)
			str_add_char(&s, ' ');
		text_quote(&s, argv[i]);
	}
	assert_string_equal(s.data, "./a.out --name=x '' 'two words' 'it'\\''s' '$(rm)'");
	str_release(&s);
}

static void wrapping_keeps_the_width(void **state)
{
	struct str s = STR_INIT;

	(void)state;
	text_wrap(&s, "one two three four", 0, 2, 9);
	assert_string_equal(s.data, "one two\n  three\n  four");
	str_clear(&s);
	text_wrap(&s, "a\nb", 4, 4, 20);
	assert_string_equal(s.data, "a\n    b");
	str_clear(&s);
	text_wrap(&s, "unbreakablylong x", 2, 2, 6);
	assert_string_equal(s.data, "unbreakablylong\n  x");
	str_release(&s);
}

static void assert_printable(const char *in, size_t len, const char *expected)
{
	struct str s = STR_INIT;

	text_printable(&s, in, len);
	assert_string_equal(s.data, expected);
	str_release(&s);
}

static void foreign_text_cannot_steer_the_terminal(void **state)
{
	(void)state;
	assert_printable("plain", 5, "plain");
	assert_printable("Gr\xc3\xb6\xc3\x9f"
			 "e",
			 7,
			 "Gr\xc3\xb6\xc3\x9f"
			 "e");
	assert_printable("\033[2J", 4, "\\x1b[2J");
	assert_printable("a\nb\x7f", 4, "a\\x0ab\\x7f");
	assert_printable("\xc2\x9b"
			 "31m",
			 5,
			 "\\xc2\\x9b"
			 "31m");				/* C1 control sequence */
	assert_printable("\xe2\x80\xae", 3, "\\xe2\\x80\\xae"); /* right-to-left override */
	assert_printable("\xc0\x80", 2, "\\xc0\\x80");		/* overlong NUL */
	assert_printable("\xed\xa0\x80", 3, "\\xed\\xa0\\x80"); /* surrogate */
	assert_printable("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"); /* beyond Unicode */
	assert_printable("x\xe2\x82", 3, "x\\xe2\\x82");		 /* cut short */
}

static void characters_are_not_bytes(void **state)
{
	(void)state;
	assert_int_equal(text_characters(""), 0);
	assert_int_equal(text_characters("plain"), 5);
	assert_int_equal(text_characters("Gr\xc3\xb6\xc3\x9f"
					 "e \xe2\x80\xa6"),
			 7);
}

static void base_name_is_the_last_part(void **state)
{
	(void)state;
	assert_string_equal(text_base_name("/usr/lib/libc.so.6"), "libc.so.6");
	assert_string_equal(text_base_name("plain"), "plain");
	assert_string_equal(text_base_name("ends/"), "");
	assert_string_equal(text_base_name(""), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(distance_counts_edits),
		cmocka_unit_test(distance_of_long_texts_is_bounded),
		cmocka_unit_test(nearest_finds_what_was_meant),
		cmocka_unit_test(quoting_survives_a_shell),
		cmocka_unit_test(wrapping_keeps_the_width),
		cmocka_unit_test(foreign_text_cannot_steer_the_terminal),
		cmocka_unit_test(characters_are_not_bytes),
		cmocka_unit_test(base_name_is_the_last_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
