/* The driver of the heap walkers: accounts, bounds, nesting, verdicts; with allocators made here.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../tools/fake_target.h"
#include "base/error.h"
#include "heap/heaps.h"

#define BASE 0x100000ull
#define PAGES(n) ((uint64_t)(n)*FAKE_PAGE)

/* What the made-up allocator says next. */
static const struct heap_block *script;
static size_t script_nr;
static uint64_t verdict_expected, verdict_found;
static int walk_error;

static int plain_find(struct heaps *h, void **ret_state, struct error *e);

static int plain_walk(struct walk *w, void *state, size_t i)
{
	(void)state;
	for (size_t k = 0; k < script_nr; k++) {
		struct heap_block b = script[k];
		int r;

		b.heap = i;
		r = walk_emit(w, &b);
		if (r)
			return r;
	}
	walk_verdict(w, "made up", i, verdict_expected, verdict_found);
	return walk_error;
}

static void plain_finish(struct walk *w, void *state)
{
	(void)state;
	walk_verdict(w, "of all", HEAP_ALL, 1, 1);
}

static void plain_free(void *state)
{
	free(state);
}

static const struct heap_ops plain = {
	.allocator = "plain",
	.find = plain_find,
	.walk = plain_walk,
	.finish = plain_finish,
	.free_state = plain_free,
};

static int plain_find(struct heaps *h, void **ret_state, struct error *e)
{
	size_t index;
	struct heap *heap = heaps_add(h, &plain, HEAP_MAIN, &index);

	(void)e;
	heap->flags = HEAP_HAS_BLOCKS;
	heap_add_span(heap, index, BASE + PAGES(8), BASE + PAGES(10), BASE + PAGES(10));
	heap_add_span(heap, index, BASE, BASE + PAGES(4), BASE + PAGES(6));
	*ret_state = mem_alloc(1);
	return 0;
}

static int inner_find(struct heaps *h, void **ret_state, struct error *e);

static const struct heap_ops inner = {.allocator = "inner", .find = inner_find};

static int inner_find(struct heaps *h, void **ret_state, struct error *e)
{
	size_t index;
	struct heap *heap = heaps_add(h, &inner, HEAP_SUB, &index);

	(void)e;
	(void)ret_state;
	heap_add_span(heap, index, BASE + 0x200, BASE + 0x300, BASE + 0x300);
	heap = heaps_add(h, &inner, HEAP_SUB, &index);
	heap_add_span(heap, index, BASE + PAGES(20), BASE + PAGES(21), BASE + PAGES(21));
	return 0;
}

static const struct heap_ops *const ops[] = {&plain, &inner, NULL};

static struct target *memory(void)
{
	struct target *t = fake_target_new(8, EM_X86_64);
	uint8_t *bytes = fake_target_map(t, BASE, PAGES(32), MAP_READ | MAP_WRITE, "[heap]");

	for (size_t page = 0; page < 32; page += 2)
		bytes[page * FAKE_PAGE] = 1;
	fake_target_ready(t);
	return t;
}

static struct heaps *find(struct target *t)
{
	struct heaps *h = NULL;
	struct error e = {0};

	assert_int_equal(heaps_find_with(t, ops, &h, &e), 0);
	return h;
}

static int count(void *context, const struct heap_block *b)
{
	size_t *nr = context;

	(void)b;
	return ++*nr == 3 ? 77 : 0;
}

static void accounts_close(void **state)
{
	static const struct heap_block blocks[] = {
		{.addr = BASE + 16, .start = BASE, .size = 100, .total = 128, .state = BLOCK_BUSY},
		{.addr = BASE + 144,
		 .start = BASE + 128,
		 .size = 50,
		 .total = 64,
		 .state = BLOCK_INTERNAL},
		{.addr = BASE + 208,
		 .start = BASE + 192,
		 .size = 40,
		 .total = 64,
		 .state = BLOCK_CACHED},
		{.addr = BASE + 272,
		 .start = BASE + 256,
		 .size = PAGES(3) - 16,
		 .total = PAGES(3),
		 .state = BLOCK_FREE},
		{.addr = BASE + PAGES(8),
		 .start = BASE + PAGES(8),
		 .size = 0,
		 .total = 32,
		 .state = BLOCK_OVERHEAD},
		{.addr = BASE + PAGES(8) + 48,
		 .start = BASE + PAGES(8) + 32,
		 .size = PAGES(2) - 48,
		 .total = PAGES(2) - 32,
		 .state = BLOCK_TOP},
	};
	struct target *t = memory();
	struct heaps *h = find(t);
	const struct heap_verdict *v;
	const struct heap_figures *f;
	struct error e = {0};
	size_t nr = 0;

	(void)state;
	script = blocks;
	script_nr = 6;
	verdict_expected = verdict_found = 5;
	assert_int_equal(heaps_walk(h, HEAP_ALL, NULL, NULL, &e), 0);
	f = &heaps_get(h, 0)->figures;
	assert_int_equal(f->reserved_bytes, PAGES(8));
	assert_int_equal(f->committed_bytes, PAGES(6));
	assert_int_equal(f->busy_blocks, 2);
	assert_int_equal(f->busy_bytes, 150);
	assert_int_equal(f->internal_bytes, 50);
	assert_int_equal(f->cached_bytes, 40);
	assert_int_equal(f->free_blocks, 2);
	assert_int_equal(f->free_bytes, PAGES(5) - 64);
	assert_int_equal(f->largest_free_bytes, PAGES(3) - 16);
	assert_int_equal(f->top_bytes, PAGES(2) - 48);
	assert_int_equal(f->committed_bytes,
			 f->busy_bytes + f->cached_bytes + f->free_bytes + f->overhead_bytes);
	/* Of pages 0-3 and 8-9 the even ones; of the free blocks' whole pages (1, 2; 9) page 2. */
	assert_int_equal(f->resident_bytes, PAGES(3));
	assert_int_equal(f->free_resident_bytes, PAGES(1));
	/* Page 3 behind the free block belongs to no block: the check says so. */
	assert_true(heaps_get(h, 0)->flags & HEAP_SUSPECT);
	v = heaps_verdicts(h, &nr);
	assert_int_equal(nr, 3);
	assert_int_equal(v[0].expected, v[0].found);
	assert_int_equal(v[1].expected - v[1].found, PAGES(1) - 256);
	assert_int_equal(v[2].heap, HEAP_ALL);
	nr = 0;
	assert_int_equal(heaps_walk(h, HEAP_ALL, count, &nr, &e), 77);
	assert_int_equal(nr, 3);
	heaps_free(h);
	target_close(t);
}

