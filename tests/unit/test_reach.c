/*
 * model/reach and model/leak_heads against a slow truth: small random heaps, whose pointers are
 * looked up one by one and whose components follow from the closure of "can reach".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/leak_heads.h"
#include "model/reach.h"

#define MAX_BLOCKS 80
#define MAX_ROOTS 4
#define BASE 0x7f0000100000ull

struct made_block {
	uint64_t addr, size;
	size_t span;
};

/* A heap of a few spans, its bytes, and the words of its roots. */
struct made {
	unsigned int word;
	struct made_block blocks[MAX_BLOCKS];
	size_t nr;
	uint64_t span_start[3], span_end[3];
	size_t nr_spans;
	uint8_t *bytes[3];
	uint64_t roots[MAX_ROOTS];
	size_t nr_roots;
	/* The truth. */
	bool edge[MAX_BLOCKS][MAX_BLOCKS], strong[MAX_BLOCKS][MAX_BLOCKS];
	bool reach[MAX_BLOCKS][MAX_BLOCKS]; /* of the blocks of one state */
	enum reach_state state[MAX_BLOCKS];
};

static uint64_t seed;

static uint64_t random_below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static uint8_t *at(struct made *m, uint64_t addr)
{
	for (size_t i = 0; i < m->nr_spans; i++) {
		if (addr >= m->span_start[i] && addr < m->span_end[i])
			return m->bytes[i] + (addr - m->span_start[i]);
	}
	return NULL;
}

static uint64_t untagged(const struct made *m, uint64_t word)
{
	return m->word == 8 ? word & 0x7fffffffffff : word;
}

static size_t find_slowly(const struct made *m, uint64_t word, uint64_t mask)
{
	word = untagged(m, word);
	for (size_t i = 0; i < m->nr; i++) {
		uint64_t end = (m->blocks[i].addr + m->blocks[i].size + mask) & ~mask;

		if (word >= m->blocks[i].addr && word < end)
			return i;
	}
	return SIZE_MAX;
}

static bool is_strong(const struct made *m, uint64_t word, size_t block)
{
	uint64_t offset = word - m->blocks[block].addr;

	return offset <= m->word || offset == 2 * m->word;
}

/* Word at a random place of a block: a pointer to a start, into a middle, to a gap, or nothing. */
static uint64_t random_word(const struct made *m)
{
	const struct made_block *b = &m->blocks[random_below(m->nr)];

	switch (random_below(9)) {
	case 0:
		return b->addr + random_below(b->size);
	case 1:
		return b->addr + b->size + random_below(64);
	case 2:
		return random_below(UINT32_MAX);
	case 3:
		return b->addr + m->word * random_below(4);
	case 4:
		/* With a tag where no address has anything. */
		return m->word == 8 ? b->addr | (1 + random_below(0x1ffff)) << 47 : b->addr;
	default:
		return b->addr;
	}
}

static void make_blocks(struct made *m, uint64_t granule)
{
	uint64_t addr = m->word == 8 ? BASE : 0x8000000;

	m->nr = 2 + random_below(MAX_BLOCKS - 2);
	m->nr_spans = 1 + random_below(3);
	for (size_t s = 0, b = 0; s < m->nr_spans; s++) {
		size_t until = s + 1 == m->nr_spans ? m->nr : m->nr * (s + 1) / m->nr_spans;

		m->span_start[s] = addr;
		for (; b < until; b++) {
			addr += granule * random_below(3);
			m->blocks[b] = (struct made_block){
				.addr = addr, .size = 8 + random_below(6) * 24, .span = s};
			addr = (addr + m->blocks[b].size + granule - 1) & ~(granule - 1);
		}
		addr += granule * (1 + random_below(3));
		m->span_end[s] = addr;
		m->bytes[s] = calloc(1, addr - m->span_start[s]);
		addr += granule * random_below(2000);
	}
}

