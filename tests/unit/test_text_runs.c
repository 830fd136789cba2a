/* Texts and patterns found in memory, whole and cut into pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"
#include "model/text_runs.h"

struct found {
	struct str text; /* "OFFSET:ENCODING:TEXT\n" … */
	size_t base;
};

static void note(void *context, const struct text_run *run)
{
	struct found *f = context;
	struct str text = STR_INIT;

	str_printf(&f->text, "%zu:%s:", f->base + run->offset, text_run_encoding(run->width));
	text_run_decode(run, &text);
	for (size_t i = 0; i < text.len; i++)
		str_add_char(&f->text, text.data[i] == '\n' ? '|' : text.data[i]);
	str_add_char(&f->text, '\n');
	str_release(&text);
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Lines in one order, whatever the pieces were. */
static char *sorted(struct str *text)
{
	char *save = NULL;
	static char *lines[65536];
	size_t nr = 0;
	struct str out = STR_INIT;

	for (char *l = strtok_r(text->data, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		lines[nr++] = l;
	qsort(lines, nr, sizeof(*lines), compare_lines);
	for (size_t i = 0; i < nr; i++)
		str_printf(&out, "%s\n", lines[i]);
	str_release(text);
	return str_detach(&out);
}

static char *find(const void *memory, size_t len, size_t piece, size_t min)
{
	struct found f = {.text = STR_INIT};
	size_t at = 0;

	while (at < len) {
		size_t part = len - at < piece ? len - at : piece;
		size_t next;

		f.base = at;
		next = text_runs_find((const uint8_t *)memory + at, part, at + part == len, min,
				      note, &f);
		assert_int_equal(next % 4 == 0 || at + next == len, 1);
		assert_true(next > 0);
		at += next;
	}
	return sorted(&f.text);
}

static void expect(const void *memory, size_t len, size_t min, const char *what)
{
	char *text = find(memory, len, len, min);

	assert_string_equal(text, what);
	free(text);
}

static void test_encodings(void **state)
{
	static const char narrow[] = "\1\2hello\0wor\0gr\xc3\xbc\xc3\x9f"
				     "e\xff\xfeshort";
	static const uint8_t utf16[] = {1, 2, 3, 4,   0, 0, 'B', 0,   'a', 0,	't', 0,	   't',
					0, 0, 0, 'x', 0, 1, 0,	 'y', 0,   'z', 0,   0xfc, 0};
	static const uint8_t utf32[] = {'w', 0, 0, 0, 'i', 0, 0, 0, 'd', 0, 0, 0, 'e', 0, 0, 0};

	(void)state;
	expect(narrow, sizeof(narrow) - 1, 5,
	       "12:utf8:gr\xc3\xbc\xc3\x9f"
	       "e\n21:utf8:short\n2:utf8:hello\n");
	expect(utf16, sizeof(utf16), 3, "20:utf16:yz\xc3\xbc\n6:utf16:Batt\n");
	expect(utf32, sizeof(utf32), 4, "0:utf32:wide\n");
	expect("ab", 2, 2, "0:utf8:ab\n");
	expect("ab", 2, 3, "");
	expect("a", 1, 0, "");
	expect("", 0, 4, "");
}

/* Random memory with texts in it gives the same texts, however it is cut. */
static void test_pieces(void **state)
{
	const size_t len = 200000, pieces[] = {8192, 8196, 12288, 65536};
	uint8_t *memory = mem_alloc(len);
	uint32_t seed = 4711;
	char *whole;

	(void)state;
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1103515245 + 12345;
		/* Long texts, long gaps, and wide ones: every second byte is zero for a while. */
		if (i / 9000 % 3 == 2)
			memory[i] = i % 2 ? 0 : (uint8_t)('a' + (seed >> 16) % 26);
		else
			memory[i] = seed >> 16 & 7 ? (uint8_t)(' ' + (seed >> 20) % 90)
						   : (uint8_t)(seed >> 24);
		if (seed % 5000 == 0)
			memory[i] = 0;
	}
	memset(memory + 30000, 'x', 9100); /* longer than any piece that is told */
	whole = find(memory, len, len, 6);
	assert_true(strlen(whole) > 10000);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		char *cut = find(memory, len, pieces[i], 6);

		if (strcmp(cut, whole) != 0)
			fail_msg("pieces of %zu bytes", pieces[i]);
		free(cut);
	}
	free(whole);
	free(memory);
}

static void test_too_long(void **state)
{
	uint8_t *memory = mem_alloc(3 * TEXT_RUN_MAX);
	struct found f = {.text = STR_INIT};

	(void)state;
	memset(memory, 'x', 2 * TEXT_RUN_MAX + 10);
	text_runs_find(memory, 3 * TEXT_RUN_MAX, true, 4, note, &f);
	assert_int_equal(f.text.len,
			 strlen("0:utf8:\n4080:utf8:\n8160:utf8:\n") + 2 * TEXT_RUN_MAX + 10);
	str_release(&f.text);
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encodings),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
