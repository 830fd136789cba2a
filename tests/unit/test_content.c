/* Previews of blocks, and filters asked about single blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../tools/make_snapshot.h"
#include "base/str.h"
#include "model/block_filter.h"
#include "model/content.h"
#include "model/filter.h"
#include "model/heaps.h"

static bool name(void *context, uint64_t word, struct str *out)
{
	(void)context;
	if (word != 0x5555)
		return false;
	str_add(out, "block of 64");
	return true;
}

static void expect(const void *bytes, size_t len, bool whole, const char *what)
{
	const struct content_options o = {.word_bytes = 8, .text_bytes = 12, .name = name};
	struct str out = STR_INIT;

	content_preview(bytes, len, whole, &o, &out);
	assert_string_equal(out.data, what);
	str_release(&out);
}

static void test_previews(void **state)
{
	uint64_t words[8] = {3, 0x5555, 0x7f0000000001, 0, 0, 0, 0, 0};

	(void)state;
	expect("", 0, true, "");
	expect("\0\0\0\0\0\0\0\0", 8, true, "zeros");
	expect("\0\0\0\0\0\0\0\0", 8, false, "zeros at the beginning");
	expect("hello\0\1\2", 8, true, "\"hello\"");
	expect("a \"b\"\n\\\0", 8, true, "\"a \\\"b\\\"\\n\\\\\"");
	expect("a text that is long", 19, true, "\"a text that \"…");
	/* Not cut within a character. */
	expect("eleven byt\xc3\xbc\xc3\xbc", 14, true, "\"eleven byt\xc3\xbc\"…");
	expect("f\0o\0o\0\0\0", 8, true, "u\"foo\"");
	expect("f\0\0\0o\0\0\0o\0\0\0", 12, true, "U\"foo\"");
	expect(words, sizeof(words), true, "3, block of 64, 0x7f0000000001");
	memcpy(&words[4], "a text inside", 13);
	expect(words, sizeof(words), true,
	       "3, block of 64, 0x7f0000000001 · \"a text insid\"… at 32");
	expect("\1\2\377", 3, true, "01 02 ff");
	/* Nothing reaches the terminal as it is. */
	expect("abc\tdef", 7, true, "\"abc\\tdef\"");
}

static bool matches(struct block_filter *f, const struct block_facts *b)
{
	const struct block_names names = {
		.heap = "main", .allocator = "glibc", .class_name = "Foo", .heap_addr = 0x1000};

	return block_filter_match(f, b, &names);
}

static void test_filter(void **state)
{
	struct snapshot s;
	struct block_filter f;
	struct filter *filter = NULL;
	struct block_facts b = {
		.addr = 0x5000, .size = 100, .stack = NO_INDEX, .age_ns = AGE_UNKNOWN};

	(void)state;
	make_begin(&s, 10);
	block_filter_init(&f, NULL, &s);
	b.state = BLOCK_INTERNAL;
	assert_true(matches(&f, &b));
	b.state = BLOCK_FREE;
	assert_false(matches(&f, &b));
	block_filter_release(&f);

	/* Who names states sees all of them. */
	assert_int_equal(filter_parse_blocks("state=free or class=Foo", &filter, NULL), 0);
	block_filter_init(&f, filter, &s);
	assert_true(matches(&f, &b));
	b.state = BLOCK_TOP;
	assert_true(matches(&f, &b));
	block_filter_release(&f);
	filter_free(filter);

	/* No stack, and one that is none of the snapshot's. */
	assert_int_equal(filter_parse_blocks("func~x", &filter, NULL), 0);
	block_filter_init(&f, filter, &s);
	b.state = BLOCK_BUSY;
	assert_false(matches(&f, &b));
	b.stack = 7;
	assert_false(matches(&f, &b));
	assert_null(block_filter_lines(&f, 7));
	block_filter_release(&f);
	block_filter_release(NULL);
	filter_free(filter);
	snapshot_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_previews),
		cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
