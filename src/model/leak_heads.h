/*
 * What is lost together: the blocks of one state (leaked, or possibly leaked) put into trees, each
 * with the head that nothing else of them points to. Losing the head lost all the rest.
 *
 *   head ──▶ block ──▶ block            a head: one block, or a cycle of several that hold each
 *     └────▶ block ◀── other head       other (a strongly connected component)
 *
 * Every block belongs to exactly one head, the first one that reaches it, so sums over heads are
 * the totals.
 *
 * What nothing points to is a head, and that settles most blocks without a search for cycles. Only
 * what no such head reaches lies in a cycle or hangs on one; there components are searched for.
 *
 * Memory: 12 bytes for a block of that state, 4 for a pointer among them, while searching 8 more
 * for each that only cycles hold.
 */
#ifndef SEEP_MODEL_LEAK_HEADS_H
#define SEEP_MODEL_LEAK_HEADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/reach.h"

struct leak_head {
	uint32_t id;	  /* the block, or that of a cycle with the lowest address */
	uint32_t members; /* blocks of the cycle; 1: no cycle, but see points_to_itself */
	uint32_t held_blocks;
	bool points_to_itself; /* members 1 only */
	uint64_t bytes;	       /* of the members */
	uint64_t held_bytes;   /* with held_blocks: all that hangs on it, without the members */
};

struct leak_heads {
	struct leak_head *items; /* ascending by id */
	size_t nr, cap;
	uint64_t blocks, bytes; /* of that state: the sum of everything above */
	uint64_t *bits;		/* ids of that state */
	uint32_t *ranks;	/* of 64 ids each */
	uint32_t *owner;	/* by rank: index into items, with a bit: of the head itself */
};

/* After reach_mark(). */
void leak_heads_find(const struct reach *r, enum reach_state state, struct leak_heads *ret);
void leak_heads_release(struct leak_heads *h);
/* Index of the head that block id belongs to; SIZE_MAX: not of that state. */
size_t leak_heads_owner(const struct leak_heads *h, uint32_t id);
/* Is block id the head itself, or a member of its cycle? */
bool leak_heads_is_member(const struct leak_heads *h, uint32_t id);

#endif
