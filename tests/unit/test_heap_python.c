/* CPython's arenas of the versions that are not at hand, read from images made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../tools/fake_target.h"
#include "base/str.h"
#include "heap/heaps.h"

#define DATA 0x560000000000ull
#define ARRAY 0x561000000010ull
#define ARENAS 0x7f0000000000ull
#define OBJECT 48u
#define POOL_HEADER 48u

static const struct heap_ops *const only_python[] = {&heap_python, NULL};

/* Pool and arena bytes of a version, and how far its arenas are from being aligned. */
struct shape {
	const char *name;
	uint64_t pool, arena, askew;
};

static const struct shape shapes[] = {
	{"3.9", 4096, 256 << 10, 0},
	{"3.10", 16384, 1 << 20, 0},
	{"3.10, arenas askew", 16384, 1 << 20, 4096},
	{"huge pages", 16384, 2 << 20, 0},
};

struct image {
	struct target *t;
	const struct shape *shape;
	uint64_t busy, free, pools; /* blocks; pools never used or given back */
};

static void put(struct image *m, uint64_t addr, uint64_t value, size_t bytes)
{
	memcpy(fake_target_at(m->t, addr), &value, bytes);
}

/* A pool of 64-byte blocks: ten carved, of which the third and the sixth are free again. */
static void put_pool(struct image *m, uint64_t pool, uint32_t arena)
{
	uint64_t third = pool + POOL_HEADER + 2 * 64, sixth = pool + POOL_HEADER + 5 * 64;

	put(m, pool, 8, 4);
	put(m, pool + 8, third, 8);
	put(m, third, sixth, 8);
	put(m, pool + 32, arena, 4);
	put(m, pool + 36, 3, 4);
	put(m, pool + 40, POOL_HEADER + 10 * 64, 4);
	put(m, pool + 44, m->shape->pool - 64, 4);
	m->busy += 8;
	m->free += (m->shape->pool - POOL_HEADER) / 64 - 8;
}

/* Three pools in use, one given back, the others never used. */
static void put_arena(struct image *m, uint32_t index, uint64_t addr)
{
	uint64_t first = (addr + m->shape->pool - 1) & ~(m->shape->pool - 1);
	uint64_t nr = m->shape->arena / m->shape->pool - (first != addr);
	uint64_t object = ARRAY + (uint64_t)index * OBJECT;

	put(m, object, addr, 8);
	put(m, object + 8, first + 4 * m->shape->pool, 8);
	put(m, object + 16, nr - 3, 4);
	put(m, object + 20, nr, 4);
	for (unsigned int i = 0; i < 3; i++)
		put_pool(m, first + i * m->shape->pool, index);
	put(m, first + 3 * m->shape->pool + 32, index, 4);
	put(m, first + 3 * m->shape->pool + 36, 7, 4);
	m->pools += nr - 3;
}

static void make(struct image *m, const struct shape *shape)
{
	unsigned int rw = MAP_READ | MAP_WRITE;

	*m = (struct image){.shape = shape, .t = fake_target_new(8, EM_X86_64)};
	fake_target_map(m->t, DATA, 0x3000, rw, "");
	fake_target_map(m->t, ARRAY & ~0xfffull, 0x4000, rw, "[heap]");
	fake_target_map(m->t, ARENAS, 16 << 20, rw, "");
	fake_target_module(m->t, "/usr/bin/python-forged", DATA, DATA + 0x3000, 0);
	put(m, DATA + 0x1238, ARRAY, 8);
	put(m, DATA + 0x1240, ARRAY + 2 * OBJECT, 8); /* as the list of usable arenas does */
	put_arena(m, 0, ARENAS + (4 << 20) + shape->askew);
	put_arena(m, 2, ARENAS + shape->askew);
	for (uint64_t i = 3; i < 15; i++)
		put(m, ARRAY + i * OBJECT + 32, ARRAY + (i + 1) * OBJECT, 8);
	put(m, ARRAY + 16 * OBJECT, 0x91, 8); /* what malloc has behind it */
	fake_target_ready(m->t);
}

