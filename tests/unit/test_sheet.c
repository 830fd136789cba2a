/* model/sheet and the three ways to write one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "base/term.h"
#include "format/sheet.h"
#include "model/sheet.h"

static const struct sheet_column columns[] = {
	{"name", "HEAP", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"addr", "ADDRESS", CELL_ADDRESS, COLUMN_MACHINE, 0},
	{"busy_bytes", "IN USE", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"share", "SHARE", CELL_PERMILLE, COLUMN_ALWAYS, 2},
	{"swapped_bytes", "SWAP", CELL_BYTES, COLUMN_IF_ANY, 1},
	{"delta_bytes", "DELTA", CELL_CHANGE_BYTES, COLUMN_ALWAYS, 1},
	{"locked", "LOCKED", CELL_BOOL, COLUMN_IF_ANY, 3},
};

static void add_row(struct sheet *s, const char *name, uint64_t bytes, int64_t delta)
{
	sheet_text(s, name);
	sheet_number(s, 0x7f00);
	sheet_number(s, bytes);
	sheet_number(s, 123);
	sheet_number(s, 0);
	sheet_change(s, delta);
	sheet_number(s, 0);
}

static void make(struct sheet *s)
{
	sheet_init(s, "seep-test-1", columns, sizeof(columns) / sizeof(columns[0]));
	sheet_set_heading(s, "%d heaps", 3);
	add_row(s, "main", 1024, 0);
	add_row(s, "arena \"2\", \x1b[31m", 4096, -512);
	add_row(s, "arena 3", 2048, 512);
	add_row(s, "total", 7168, 0);
	s->has_total_row = true;
	sheet_total(s, "busy_bytes", CELL_BYTES, 7168);
	sheet_total_change(s, "delta_bytes", CELL_CHANGE_BYTES, -5);
	sheet_total_text(s, "allocator", "glibc");
	sheet_note(s, "heap %s grows", "main");
}

static const char *text_of(const struct sheet *s, unsigned int width, struct str *out)
{
	const struct sheet_format_options o = {
		.palette = term_palette(-1, COLOUR_NEVER), .width = width, .version = "1"};

	str_clear(out);
	sheet_write_text(s, &o, out);
	return out->data;
}

static void text_leaves_out_what_says_nothing(void **state)
{
	struct str out = STR_INIT;
	struct sheet s;

	(void)state;
	make(&s);
	assert_string_equal(text_of(&s, 0, &out),
			    "3 heaps\n"
			    "HEAP                  IN USE   SHARE   DELTA\n"
			    "main                 1.0 KiB  12.3 %     0 B\n"
			    "arena \"2\", \\x1b[31m  4.0 KiB  12.3 %  -512 B\n"
			    "arena 3              2.0 KiB  12.3 %  +512 B\n"
			    "total                7.0 KiB  12.3 %     0 B\n"
			    "\n"
			    "Heap main grows.\n");
	str_release(&out);
	sheet_release(&s);
}

static void narrow_terminals_lose_the_highest_rank(void **state)
{
	struct str out = STR_INIT;
	struct sheet s;

	(void)state;
	make(&s);
	assert_non_null(strstr(text_of(&s, 40, &out), "DELTA"));
	assert_null(strstr(out.data, "SHARE"));
	assert_null(strstr(text_of(&s, 26, &out), "DELTA"));
	assert_non_null(strstr(out.data, "IN USE"));
	str_release(&out);
	sheet_release(&s);
}

static void sorts_and_limits(void **state)
{
	struct str out = STR_INIT;
	struct sheet s;

	(void)state;
	make(&s);
	assert_int_equal(sheet_find_column(&s, "busy_bytes"), 2);
	assert_true(sheet_find_column(&s, "no such") == SIZE_MAX);
	sheet_sort(&s, 2);
	assert_string_equal(sheet_cell(&s, 1, 0)->text, "arena 3");
	assert_string_equal(sheet_cell(&s, 3, 0)->text, "total");
	sheet_sort(&s, 0);
	assert_string_equal(sheet_cell(&s, 1, 0)->text, "arena 3");
	assert_string_equal(sheet_cell(&s, 2, 0)->text, "main");
	sheet_sort(&s, 5);
	sheet_limit(&s, 1);
	assert_int_equal(sheet_rows(&s), 2);
	assert_string_equal(sheet_cell(&s, 0, 0)->text, "arena 3");
	assert_string_equal(sheet_cell(&s, 1, 0)->text, "total");
	assert_int_equal(s.rows_left_out, 2);
	assert_non_null(strstr(text_of(&s, 0, &out), "(2 more;"));
	sheet_limit(&s, 0);
	assert_int_equal(sheet_rows(&s), 2);
	str_release(&out);
	sheet_release(&s);
}

static void machines_get_everything(void **state)
{
	const struct sheet_format_options o = {.version = "0.1"};
	struct str out = STR_INIT;
	struct sheet s, *part;

	(void)state;
	make(&s);
	part = sheet_part(&s, "balance", columns, 1);
	sheet_text(part, "rest");
	sheet_write_csv(&s, &o, &out);
	assert_string_equal(out.data,
			    "name,addr,busy_bytes,share,swapped_bytes,delta_bytes,locked\r\n"
			    "main,0x7f00,1024,12.3,0,0,false\r\n"
			    "\"arena \"\"2\"\", \x1b[31m\",0x7f00,4096,12.3,0,-512,false\r\n"
			    "arena 3,0x7f00,2048,12.3,0,512,false\r\n");
	str_clear(&out);
	sheet_write_json(&s, &o, &out);
	assert_non_null(strstr(out.data, "\"schema\":\"seep-test-1\""));
	assert_non_null(strstr(out.data, "\"totals\":{\"busy_bytes\":7168,\"delta_bytes\":-5,"
					 "\"allocator\":\"glibc\"}"));
	assert_non_null(strstr(out.data, "\"balance\":[\n{\"name\":\"rest\"}]"));
	assert_non_null(strstr(out.data, "{\"name\":\"arena 3\",\"addr\":\"0x7f00\","
					 "\"busy_bytes\":2048,\"share\":12.3,\"swapped_bytes\":0,"
					 "\"delta_bytes\":512,\"locked\":false}"));
	assert_null(strstr(out.data, "\"name\":\"total\""));
	str_release(&out);
	sheet_release(&s);
}

static void unknown_is_not_zero(void **state)
{
	const struct sheet_format_options o = {.palette = term_palette(-1, COLOUR_NEVER)};
	struct str out = STR_INIT;
	struct sheet s;

	(void)state;
	sheet_init(&s, "seep-test-1", columns + 2, 1);
	sheet_unknown(&s);
	sheet_number(&s, 5);
	sheet_sort(&s, 0);
	assert_true(sheet_cell(&s, 0, 0)->known);
	sheet_write_text(&s, &o, &out);
	assert_string_equal(out.data, "IN USE\n   5 B\n     -\n");
	str_clear(&out);
	sheet_write_csv(&s, &o, &out);
	assert_string_equal(out.data, "busy_bytes\r\n5\r\n\r\n");
	str_release(&out);
	sheet_release(&s);
}

/* Texts are kept once where rows repeat them, and in pieces: none may be lost or mixed up. */
static void many_texts_of_all_lengths(void **state)
{
	struct sheet s;
	char text[40000];

	(void)state;
	sheet_init(&s, "seep-test-1", columns, 1);
	sheet_text(&s, "before");
	sheet_reserve(&s, 3000);
	for (size_t i = 1; i < 3000; i++) {
		size_t len = i % 500 == 0 ? sizeof(text) - 1 : i / 3 % 70;

		memset(text, 'a' + (int)(i / 3 % 26), len);
		text[len] = 0;
		if (i % 7 == 0)
			sheet_unknown(&s);
		else
			sheet_text(&s, text);
	}
	assert_string_equal(sheet_cell(&s, 0, 0)->text, "before");
	for (size_t i = 1; i < 3000; i++) {
		const struct cell *c = sheet_cell(&s, i, 0);

		assert_int_equal(c->known, i % 7 != 0);
		if (!c->known)
			continue;
		assert_int_equal(strlen(c->text), i % 500 == 0 ? sizeof(text) - 1 : i / 3 % 70);
		assert_true(*c->text == 0 || *c->text == 'a' + (char)(i / 3 % 26));
	}
	sheet_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_leaves_out_what_says_nothing),
		cmocka_unit_test(narrow_terminals_lose_the_highest_rank),
		cmocka_unit_test(sorts_and_limits),
		cmocka_unit_test(machines_get_everything),
		cmocka_unit_test(unknown_is_not_zero),
		cmocka_unit_test(many_texts_of_all_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
