/* base/str, base/error, base/hash: the small ones. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"

static void empty_string_is_printable(void **state)
{
	struct str s = STR_INIT;
	char *text;

	(void)state;
	assert_string_equal(s.data, "");
	str_clear(&s);
	str_truncate(&s, 0);
	text = str_detach(&s);
	assert_string_equal(text, "");
	free(text);
	str_release(&s);
	str_release(NULL);
}

static void string_grows_and_shrinks(void **state)
{
	struct str s = STR_INIT;
	char *text;

	(void)state;
	for (int i = 0; i < 1000; i++)
		str_printf(&s, "%03d,", i);
	str_add_char(&s, '!');
	assert_int_equal(s.len, 4001);
	assert_int_equal(strlen(s.data), 4001);
	assert_memory_equal(s.data + 3996, "999,!", 6);
	str_truncate(&s, 8);
	assert_string_equal(s.data, "000,001,");
	str_truncate(&s, 100);
	assert_int_equal(s.len, 8);
	text = str_detach(&s);
	assert_string_equal(text, "000,001,");
	assert_string_equal(s.data, "");
	free(text);
}

static void bytes_with_nul_are_kept(void **state)
{
	struct str s = STR_INIT;

	(void)state;
	str_add_len(&s, "a\0b", 3);
	assert_int_equal(s.len, 3);
	assert_memory_equal(s.data, "a\0b", 4);
	str_release(&s);
}

static void arrays_grow(void **state)
{
	uint32_t *items = NULL;
	size_t nr = 0, cap = 0;

	(void)state;
	for (uint32_t i = 0; i < 5000; i++)
		ARRAY_PUSH(items, nr, cap, i * 3);
	assert_int_equal(nr, 5000);
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(items[i], i * 3);
	free(items);
}

static void error_says_it_once(void **state)
{
	struct error e;
	char *longer = mem_alloc(2000);

	(void)state;
	memset(&e, 'x', sizeof(e));
	assert_int_equal(error_set(&e, -ENOENT, EXIT_FILE, "cannot read '%s'", "a"), -ENOENT);
	assert_string_equal(e.message, "cannot read 'a'");
	assert_string_equal(e.hint, "");
	assert_int_equal(e.status, EXIT_FILE);
	error_hint(&e, "look in %s", "b");
	assert_string_equal(e.hint, "look in b");
	memset(longer, 'y', 1999);
	error_set(&e, -EIO, EXIT_TARGET, "%s", longer);
	assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
	assert_string_equal(e.hint, "");
	assert_int_equal(error_set(NULL, -EPERM, EXIT_TARGET, "nobody listens"), -EPERM);
	error_hint(NULL, "nobody");
	assert_string_equal(error_strerror(-ENOENT), error_strerror(ENOENT));
	free(longer);
}

static void numbers_are_added_as_printf_does(void **state)
{
	static const uint64_t numbers[] = {0, 9, 10, 15, 16, 1234567890, INT64_MAX, UINT64_MAX};
	char expected[64];

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct str s = STR_INIT;

		str_add_decimal(&s, numbers[i]);
		str_add_char(&s, ' ');
		str_add_hex(&s, numbers[i]);
		snprintf(expected, sizeof(expected), "%" PRIu64 " 0x%" PRIx64, numbers[i],
			 numbers[i]);
		assert_string_equal(s.data, expected);
		str_release(&s);
	}
}

static void room_is_the_callers_to_fill(void **state)
{
	struct str s = STR_INIT;
	const char *before;

	(void)state;
	str_add(&s, "a");
	str_reserve(&s, 1000);
	before = s.data;
	memset(str_extend(&s, 999), 'b', 999);
	assert_ptr_equal(s.data, before);
	assert_int_equal(s.len, 1000);
	assert_int_equal(strlen(s.data), 1000);
	assert_int_equal(s.data[999], 'b');
	str_extend(&s, 0);
	assert_int_equal(s.len, 1000);
	str_release(&s);
	str_extend(&s, 0);
	assert_string_equal(s.data, "");
	str_release(&s);
}

/* The published test vectors of XXH3-64: files depend on these values. */
static void checksums_never_change(void **state)
{
	(void)state;
	assert_true(hash_bytes("", 0) == 0x2d06800538d394c2ull);
	assert_true(hash_bytes("a", 1) == hash_seeded("a", 1, 0));
	assert_true(hash_bytes("a", 1) != hash_seeded("a", 1, 1));
	assert_true(hash_u64(1) != hash_u64(2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_string_is_printable),
		cmocka_unit_test(string_grows_and_shrinks),
		cmocka_unit_test(bytes_with_nul_are_kept),
		cmocka_unit_test(numbers_are_added_as_printf_does),
		cmocka_unit_test(room_is_the_callers_to_fill),
		cmocka_unit_test(arrays_grow),
		cmocka_unit_test(error_says_it_once),
		cmocka_unit_test(checksums_never_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
