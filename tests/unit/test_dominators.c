/*
 * model/dominators against what the word means: a node is taken out of a small random graph, and
 * what cannot be reached any more is what it retained.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/dominators.h"
#include "model/reach.h"
#include "model/reach_path.h"

#define MAX_BLOCKS 40
#define MAX_HITS 12
#define OWNERS 5
#define WORDS 6
#define STEP 64 /* from one block to the next: there is a gap behind most */
#define BASE 0x7f0000100000ull
#define NODES (MAX_BLOCKS + OWNERS)

/* Blocks are nodes 0 … nr - 1, owners follow. */
struct made {
	size_t nr, nr_hits;
	uint64_t words[MAX_BLOCKS][STEP / 8];
	uint64_t size[MAX_BLOCKS];
	uint64_t hit[MAX_HITS];
	uint32_t owner[MAX_HITS];
	/* The truth: strong and weak pointers, what is reachable, what is so without node x. */
	bool strong[NODES][MAX_BLOCKS], weak[NODES][MAX_BLOCKS];
	bool held[MAX_BLOCKS];
	bool reached[NODES], without[NODES][NODES];
};

static uint64_t seed;

static uint64_t random_below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed % n;
}

static uint64_t random_pointer(const struct made *m)
{
	uint64_t offset = random_below(4) ? 0 : 8 * random_below(STEP / 8);

	return BASE + random_below(m->nr) * STEP + offset;
}

/* A word of node `from`, as it counts. */
static void note(struct made *m, size_t from, uint64_t word)
{
	size_t to = (size_t)((word - BASE) / STEP);
	uint64_t offset = (word - BASE) % STEP;

	if (word < BASE || to >= m->nr || offset >= ((m->size[to] + 15) & ~15ull))
		return;
	if (offset <= 16)
		m->strong[from][to] = true;
	else
		m->weak[from][to] = true;
}

static void spread(const struct made *m, bool mark[NODES], bool strong_only, size_t gone)
{
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < NODES; i++) {
			for (size_t k = 0; mark[i] && i != gone && k < m->nr; k++) {
				bool edge = m->strong[i][k] ||
					    (m->weak[i][k] && !strong_only && !m->held[k]);

				if (edge && !mark[k] && k != gone)
					mark[k] = again = true;
			}
		}
	}
}

static void start(const struct made *m, bool mark[NODES])
{
	memset(mark, 0, NODES * sizeof(*mark));
	for (size_t i = 0; i < m->nr_hits; i++)
		mark[m->nr + m->owner[i]] = true;
}

static void find_truth(struct made *m)
{
	bool mark[NODES];

	for (size_t i = 0; i < m->nr; i++) {
		for (size_t k = 0; k < ((m->size[i] + 15) & ~15ull) / 8; k++)
			note(m, i, m->words[i][k]);
	}
	for (size_t i = 0; i < m->nr_hits; i++)
		note(m, m->nr + m->owner[i], m->hit[i]);
	start(m, mark);
	spread(m, mark, true, SIZE_MAX);
	memcpy(m->held, mark, m->nr * sizeof(*mark));
	start(m, m->reached);
	spread(m, m->reached, false, SIZE_MAX);
	for (size_t x = 0; x < m->nr + OWNERS; x++) {
		start(m, m->without[x]);
		m->without[x][x] = false;
		spread(m, m->without[x], false, x);
	}
}

static void make(struct made *m)
{
	uint64_t links = 1 + random_below(3);

	memset(m, 0, sizeof(*m));
	m->nr = 2 + random_below(MAX_BLOCKS - 2);
	for (size_t i = 0; i < m->nr; i++)
		m->size[i] = 8 * (2 + random_below(WORDS - 1));
	for (size_t i = 0; i < m->nr; i++) {
		/* Behind its end too: that must not count. */
		for (uint64_t k = 0; k < links; k++)
			m->words[i][random_below(STEP / 8)] = random_pointer(m);
	}
	m->nr_hits = random_below(MAX_HITS + 1);
	for (size_t i = 0; i < m->nr_hits; i++) {
		m->hit[i] = random_pointer(m);
		m->owner[i] = (uint32_t)random_below(OWNERS);
	}
}

static struct reach *build(const struct made *m, struct root_hits *hits, uint32_t *owners)
{
	struct reach *r = reach_new(8);

	assert_int_equal(reach_add_span(r, BASE, BASE + m->nr * STEP, 16), 0);
	for (size_t i = 0; i < m->nr; i++)
		assert_int_equal(reach_add_block(r, BASE + i * STEP, m->size[i]), 0);
	reach_seal(r);
	reach_scan(r, BASE, m->words, m->nr * STEP);
	reach_scan_end(r);
	for (size_t i = 0; i < m->nr_hits; i++) {
		size_t before = hits->nr;

		root_hits_add(hits, r, m->hit[i], i);
		if (hits->nr > before)
			owners[before] = m->owner[i];
	}
	reach_mark(r);
	return r;
}

/* The node of the truth that has this number. */
static size_t node_of(const struct made *m, const struct reach *r, const struct dominators *d,
		      uint32_t n)
{
	if (d->node[n] & DOMINATORS_OWNER)
		return m->nr + (d->node[n] & ~DOMINATORS_OWNER);
	return (size_t)((reach_address(r, d->node[n]) - BASE) / STEP);
}

static bool dominates(const struct made *m, size_t x, size_t y)
{
	return m->reached[y] && !m->without[x][y];
}