static int see(void *context, const struct heap_block *b)
{
	uint64_t *nr = context;

	nr[b->state]++;
	return 0;
}

static void every_shape(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		uint64_t nr[BLOCK_STATES] = {0};
		const struct heap_verdict *v;
		struct image m;
		struct heaps *h;
		size_t verdicts;

		print_message("# Python %s\n", shapes[i].name);
		make(&m, &shapes[i]);
		assert_int_equal(heaps_find_with(m.t, only_python, &h, NULL), 0);
		assert_int_equal(heaps_nr(h), 1);
		assert_int_equal(heaps_get(h, 0)->kind, HEAP_SUB);
		assert_int_equal(heaps_get(h, 0)->addr, ARRAY);
		assert_false(heaps_get(h, 0)->flags & HEAP_NESTED);
		assert_int_equal(heaps_walk(h, HEAP_ALL, see, nr, NULL), 0);
		assert_int_equal(nr[BLOCK_BUSY], m.busy);
		assert_int_equal(nr[BLOCK_FREE], m.free + 2); /* a pool of each arena */
		assert_int_equal(nr[BLOCK_TOP], 2);
		assert_int_equal(heaps_get(h, 0)->figures.committed_bytes, 2 * shapes[i].arena);
		v = heaps_verdicts(h, &verdicts);
		assert_int_equal(verdicts, 3);
		for (size_t k = 0; k < verdicts; k++)
			assert_int_equal(v[k].expected, v[k].found);
		assert_int_equal(v[1].found, m.pools);
		heaps_free(h);
		target_close(m.t);
	}
}

/* A free list that goes in a circle, or out of its pool, ends there and is told. */
static void bad_lists(void **state)
{
	const uint64_t leads_to[] = {0x41414141, ARENAS + POOL_HEADER + 2 * 64,
				     ARENAS + POOL_HEADER + 1, ARENAS};

	(void)state;
	for (size_t i = 0; i < sizeof(leads_to) / sizeof(*leads_to); i++) {
		struct image m;
		struct heaps *h;

		make(&m, &shapes[1]);
		put(&m, ARENAS + POOL_HEADER + 5 * 64, leads_to[i], 8);
		assert_int_equal(heaps_find_with(m.t, only_python, &h, NULL), 0);
		assert_int_equal(heaps_walk(h, HEAP_ALL, NULL, NULL, NULL), 0);
		assert_true(heaps_get(h, 0)->flags & HEAP_SUSPECT);
		assert_non_null(strstr(heaps_get(h, 0)->fault, "no free block of its pool"));
		heaps_free(h);
		target_close(m.t);
	}
}

/* Pools that speak of other arenas: it is no array of arenas. */
static void none(void **state)
{
	struct image m;
	struct heaps *h;

	(void)state;
	make(&m, &shapes[1]);
	put(&m, ARENAS + (4 << 20) + 16384 + 32, 9, 4);
	assert_int_equal(heaps_find_with(m.t, only_python, &h, NULL), 0);
	assert_int_equal(heaps_nr(h), 0);
	heaps_free(h);
	target_close(m.t);
}

static void described(void **state)
{
	struct str text = STR_INIT;
	struct heap_block b;
	struct image m;
	struct heaps *h;

	(void)state;
	make(&m, &shapes[1]);
	assert_int_equal(heaps_find_with(m.t, only_python, &h, NULL), 0);
	assert_int_equal(heaps_find_block(h, ARENAS + POOL_HEADER + 64 + 9, &b), 0);
	assert_int_equal(b.addr, ARENAS + POOL_HEADER + 64);
	assert_int_equal(b.state, BLOCK_BUSY);
	heaps_describe(h, &b, &text);
	assert_non_null(strstr(text.data, "of arena 2, blocks of 64 bytes, 8 handed out"));
	str_release(&text);
	heaps_free(h);
	target_close(m.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shape),
		cmocka_unit_test(bad_lists),
		cmocka_unit_test(none),
		cmocka_unit_test(described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