static void make_contents(struct made *m)
{
	uint64_t links = random_below(3);

	for (size_t i = 0; i < m->nr; i++) {
		const struct made_block *b = &m->blocks[i];

		for (uint64_t k = 0; k < links && k * 16 + 8 <= b->size; k++) {
			uint64_t word = random_word(m);

			memcpy(at(m, b->addr + k * 16), &word, m->word);
		}
	}
	/* Free memory is full of stale pointers, which must not count. */
	for (size_t s = 0; s < m->nr_spans; s++) {
		for (uint64_t a = m->span_start[s]; a < m->span_end[s]; a += m->word) {
			uint64_t word = m->blocks[random_below(m->nr)].addr;

			if (find_slowly(m, a, 15) == SIZE_MAX)
				memcpy(at(m, a), &word, m->word);
		}
	}
	m->nr_roots = random_below(MAX_ROOTS + 1);
	for (size_t i = 0; i < m->nr_roots; i++)
		m->roots[i] = random_word(m);
}

static void find_edges(struct made *m, uint64_t granule)
{
	for (size_t i = 0; i < m->nr; i++) {
		const struct made_block *b = &m->blocks[i];
		uint64_t end = (b->addr + b->size + granule - 1) & ~(granule - 1);

		for (uint64_t a = b->addr; a + m->word <= end; a += m->word) {
			uint64_t word = 0;
			size_t to;

			memcpy(&word, at(m, a), m->word);
			to = find_slowly(m, word, granule - 1);
			if (to == SIZE_MAX)
				continue;
			m->edge[i][to] = true;
			if (is_strong(m, word, to))
				m->strong[i][to] = true;
		}
	}
}

/* Marks until nothing changes. */
static void spread(const struct made *m, bool mark[MAX_BLOCKS],
		   const bool edge[MAX_BLOCKS][MAX_BLOCKS])
{
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < m->nr; i++) {
			for (size_t k = 0; mark[i] && k < m->nr; k++) {
				if (edge[i][k] && !mark[k])
					mark[k] = again = true;
			}
		}
	}
}

static void find_states(struct made *m, uint64_t granule)
{
	bool held[MAX_BLOCKS] = {false}, possible[MAX_BLOCKS];

	for (size_t i = 0; i < m->nr_roots; i++) {
		size_t to = find_slowly(m, m->roots[i], granule - 1);

		if (to != SIZE_MAX && is_strong(m, m->roots[i], to))
			held[to] = true;
	}
	spread(m, held, m->strong);
	memcpy(possible, held, sizeof(possible));
	for (size_t i = 0; i < m->nr_roots; i++) {
		size_t to = find_slowly(m, m->roots[i], granule - 1);

		if (to != SIZE_MAX)
			possible[to] = true;
	}
	spread(m, possible, m->edge);
	for (size_t i = 0; i < m->nr; i++)
		m->state[i] = held[i] ? REACH_HELD : possible[i] ? REACH_POSSIBLE : REACH_LEAKED;
}

static void make(struct made *m, unsigned int word, uint64_t granule)
{
	memset(m, 0, sizeof(*m));
	m->word = word;
	make_blocks(m, granule);
	make_contents(m);
	find_edges(m, granule);
	find_states(m, granule);
}

static void unmake(struct made *m)
{
	for (size_t s = 0; s < m->nr_spans; s++)
		free(m->bytes[s]);
}

static struct reach *build(struct made *m, unsigned int granule)
{
	struct reach *r = reach_new(m->word);

	for (size_t s = m->nr_spans; s-- > 0;)
		assert_int_equal(reach_add_span(r, m->span_start[s], m->span_end[s], granule), 0);
	for (size_t i = 0; i < m->nr; i++)
		assert_int_equal(reach_add_block(r, m->blocks[i].addr, m->blocks[i].size), 0);
	reach_seal(r);
	for (size_t s = 0; s < m->nr_spans; s++) {
		uint64_t a = m->span_start[s];

		while (a < m->span_end[s]) {
			uint64_t piece = m->word * (1 + random_below(40));

			if (piece > m->span_end[s] - a)
				piece = m->span_end[s] - a;
			reach_scan(r, a, at(m, a), (size_t)piece);
			a += piece;
		}
	}
	reach_scan_end(r);
	for (size_t i = 0; i < m->nr_roots; i++)
		reach_root(r, m->roots[i]);
	reach_mark(r);
	return r;
}