static void check_node(const struct made *m, const struct reach *r, const struct dominators *d,
		       uint32_t n)
{
	size_t x = node_of(m, r, d, n);
	uint64_t bytes = 0, blocks = 0;

	assert_true(m->reached[x]);
	for (size_t i = 0; i < m->nr; i++) {
		if (!dominates(m, x, i))
			continue;
		bytes += m->size[i];
		blocks++;
	}
	assert_int_equal(d->bytes[n], bytes);
	assert_int_equal(d->blocks[n], blocks);
	assert_true(d->dom[n] < n);
	for (size_t y = 0; y < m->nr + OWNERS; y++) {
		size_t dom = d->dom[n] ? node_of(m, r, d, d->dom[n]) : SIZE_MAX;

		/* Any other dominator of it dominates its immediate one. */
		if (y == x || !dominates(m, y, x))
			continue;
		assert_true(dom != SIZE_MAX);
		assert_true(dom == y || dominates(m, y, dom));
	}
	if (d->dom[n])
		assert_true(dominates(m, node_of(m, r, d, d->dom[n]), x));
}

static void check_children(const struct dominators *d, uint32_t n)
{
	uint32_t largest[3];
	size_t nr = dominators_largest(d, n, largest, 3);
	uint32_t last = nr ? largest[nr - 1] : 0, more = 0;

	assert_int_equal(nr, d->first[n + 1] - d->first[n] < 3 ? d->first[n + 1] - d->first[n] : 3);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(d->dom[largest[i]], n);
		assert_true(i == 0 || d->bytes[largest[i]] <= d->bytes[largest[i - 1]]);
	}
	for (uint32_t i = d->first[n]; i < d->first[n + 1]; i++) {
		assert_int_equal(d->dom[d->children[i]], n);
		more += nr && d->bytes[d->children[i]] > d->bytes[last];
	}
	assert_true(more < 3);
}

static void random_graphs_agree(void **state)
{
	static struct made m;

	(void)state;
	seed = 0x2545f4914f6cdd1dull;
	for (int round = 0; round < 4000; round++) {
		struct root_hits hits = {.items = NULL};
		uint32_t owners[MAX_HITS];
		struct dominators d;
		struct reach *r;
		size_t nr = 1;

		make(&m);
		find_truth(&m);
		r = build(&m, &hits, owners);
		assert_int_equal(dominators_find(r, &hits, owners, OWNERS, &d), 0);
		for (uint32_t n = 1; n < d.nr; n++)
			check_node(&m, r, &d, n);
		for (uint32_t n = 0; n < d.nr; n++)
			check_children(&d, n);
		for (size_t i = 0; i < m.nr; i++) {
			uint32_t n = dominators_number(&d, reach_find(r, BASE + i * STEP));

			nr += m.reached[i];
			assert_int_equal(n != DOMINATORS_NONE, m.reached[i]);
			if (m.reached[i])
				assert_int_equal(node_of(&m, r, &d, n), i);
		}
		for (uint32_t n = 1; n < d.nr; n++)
			nr += (d.node[n] & DOMINATORS_OWNER) != 0;
		assert_int_equal(d.nr, nr);
		dominators_release(&d);
		root_hits_release(&hits);
		reach_free(r);
	}
}

/* A list linked both ways, each of whose blocks points to one far behind it too. */
static void long_chains_need_no_recursion(void **state)
{
	enum { NR = 300000 };
	uint64_t *memory = calloc(NR, 32);
	struct reach *r = reach_new(8);
	struct root_hits hits = {.items = NULL};
	const uint32_t owner = 0;
	struct dominators d;
	uint32_t n = 0;

	(void)state;
	assert_int_equal(reach_add_span(r, BASE, BASE + NR * 32ull, 16), 0);
	for (uint64_t i = 0; i < NR; i++) {
		memory[i * 4] = i + 1 < NR ? BASE + (i + 1) * 32 : 0;
		memory[i * 4 + 1] = i ? BASE + (i - 1) * 32 : 0;
		memory[i * 4 + 2] = BASE + (i * 7919 % (i + 1)) * 32;
		assert_int_equal(reach_add_block(r, BASE + i * 32, 32), 0);
	}
	reach_seal(r);
	reach_scan(r, BASE, memory, NR * 32ull);
	reach_scan_end(r);
	root_hits_add(&hits, r, BASE, 0);
	reach_mark(r);
	assert_int_equal(dominators_find(r, &hits, &owner, 1, &d), 0);
	assert_int_equal(d.nr, NR + 2);
	for (uint32_t left = NR; left > 0; left--) {
		assert_int_equal(dominators_largest(&d, n, &n, 1), 1);
		assert_int_equal(d.bytes[n], left == NR ? 32ull * NR : 32ull * (left + 1));
	}
	dominators_release(&d);
	root_hits_release(&hits);
	reach_free(r);
	free(memory);
}

static void nothing_is_held(void **state)
{
	struct reach *r = reach_new(8);
	struct root_hits hits = {.items = NULL};
	struct dominators d;
	uint32_t largest;

	(void)state;
	reach_seal(r);
	reach_scan_end(r);
	reach_mark(r);
	assert_int_equal(dominators_find(r, &hits, NULL, 0, &d), 0);
	assert_int_equal(d.nr, 1);
	assert_int_equal(dominators_largest(&d, DOMINATORS_ROOT, &largest, 1), 0);
	dominators_release(&d);
	reach_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_graphs_agree),
		cmocka_unit_test(long_chains_need_no_recursion),
		cmocka_unit_test(nothing_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
