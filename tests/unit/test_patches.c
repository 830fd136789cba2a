/* target/patches: reads across ranges that are kept apart, of our own memory as the target's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "target/patches.h"
#include "target/proc.h"
#include "target/target_private.h"

#define BYTES 64

static uint8_t memory[BYTES];

static uint64_t at(size_t offset)
{
	return (uint64_t)(uintptr_t)memory + offset;
}

static void open_ourselves(struct procmem *m)
{
	int dir = proc_open(getpid());

	assert_true(dir >= 0);
	assert_int_equal(procmem_open(m, dir), 0);
	close(dir);
	for (size_t i = 0; i < BYTES; i++)
		memory[i] = (uint8_t)i;
}

static uint8_t *filled(size_t len, int with)
{
	return memset(mem_alloc(len), with, len);
}

static void bytes_lie_over(void **state)
{
	struct patches p = {.items = NULL};
	struct procmem m;
	uint8_t got[BYTES];

	(void)state;
	open_ourselves(&m);
	/* In any order; one that overlaps another is left out. */
	patches_add(&p, at(40), at(44), PATCH_BYTES, filled(4, 0xbb));
	patches_add(&p, at(8), at(16), PATCH_BYTES, filled(8, 0xaa));
	patches_add(&p, at(12), at(20), PATCH_BYTES, filled(8, 0xcc));
	patches_add(&p, at(30), at(30), PATCH_BYTES, filled(1, 0xdd));
	assert_int_equal(p.nr, 2);
	assert_int_equal(patches_read(&p, &m, at(0), got, BYTES), BYTES);
	for (size_t i = 0; i < BYTES; i++) {
		uint8_t want = i >= 8 && i < 16 ? 0xaa : i >= 40 && i < 44 ? 0xbb : (uint8_t)i;

		assert_int_equal(got[i], want);
	}
	/* Beginning and ending inside of one. */
	assert_int_equal(patches_read(&p, &m, at(10), got, 4), 4);
	assert_memory_equal(got, "\xaa\xaa\xaa\xaa", 4);
	patches_release(&p);
	procmem_close(&m);
}

static void reads_end_before_what_is_missing(void **state)
{
	struct patches p = {.items = NULL};
	struct procmem m;
	uint8_t got[BYTES];

	(void)state;
	open_ourselves(&m);
	patches_add(&p, at(16), at(32), PATCH_MISSING, NULL);
	assert_int_equal(patches_read(&p, &m, at(0), got, BYTES), 16);
	assert_int_equal(patches_read(&p, &m, at(20), got, 4), 0);
	assert_int_equal(patches_read(&p, &m, at(32), got, 8), 8);
	assert_int_equal(patches_read(&p, &m, UINT64_MAX - 2, got, 8), 0);
	patches_release(&p);
	procmem_close(&m);
}

static void absent_pages_are_not_touched(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *pages =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t start = (uint64_t)(uintptr_t)pages;
	struct patches p = {.items = NULL};
	struct procmem m;
	uint8_t *got = mem_alloc(2 * page);
	unsigned char in_core[2];

	(void)state;
	assert_ptr_not_equal(pages, MAP_FAILED);
	open_ourselves(&m);
	pages[5] = 7;
	patches_add(&p, start, start + 2 * page, PATCH_RESIDENT, NULL);
	assert_int_equal(patches_read(&p, &m, start + 4, got, 2 * page - 4), page - 4);
	assert_int_equal(got[1], 7);
	assert_int_equal(patches_read(&p, &m, start + page, got, 8), 0);
	assert_int_equal(mincore(pages, 2 * page, in_core), 0);
	assert_int_equal(in_core[1] & 1, 0);
	free(got);
	patches_release(&p);
	procmem_close(&m);
	munmap(pages, 2 * page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_lie_over),
		cmocka_unit_test(reads_end_before_what_is_missing),
		cmocka_unit_test(absent_pages_are_not_touched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