static void check_heads(struct made *m, const struct reach *r, enum reach_state state)
{
	bool closure[MAX_BLOCKS][MAX_BLOCKS] = {{false}};
	uint64_t blocks = 0, bytes = 0, sum_blocks = 0, sum_bytes = 0;
	struct leak_heads h;

	for (size_t i = 0; i < m->nr; i++) {
		for (size_t k = 0; k < m->nr; k++)
			m->reach[i][k] =
				m->edge[i][k] && m->state[i] == state && m->state[k] == state;
		if (m->state[i] == state) {
			blocks++;
			bytes += m->blocks[i].size;
		}
	}
	for (size_t i = 0; i < m->nr; i++) {
		closure[i][i] = true;
		spread(m, closure[i], m->reach);
	}
	leak_heads_find(r, state, &h);
	assert_int_equal(h.blocks, blocks);
	assert_int_equal(h.bytes, bytes);
	for (size_t i = 0; i < m->nr; i++) {
		uint32_t id = reach_find(r, m->blocks[i].addr);
		size_t owner = leak_heads_owner(&h, id), head;
		bool is_member = m->state[i] == state;

		if (m->state[i] != state) {
			assert_true(owner == SIZE_MAX);
			continue;
		}
		/* A member of a head: whoever reaches it is reached by it. */
		for (size_t k = 0; k < m->nr; k++) {
			if (m->state[k] == state && closure[k][i] && !closure[i][k])
				is_member = false;
		}
		assert_int_equal(leak_heads_is_member(&h, id), is_member);
		assert_true(owner < h.nr);
		head = find_slowly(m, reach_address(r, h.items[owner].id), 0);
		assert_true(closure[head][i]);
		if (is_member)
			assert_true(closure[i][head]);
	}
	for (size_t i = 0; i < h.nr; i++) {
		sum_blocks += h.items[i].members + h.items[i].held_blocks;
		sum_bytes += h.items[i].bytes + h.items[i].held_bytes;
		assert_true(i == 0 || h.items[i - 1].id < h.items[i].id);
	}
	assert_int_equal(sum_blocks, blocks);
	assert_int_equal(sum_bytes, bytes);
	leak_heads_release(&h);
}

/* With a cursor that goes up and one that goes anywhere. */
static void check_addresses(struct made *m, const struct reach *r)
{
	struct reach_cursor up = {0}, anywhere = {0};

	for (size_t i = 0; i < m->nr; i++) {
		size_t k = random_below(m->nr);

		assert_int_equal(reach_next_address(r, reach_find(r, m->blocks[i].addr), &up),
				 m->blocks[i].addr);
		assert_int_equal(reach_next_address(r, reach_find(r, m->blocks[k].addr), &anywhere),
				 m->blocks[k].addr);
	}
}

static void check(struct made *m, unsigned int granule)
{
	struct reach *r = build(m, granule);

	assert_int_equal(reach_blocks(r), m->nr);
	for (size_t i = 0; i < m->nr; i++) {
		const struct made_block *b = &m->blocks[i];
		uint32_t id = reach_find(r, b->addr + random_below(b->size));

		assert_true(reach_is_block(r, id));
		assert_int_equal(reach_address(r, id), b->addr);
		assert_int_equal(reach_size(r, id), b->size);
		assert_int_equal(reach_state(r, id), m->state[i]);
	}
	assert_true(reach_find(r, m->span_end[0]) == REACH_NONE ||
		    find_slowly(m, m->span_end[0], granule - 1) != SIZE_MAX);
	check_addresses(m, r);
	check_heads(m, r, REACH_LEAKED);
	check_heads(m, r, REACH_POSSIBLE);
	reach_free(r);
}

static void random_heaps_agree(void **state)
{
	static struct made m;

	(void)state;
	seed = 0x9e3779b97f4a7c15ull;
	for (int i = 0; i < 3000; i++) {
		make(&m, i % 3 ? 8 : 4, i % 2 ? 16 : 8);
		check(&m, i % 2 ? 16 : 8);
		unmake(&m);
	}
}