static void bounds_are_kept(void **state)
{
	static const struct heap_block blocks[] = {
		{.addr = BASE - 64, .start = BASE - 64, .total = 32, .state = BLOCK_BUSY},
		{.addr = BASE, .start = BASE, .total = PAGES(5), .state = BLOCK_BUSY},
		{.addr = BASE, .start = BASE, .total = UINT64_MAX, .state = BLOCK_BUSY},
		{.addr = BASE, .start = BASE, .size = 64, .total = 64, .state = BLOCK_BUSY},
		{.addr = BASE + 32, .start = BASE + 32, .total = 64, .state = BLOCK_BUSY},
		{.addr = BASE + PAGES(5),
		 .start = BASE + PAGES(5),
		 .total = 64,
		 .state = BLOCK_BUSY},
	};
	struct target *t = memory();
	struct heaps *h = find(t);
	struct error e = {0};

	(void)state;
	script = blocks;
	script_nr = 6;
	assert_int_equal(heaps_walk(h, 0, NULL, NULL, &e), 0);
	assert_int_equal(heaps_get(h, 0)->figures.busy_blocks, 1);
	assert_int_equal(heaps_get(h, 0)->figures.busy_bytes, 64);
	assert_true(heaps_get(h, 0)->flags & HEAP_SUSPECT);
	assert_int_equal(heaps_get(h, 0)->fault_addr, BASE - 64);
	heaps_free(h);
	target_close(t);
}

static void addresses_are_found(void **state)
{
	static const struct heap_block blocks[] = {
		{.addr = BASE + 16, .start = BASE, .size = 100, .total = 128, .state = BLOCK_BUSY},
		{.addr = BASE + 144, .start = BASE + 128, .size = 50, .total = 64},
	};
	struct target *t = memory();
	struct heaps *h = find(t);
	struct heap_block b;

	(void)state;
	script = blocks;
	script_nr = 2;
	assert_int_equal(heaps_find_heap(h, BASE), 0);
	assert_int_equal(heaps_find_heap(h, BASE + PAGES(5)), 0);
	assert_int_equal(heaps_find_heap(h, BASE + PAGES(7)), HEAP_ALL);
	assert_int_equal(heaps_find_heap(h, BASE + PAGES(10)), HEAP_ALL);
	assert_int_equal(heaps_find_heap(h, BASE - 1), HEAP_ALL);
	assert_int_equal(heaps_find_heap(h, BASE + 0x2ff), 1);
	assert_int_equal(heaps_find_heap(h, BASE + 0x300), 0);
	assert_int_equal(heaps_find_block(h, BASE + 130, &b), 0);
	assert_int_equal(b.addr, BASE + 144);
	assert_int_equal(heaps_find_block(h, BASE + 192, &b), -ENOENT);
	assert_int_equal(heaps_get(h, 0)->figures.busy_blocks, 0);
	/* In memory of its own a heap counts by itself, in another heap's it does not. */
	assert_int_equal(heaps_get(h, 1)->flags & HEAP_NESTED, HEAP_NESTED);
	assert_int_equal(heaps_get(h, 1)->parent, 0);
	assert_int_equal(heaps_get(h, 2)->flags & HEAP_NESTED, 0);
	assert_int_equal(heaps_get(h, 2)->parent, SIZE_MAX);
	assert_string_equal(heaps_allocator(h), "plain");
	heaps_free(h);
	target_close(t);
}

static void failed_checks_are_faults(void **state)
{
	struct target *t = memory();
	struct heaps *h = find(t);
	struct error e = {0};

	(void)state;
	script_nr = 0;
	verdict_expected = 7;
	verdict_found = 8;
	assert_int_equal(heaps_walk(h, 0, NULL, NULL, &e), 0);
	assert_true(heaps_get(h, 0)->flags & HEAP_SUSPECT);
	assert_string_equal(heaps_get(h, 0)->fault, "made up: 7 expected, 8 found");
	walk_error = -ESRCH;
	assert_int_equal(heaps_walk(h, 0, NULL, NULL, &e), -ESRCH);
	assert_int_equal(e.status, EXIT_TARGET);
	walk_error = 0;
	heaps_free(h);
	target_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accounts_close),
		cmocka_unit_test(bounds_are_kept),
		cmocka_unit_test(addresses_are_found),
		cmocka_unit_test(failed_checks_are_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
