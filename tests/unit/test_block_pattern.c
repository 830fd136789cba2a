/* model/block_pattern: structures built word by word, and the same with one word that denies it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "model/block_pattern.h"
#include "model/reach.h"

#define NR 15
#define WORDS 8
#define BYTES (WORDS * 8)
#define BASE 0x7f0000100000ull

static uint64_t memory[NR][WORDS];

static uint64_t at(size_t i)
{
	return BASE + i * BYTES;
}

/* What the blocks from `first` on are said to be. */
static const char *found(size_t first, size_t nr)
{
	static char text[100];
	struct reach *r = reach_new(8);
	struct block_sample samples[NR];
	struct block_pattern_found p;
	struct str out = STR_INIT;

	assert_int_equal(reach_add_span(r, BASE, BASE + sizeof(memory), 16), 0);
	for (size_t i = 0; i < NR; i++)
		assert_int_equal(reach_add_block(r, at(i), BYTES), 0);
	reach_seal(r);
	reach_scan(r, BASE, memory, sizeof(memory));
	reach_scan_end(r);
	for (size_t i = 0; i < nr; i++)
		samples[i] = (struct block_sample){at(first + i),
						   (const uint8_t *)memory[first + i], BYTES};
	block_pattern_find(r, samples, nr, BYTES, 8, &p);
	block_pattern_describe(&p, &out);
	strcpy(text, out.data);
	str_release(&out);
	reach_free(r);
	return text;
}

static void fill(void)
{
	for (size_t i = 0; i < NR; i++) {
		for (size_t k = 0; k < WORDS; k++)
			memory[i][k] = i * 1000 + k + 1;
	}
}

static void lists(void **state)
{
	(void)state;
	fill();
	for (size_t i = 0; i < NR; i++)
		memory[i][1] = i + 1 < NR ? at(i + 1) : 0;
	assert_string_equal(found(0, NR), "list node, next at +8");
	assert_string_equal(found(0, 2), "");
	for (size_t i = 0; i < NR; i++)
		memory[i][4] = i ? at(i - 1) : 0;
	assert_string_equal(found(0, NR), "list node, linked both ways at +8 and +32");
	/* A word of another kind in one of them. */
	memory[7][1] = 12345;
	memory[7][4] = 12345;
	assert_string_equal(found(0, NR), "");
}

static void trees(void **state)
{
	(void)state;
	fill();
	for (size_t i = 0; i < NR; i++) {
		memory[i][0] = 2 * i + 1 < NR ? at(2 * i + 1) : 0;
		memory[i][2] = 2 * i + 2 < NR ? at(2 * i + 2) : 0;
	}
	assert_string_equal(found(0, NR), "tree node, branches at +0 and +16");
	for (size_t i = 0; i < NR; i++)
		memory[i][1] = i ? at((i - 1) / 2) : 0;
	assert_string_equal(found(0, NR), "tree node, branches at +0 and +16, parent at +8");
	/* Two parents of one block: no tree. */
	memory[1][0] = memory[2][0];
	assert_string_equal(found(0, NR), "");
}

static void pointers(void **state)
{
	(void)state;
	fill();
	memset(memory, 0, 3 * sizeof(memory[0]));
	for (size_t i = 0; i < 3; i++) {
		for (size_t k = 0; k < 4; k++)
			memory[i][k] = at(3 + (i + k) % 4) + 0;
	}
	/* Four words that could each be a link: too many for a list or a tree. */
	assert_string_equal(found(0, 3), "array of pointers");
	for (size_t i = 0; i < 3; i++)
		memory[i][6] = at(9);
	assert_string_equal(found(0, 3), "table of pointers");
	memory[1][5] = 99;
	assert_string_equal(found(0, 3), "");
}

static void texts(void **state)
{
	(void)state;
	fill();
	for (size_t i = 0; i < 4; i++)
		strcpy((char *)memory[i], i % 2 ? "a word or two" : "more words than two");
	assert_string_equal(found(0, 4), "text");
	assert_string_equal(found(0, 5), "");
	strcpy((char *)memory[2], "abc");
	assert_string_equal(found(0, 4), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists),
		cmocka_unit_test(trees),
		cmocka_unit_test(pointers),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