/* A chain and a ring of more blocks than any call stack would hold. */
static void long_chains_need_no_recursion(void **state)
{
	enum { NR = 300000 };
	uint64_t *memory = calloc(NR, 16);
	struct reach *r = reach_new(8);
	struct leak_heads h;

	(void)state;
	assert_int_equal(reach_add_span(r, BASE, BASE + NR * 16ull, 16), 0);
	for (uint64_t i = 0; i < NR; i++) {
		/* The first half is a chain, the second a ring. */
		uint64_t next = i == NR / 2 - 1 ? NR : i == NR - 1 ? NR / 2 : i + 1;

		memory[i * 2] = next == NR ? 0 : BASE + next * 16;
		assert_int_equal(reach_add_block(r, BASE + i * 16, 16), 0);
	}
	reach_seal(r);
	reach_scan(r, BASE, memory, NR * 16ull);
	reach_scan_end(r);
	reach_mark(r);
	leak_heads_find(r, REACH_LEAKED, &h);
	assert_int_equal(h.nr, 2);
	assert_int_equal(h.items[0].members, 1);
	assert_int_equal(h.items[0].held_blocks, NR / 2 - 1);
	assert_int_equal(h.items[1].members, NR / 2);
	assert_int_equal(h.items[1].held_blocks, 0);
	leak_heads_release(&h);
	reach_root(r, BASE + NR * 8ull);
	reach_mark(r);
	leak_heads_find(r, REACH_LEAKED, &h);
	assert_int_equal(h.nr, 1);
	assert_int_equal(h.blocks, NR / 2);
	leak_heads_release(&h);
	reach_free(r);
	free(memory);
}

static void note_id(void *context, uint32_t id)
{
	*(uint32_t *)context = id;
}

/* A global points into the middle of a, which points to b; b points into the middle of c. */
static void weak_pointers_can_be_vouched_for(void **state)
{
	uint64_t memory[64] = {0};
	struct reach *r = reach_new(8);
	uint32_t seen = REACH_NONE;

	(void)state;
	assert_int_equal(reach_add_span(r, BASE, BASE + sizeof(memory), 16), 0);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(reach_add_block(r, BASE + i * 128, 128), 0);
	memory[2] = BASE + 128;
	memory[16 + 3] = BASE + 256 + 64;
	reach_seal(r);
	reach_scan(r, BASE, memory, sizeof(memory));
	reach_scan_end(r);
	reach_root(r, BASE + 64);
	reach_mark(r);
	assert_int_equal(reach_state(r, reach_find(r, BASE)), REACH_POSSIBLE);
	assert_int_equal(reach_state(r, reach_find(r, BASE + 128)), REACH_POSSIBLE);
	/* b is not held by a weak pointer itself, and c's holder is not held. */
	reach_each_weakly_held(r, note_id, &seen);
	assert_int_equal(seen, reach_find(r, BASE));
	reach_hold(r, seen);
	reach_mark(r);
	assert_int_equal(reach_state(r, reach_find(r, BASE)), REACH_HELD);
	assert_int_equal(reach_state(r, reach_find(r, BASE + 128)), REACH_HELD);
	assert_int_equal(reach_state(r, reach_find(r, BASE + 256)), REACH_POSSIBLE);
	reach_each_weakly_held(r, note_id, &seen);
	assert_int_equal(seen, reach_find(r, BASE + 256));
	reach_free(r);
}

static uint64_t mangled(uint64_t addr, uint64_t guard)
{
	uint64_t x = addr ^ guard;

	return x << 17 | x >> 47;
}

