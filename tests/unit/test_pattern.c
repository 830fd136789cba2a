/* What --search takes, what it refuses, and what it finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "model/pattern.h"

static struct pattern parse(const char *text)
{
	struct pattern p;
	struct error e = {0};

	if (pattern_parse(text, &p, &e) < 0)
		fail_msg("%s", e.message);
	return p;
}

static void expect_bytes(const char *text, const void *bytes, size_t len)
{
	struct pattern p = parse(text);

	assert_int_equal(p.kind, PATTERN_BYTES);
	assert_int_equal(p.len, len);
	assert_memory_equal(p.bytes, bytes, len);
	pattern_release(&p);
}

static void test_forms(void **state)
{
	struct pattern p;

	(void)state;
	expect_bytes("bytes:de ad BE ef", "\xde\xad\xbe\xef", 4);
	expect_bytes("bytes:deadbeef", "\xde\xad\xbe\xef", 4);
	expect_bytes("text:a:b c", "a:b c", 5);
	expect_bytes("utf16:Hi", "H\0i\0", 4);
	expect_bytes("utf16:\xf0\x9f\x98\x80", "\x3d\xd8\x00\xde", 4);
	expect_bytes("utf32:\xc3\xbc!", "\xfc\0\0\0!\0\0\0", 8);
	p = parse("word:0x1234");
	assert_int_equal(p.kind, PATTERN_WORD);
	assert_int_equal(p.low, 0x1234);
	p = parse("word:77");
	assert_int_equal(p.high, 77);
	p = parse("ptr:0x7fffffffffff");
	assert_int_equal(p.kind, PATTERN_POINTER);
	pattern_set_words(&p, 4, 0x100, 0x1ff);
	assert_int_equal(p.low, 0x100);
	assert_int_equal(pattern_width(&p), 4);
	pattern_release(NULL);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"", "it does not say what it is"},
		{"foo", "it does not say what it is"},
		{"string:foo", "it does not say what it is"},
		{"byte:00", "it does not say what it is"},
		{"text:", "there is nothing to search for"},
		{"bytes: ", "there is nothing to search for"},
		{"bytes:d", "bytes are pairs of hexadecimal digits"},
		{"bytes:d eadb", "bytes are pairs of hexadecimal digits"},
		{"bytes:0x12", "bytes are pairs of hexadecimal digits"},
		{"word:0x", "not a number"},
		{"word:-1", "not a number"},
		{"word:12ab", "not a number of 64 bits"},
		{"ptr:0x10000000000000000", "not a number of 64 bits"},
		{"utf16:\xff", "not UTF-8"},
		{"utf32:\xc3", "not UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pattern p = {.len = 99};
		struct error e = {0};
		char *expected =
			mem_printf("cannot search for '%s': %s", cases[i].text, cases[i].why);

		assert_true(pattern_parse(cases[i].text, &p, &e) < 0);
		assert_string_equal(e.message, expected);
		assert_int_equal(e.status, EXIT_USAGE);
		assert_true(e.hint[0] != 0);
		assert_int_equal(p.len, 99);
		free(expected);
	}
}

/* Every hit that a plain look at each place finds, and no other. */
static void compare(const struct pattern *p, const uint8_t *memory, size_t len)
{
	size_t pos = 0, width = pattern_width(p);
	bool found = pattern_find(p, memory, len, &pos);

	for (size_t at = 0; at + width <= len; at++) {
		uint64_t word = 0;
		bool hit;

		if (p->kind == PATTERN_BYTES) {
			hit = memcmp(memory + at, p->bytes, p->len) == 0;
		} else {
			memcpy(&word, memory + at, width);
			hit = at % width == 0 && word >= p->low && word <= p->high;
		}
		assert_int_equal(hit, found && pos == at);
		if (hit) {
			pos++;
			found = pattern_find(p, memory, len, &pos);
		}
	}
	assert_false(found);
}

static void test_hits(void **state)
{
	static const char *const texts[] = {"bytes:00", "bytes:0001", "bytes:01 00 01 00",
					    "text:\1",	"utf16:\1",   "bytes:010101010101"};
	uint8_t *memory = mem_alloc(4096);
	uint32_t seed = 1;

	(void)state;
	for (size_t i = 0; i < 4096; i++) {
		seed = seed * 1103515245 + 12345;
		memory[i] = seed >> 16 & 1;
	}
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct pattern p = parse(texts[i]);

		for (size_t len = 0; len < 20; len++)
			compare(&p, memory, len);
		compare(&p, memory, 4096);
		pattern_release(&p);
	}
	memset(memory + 1000, 0, 200);
	for (unsigned int width = 4; width <= 8; width += 4) {
		struct pattern p = parse("ptr:0");

		pattern_set_words(&p, width, 0, 0x10101);
		for (size_t len = 0; len < 200; len++)
			compare(&p, memory + 960, len);
		compare(&p, memory, 4096);
	}
	free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_hits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
