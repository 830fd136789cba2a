/* The string table: ids, equality, growth, texts that end early or live in the table itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/strings.h"

static void test_empty_is_zero(void **state)
{
	struct strings t;

	(void)state;
	strings_init(&t);
	assert_int_equal(strings_add(&t, ""), 0);
	assert_int_equal(strings_add_len(&t, "abc", 0), 0);
	assert_int_equal(strings_add_len(&t, NULL, 0), 0);
	assert_string_equal(strings_get(&t, 0), "");
	assert_string_equal(strings_get(&t, 1), "");
	assert_string_equal(strings_get(&t, UINT32_MAX), "");
	assert_int_equal(t.nr, 1);
	strings_release(&t);
	strings_release(NULL);
	assert_string_equal(strings_get(&t, 0), "");
}

static void test_same_text_same_id(void **state)
{
	struct strings t;
	uint32_t malloc_id, mal_id;

	(void)state;
	strings_init(&t);
	malloc_id = strings_add(&t, "malloc");
	mal_id = strings_add_len(&t, "malloc", 3);
	assert_int_not_equal(malloc_id, mal_id);
	assert_int_equal(strings_add(&t, "malloc"), malloc_id);
	assert_int_equal(strings_add(&t, "mal"), mal_id);
	assert_string_equal(strings_get(&t, mal_id), "mal");
	assert_string_equal(strings_get(&t, malloc_id), "malloc");
	strings_release(&t);
}

static void test_text_ends_at_nul(void **state)
{
	struct strings t;
	uint32_t id;

	(void)state;
	strings_init(&t);
	id = strings_add_len(&t, "ab\0cd", 5);
	assert_string_equal(strings_get(&t, id), "ab");
	assert_int_equal(strings_add(&t, "ab"), id);
	assert_int_equal(strings_append(&t, "x\0y", 3), id + 1);
	assert_int_equal(strings_add(&t, "x"), id + 1);
	strings_release(&t);
}

static void test_append_keeps_ids(void **state)
{
	struct strings t;

	(void)state;
	strings_init(&t);
	assert_int_equal(strings_append(&t, "twice", 5), 1);
	assert_int_equal(strings_append(&t, "twice", 5), 2);
	assert_int_equal(strings_append(&t, "", 0), 3);
	assert_int_equal(strings_add(&t, "twice"), 1);
	assert_int_equal(strings_add(&t, ""), 0);
	assert_string_equal(strings_get(&t, 2), "twice");
	strings_release(&t);
}

static void test_many(void **state)
{
	enum { MANY = 100000 };
	struct strings t;
	char text[32];

	(void)state;
	strings_init(&t);
	for (uint32_t i = 1; i <= MANY; i++) {
		snprintf(text, sizeof(text), "function_%u", i);
		assert_int_equal(strings_add(&t, text), i);
	}
	for (uint32_t i = 1; i <= MANY; i++) {
		snprintf(text, sizeof(text), "function_%u", i);
		assert_string_equal(strings_get(&t, i), text);
		assert_int_equal(strings_add(&t, text), i);
	}
	assert_int_equal(t.nr, MANY + 1);
	strings_release(&t);
}

/* The buffer moves while a piece of it is being added. */
static void test_text_from_the_table(void **state)
{
	struct strings t;
	uint32_t id;
	char text[300];

	(void)state;
	strings_init(&t);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	id = strings_add(&t, text);
	for (size_t len = 1; len < sizeof(text) - 1; len++) {
		uint32_t part = strings_add_len(&t, strings_get(&t, id), len);

		assert_int_equal(strlen(strings_get(&t, part)), len);
		assert_int_equal(strspn(strings_get(&t, part), "x"), len);
	}
	strings_release(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty_is_zero),
		cmocka_unit_test(test_same_text_same_id),
		cmocka_unit_test(test_text_ends_at_nul),
		cmocka_unit_test(test_append_keeps_ids),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_text_from_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