/* As in a jmp_buf: a root points to a, whose word points to b, whose word is of another guard. */
static void mangled_pointers_are_weak(void **state)
{
	const uint64_t guard = 0x8d2f46a1c35b7e90, other = 0x8d2e46a1c35b7e90;
	uint64_t memory[48] = {0};
	struct reach *r = reach_new(8);

	(void)state;
	reach_set_guard(r, guard);
	assert_int_equal(reach_add_span(r, BASE, BASE + sizeof(memory), 16), 0);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(reach_add_block(r, BASE + i * 128, 128), 0);
	memory[3] = mangled(BASE + 128 + 64, guard);
	memory[16 + 3] = mangled(BASE + 256, other);
	reach_seal(r);
	reach_scan(r, BASE, memory, sizeof(memory));
	reach_scan_end(r);
	assert_int_equal(reach_root(r, mangled(BASE, guard)), reach_find(r, BASE));
	assert_true(reach_root(r, mangled(BASE, other)) == REACH_NONE);
	assert_int_equal(reach_untagged(r, mangled(BASE + 8, guard)), BASE + 8);
	reach_mark(r);
	assert_int_equal(reach_state(r, reach_find(r, BASE)), REACH_POSSIBLE);
	assert_int_equal(reach_state(r, reach_find(r, BASE + 128)), REACH_POSSIBLE);
	assert_int_equal(reach_state(r, reach_find(r, BASE + 256)), REACH_LEAKED);
	reach_free(r);
}

static void refuses_what_does_not_fit(void **state)
{
	struct reach *r = reach_new(8);

	(void)state;
	assert_true(reach_add_block(r, BASE, 8) < 0);
	assert_true(reach_add_span(r, BASE, BASE, 16) < 0);
	assert_true(reach_add_span(r, BASE, BASE + 4096, 12) < 0);
	assert_int_equal(reach_add_span(r, BASE, BASE + 4096, 16), 0);
	assert_true(reach_add_span(r, BASE + 4080, BASE + 8192, 16) < 0);
	assert_true(reach_add_span(r, BASE - 16, BASE + 16, 16) < 0);
	assert_int_equal(reach_add_block(r, BASE + 16, 40), 0);
	assert_true(reach_add_block(r, BASE + 32, 8) < 0);
	assert_true(reach_add_block(r, BASE + 72, 8) < 0);
	assert_true(reach_add_block(r, BASE + 4080, 17) < 0);
	assert_int_equal(reach_add_block(r, BASE + 4080, 16), 0);
	reach_seal(r);
	reach_scan_end(r);
	reach_mark(r);
	assert_int_equal(reach_blocks(r), 2);
	assert_true(reach_find(r, BASE) == REACH_NONE);
	assert_true(reach_find(r, BASE + 64) == REACH_NONE);
	assert_true(reach_find(r, BASE + 4096) == REACH_NONE);
	assert_int_equal(reach_address(r, reach_find(r, BASE + 4095)), BASE + 4080);
	reach_free(r);
	r = reach_new(8);
	reach_seal(r);
	reach_scan_end(r);
	reach_mark(r);
	assert_true(reach_find(r, BASE) == REACH_NONE);
	assert_true(reach_root(r, BASE) == REACH_NONE);
	reach_free(r);
}

static void big_blocks_keep_their_size(void **state)
{
	struct reach *r = reach_new(8);
	uint64_t big = (1ull << 32) + 4096;

	(void)state;
	/* A granule as large as a page: an index of 5 GiB is small. */
	assert_int_equal(reach_add_span(r, BASE, BASE + big + 8192, 4096), 0);
	assert_int_equal(reach_add_block(r, BASE + 4096, big), 0);
	assert_int_equal(reach_add_block(r, BASE + 4096 + big, 4096), 0);
	reach_seal(r);
	reach_scan_end(r);
	assert_int_equal(reach_size(r, reach_find(r, BASE + big)), big);
	assert_int_equal(reach_size(r, reach_find(r, BASE + big + 4096)), 4096);
	reach_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_heaps_agree),
		cmocka_unit_test(long_chains_need_no_recursion),
		cmocka_unit_test(weak_pointers_can_be_vouched_for),
		cmocka_unit_test(mangled_pointers_are_weak),
		cmocka_unit_test(refuses_what_does_not_fit),
		cmocka_unit_test(big_blocks_keep_their_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
