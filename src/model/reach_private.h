/* The insides of struct reach, for the files that make it up. */
#ifndef SEEP_MODEL_REACH_PRIVATE_H
#define SEEP_MODEL_REACH_PRIVATE_H

#include "model/reach.h"
#include "model/reach_offsets.h"

struct reach_cell {
	uint64_t starts;
	uint32_t rank; /* ids before this cell; of all spans */
	uint32_t unused;
};

struct reach_span {
	uint64_t start, end;
	uint64_t filled; /* end of the last block or gap */
	struct reach_cell *cells;
	size_t nr_cells;
	uint32_t first_id, nr_ids;
	uint32_t *sizes; /* by id - first_id; 0: a gap; UINT32_MAX: see big */
	size_t cap_sizes;
	unsigned int shift;
};

/* Blocks of 4 GiB and more. */
struct reach_big {
	uint64_t addr, size;
};

struct ref_block;

struct reach {
	unsigned int word_bytes;
	const struct ref_block
		*rows; /* of a snapshot: they are the blocks, and there are no spans */
	bool sealed;
	struct reach_span *spans; /* ascending */
	size_t nr_spans, cap_spans;
	size_t last_span;   /* where the last block went */
	uint64_t low, high; /* all spans lie within */
	/* Where spans are, roughly: of each place (reach_place()) whether a span reaches into it.
	 */
	uint8_t *places;
	uint64_t address_mask; /* the bits that an address can have; others of a word are a tag */
	uint64_t guard, guard_mark; /* see reach_is_mangled() */
	struct reach_big *big;
	size_t nr_big, cap_big;
	uint32_t nr_ids;
	uint64_t nr_blocks;

	uint64_t *gaps, *strong, *weak; /* a bit for each id */
	/* Edges of id: edges[offset(id) … offset(id + 1)). */
	uint32_t *edges;
	uint64_t nr_edges, cap_edges;
	struct reach_offsets offsets; /* of nr_ids nodes */
	uint32_t scanned;	      /* ids below this have their offset */

	uint32_t *roots; /* with REACH_WEAK */
	size_t nr_roots, cap_roots;
};

/* The lower 47 bits of a word, or all 32, are divided into so many places. */
#define REACH_PLACES 32768

static inline unsigned int reach_place(uint64_t word, unsigned int word_bytes)
{
	return (unsigned int)(word >> (word_bytes == 8 ? 32 : 17)) % REACH_PLACES;
}

static inline bool bit_get(const uint64_t *bits, uint32_t i)
{
	return bits[i >> 6] >> (i & 63) & 1;
}

static inline void bit_set(uint64_t *bits, uint32_t i)
{
	bits[i >> 6] |= 1ull << (i & 63);
}

static inline uint64_t reach_offset(const struct reach *r, uint32_t id)
{
	return reach_offsets_get(&r->offsets, id);
}

#define REACH_MANGLED_BITS 17 /* that glibc rotates by, and that no address of a program has */
#define REACH_NO_MARK UINT64_MAX

/*
 * Can it be an address xor the guard, rotated? The upper bits of one are the guard's own, and the
 * rotation has made them the lowest of the word: few words have them by chance.
 */
static inline bool reach_is_mangled(const struct reach *r, uint64_t word)
{
	return (word & ((1u << REACH_MANGLED_BITS) - 1)) == r->guard_mark;
}

/* Its address, with a tag: what it points to is weakly held. */
static inline uint64_t reach_unmangle(const struct reach *r, uint64_t word)
{
	uint64_t turned = word >> REACH_MANGLED_BITS | word << (64 - REACH_MANGLED_BITS);

	return (turned ^ r->guard) | 1ull << 63;
}

/* Index of the row that holds addr, REACH_NONE: none. */
uint32_t reach_row_of(const struct ref_block *rows, uint32_t nr, uint64_t addr);

/* As reach_edges(), without its call. */
static inline const uint32_t *reach_edges_of(const struct reach *r, uint32_t id, size_t *ret_nr)
{
	uint64_t first = reach_offset(r, id);

	*ret_nr = (size_t)(reach_offset(r, id + 1) - first);
	return r->edges + first;
}

/* The span that holds addr, or NULL. */
struct reach_span *reach_span_of(const struct reach *r, uint64_t addr);

/* How many bits are set; without an instruction for it, since any processor must do. */
static inline unsigned int bits_count(uint64_t x)
{
	x -= (x >> 1) & 0x5555555555555555ull;
	x = (x & 0x3333333333333333ull) + ((x >> 2) & 0x3333333333333333ull);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return (unsigned int)((x * 0x0101010101010101ull) >> 56);
}

#endif
