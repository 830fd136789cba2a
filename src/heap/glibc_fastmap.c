/*
 * Fast lists of an arena with millions of chunks. They cross the arena in no order, and a step in
 * another process's memory costs a system call; so the links are read in the order of their
 * addresses first, and followed here.
 *
 *     bits:  one an alignment unit of the arena; set where a small used chunk is whose first word
 *            can be a link (most are in the lists; the others do no harm)
 *     next:  for each such chunk, in the order of addresses, the unit that it links to
 *     ranks: how many bits are set before each 512, to get from a unit to its place in next
 *
 * A process that runs on may have more such chunks when next is filled than when they were counted.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "heap/glibc_chunks.h"

#define MEMORY_SHARE 20 /* of the arena's bytes that `next` may take */
#define END UINT32_MAX
#define RANK_BITS 512

struct fast_map {
	struct glibc *g;
	struct glibc_arena *a;
	uint64_t *before; /* units of the pieces before each */
	uint64_t units, bytes;
	uint64_t *bits;
	uint32_t *ranks, *next;
	size_t nr, cap; /* of next */
};

static bool unit_of(const struct fast_map *m, uint64_t chunk, uint64_t *ret)
{
	struct glibc_arena *owner;
	const struct glibc_piece *piece = glibc_piece_of(m->g, chunk, &owner);

	if (!piece || owner != m->a || chunk < piece->first || chunk >= piece->end ||
	    (chunk - piece->first) % m->g->align)
		return false;
	*ret = m->before[piece - m->a->pieces] + (chunk - piece->first) / m->g->align;
	return true;
}

static bool begin(struct fast_map *m)
{
	m->before = mem_alloc_array(m->a->nr_pieces, sizeof(*m->before));
	for (size_t i = 0; i < m->a->nr_pieces; i++) {
		const struct glibc_piece *p = &m->a->pieces[i];

		m->before[i] = m->units;
		m->units += (p->end - p->first) / m->g->align + 1;
		m->bytes += p->end - p->first;
	}
	if (m->units >= END)
		return false;
	m->bits = mem_alloc_array((size_t)(m->units / RANK_BITS + 1), RANK_BITS / 8);
	m->ranks = mem_alloc_array((size_t)(m->units / RANK_BITS + 1), sizeof(*m->ranks));
	return true;
}

/* One pass over the arena: finds the chunks, or, once next is there, fills it. */
static void scan(struct fast_map *m)
{
	struct chunk_walk cw;
	struct chunk c;
	struct window w;
	uint64_t most = (m->g->word == 8 ? 16ull : 8ull) * (m->g->nr_fast + 2);

	m->nr = 0;
	window_init(&w, m->g->target, 0);
	for (size_t i = 0; i < m->a->nr_pieces; i++) {
		chunk_walk_init(&cw, m->g, m->a, &m->a->pieces[i], &w);
		while (chunk_next(&cw, &c)) {
			uint64_t next, unit, to = END;

			if (c.kind != CHUNK_USED || c.bytes >= most)
				continue;
			next = glibc_reveal(m->g->links, c.addr + 2 * m->g->word, c.word[0]);
			if ((next && !unit_of(m, next, &to)) || !unit_of(m, c.addr, &unit))
				continue;
			if (!m->next)
				m->bits[unit / 64] |= 1ull << unit % 64;
			else if (m->nr < m->cap)
				m->next[m->nr] = (uint32_t)to;
			else
				continue;
			m->nr++;
		}
	}
	window_release(&w);
}

static void count_ranks(struct fast_map *m)
{
	uint32_t sum = 0;

	for (uint64_t i = 0; i <= m->units / RANK_BITS; i++) {
		m->ranks[i] = sum;
		for (unsigned int k = 0; k < RANK_BITS / 64; k++)
			sum += (uint32_t)__builtin_popcountll(m->bits[i * (RANK_BITS / 64) + k]);
	}
}

/* What the chunk at this unit links to; false: no chunk of a fast list can be there. */
static bool follow(const struct fast_map *m, uint64_t unit, uint32_t *ret)
{
	uint64_t word = unit / 64, bit = 1ull << unit % 64;
	uint32_t rank = m->ranks[unit / RANK_BITS];

	if (!(m->bits[word] & bit))
		return false;
	for (uint64_t i = unit / RANK_BITS * (RANK_BITS / 64); i < word; i++)
		rank += (uint32_t)__builtin_popcountll(m->bits[i]);
	rank += (uint32_t)__builtin_popcountll(m->bits[word] & (bit - 1));
	if (rank >= m->nr)
		return false;
	*ret = m->next[rank];
	return true;
}

/* False: it is marked already. */
static bool mark(struct fast_map *m, uint64_t unit)
{
	size_t low = 0, high = m->a->nr_pieces;
	uint64_t chunk;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (m->before[middle] <= unit)
			low = middle;
		else
			high = middle;
	}
	chunk = m->a->pieces[low].first + (unit - m->before[low]) * m->g->align;
	return glibc_set_fast(m->g, &m->a->pieces[low], chunk);
}

static void follow_list(struct fast_map *m, uint64_t chunk)
{
	struct glibc_arena *a = m->a;
	uint64_t unit;
	uint32_t to;

	if (chunk == 0)
		return;
	if (!unit_of(m, chunk, &unit)) {
		glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), chunk,
			    "a fast list leads out of its arena");
		return;
	}
	for (; unit != END; unit = to) {
		if (!follow(m, unit, &to)) {
			glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), 0,
				    "a fast list leads to where no chunk is");
			return;
		}
		if (!mark(m, unit)) {
			glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), 0,
				    "a chunk is in the fast lists twice");
			return;
		}
		a->fast_blocks++;
	}
}

bool glibc_map_fast(struct glibc *g, struct glibc_arena *a)
{
	struct fast_map m = {.g = g, .a = a};
	bool done = false;

	if (a->nr_pieces && begin(&m)) {
		scan(&m);
		done = m.nr <= m.bytes / MEMORY_SHARE / sizeof(*m.next);
	}
	if (done) {
		m.cap = m.nr;
		m.next = mem_alloc_array(m.cap, sizeof(*m.next));
		scan(&m);
		count_ranks(&m);
		for (unsigned int bin = 0; bin < g->nr_fast; bin++) {
			uint64_t chunk;

			if (scatter_word(g->memory, a->addr + g->fast_offset + bin * g->word,
					 &chunk))
				follow_list(&m, chunk);
		}
	}
	free(m.before);
	free(m.bits);
	free(m.ranks);
	free(m.next);
	return done;
}
