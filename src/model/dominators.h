/*
 * Who keeps how much: for every reachable block, and for every owner of roots (a variable, a
 * thread's stack), what would become unreachable if it were gone.
 *
 *   everything ──▶ owner ──▶ block ──▶ block        A block's dominator is the last node that all
 *        │                     └─────▶ block ◀─┐    ways to it share; what a node retains is the
 *        └───────▶ owner ──▶ block ────────────┘    sum over all that it dominates.
 *
 * A pointer to the middle of a block counts only where nothing better holds the block, so that a
 * word that looks like a pointer by chance takes nothing from its owner.
 *
 * T. Lengauer and R. E. Tarjan, "A fast algorithm for finding dominators in a flowgraph" (1979), in
 * the simple form, O(edges * log nodes) at worst, without recursion.
 *
 * Memory at its peak: 24 bytes a reachable block and 4 for each pointer to a block that the search
 * met earlier, when the graph's own edges are gone; 4 more a block where ways are long.
 */
#ifndef SEEP_MODEL_DOMINATORS_H
#define SEEP_MODEL_DOMINATORS_H

#include <stddef.h>
#include <stdint.h>

#include "model/reach.h"

struct root_hits;

/* In node[]: not a block but the owner of that index. */
#define DOMINATORS_OWNER ((uint32_t)1 << 31)
#define DOMINATORS_ROOT 0
#define DOMINATORS_NONE UINT32_MAX

/*
 * Nodes have numbers: 0 is the root of all; a dominator has a lower one than what it dominates.
 * Owners that hold nothing have none.
 */
struct dominators {
	uint32_t nr;
	uint32_t *node;	  /* id of a block, or DOMINATORS_OWNER and the index; of 0 meaningless */
	uint32_t *dom;	  /* number of the immediate dominator; of 0 itself */
	uint64_t *bytes;  /* retained, with its own */
	uint32_t *blocks; /* likewise */
	uint32_t *first, *children; /* of n: children[first[n] … first[n + 1]) */
};

/*
 * After reach_mark(). owners: for each of the hits, whose it is, below nr_owners. Takes the edges
 * of r (reach_drop_edges()). *ret is to be released. -EOVERFLOW: more than four thousand million
 * pointers, or half as many blocks.
 */
int dominators_find(struct reach *r, const struct root_hits *hits, const uint32_t *owners,
		    uint32_t nr_owners, struct dominators *ret);
void dominators_release(struct dominators *d);
/* Number of a block, DOMINATORS_NONE: nothing holds it. Looks at all of them. */
uint32_t dominators_number(const struct dominators *d, uint32_t id);
/* Numbers of the children of n that retain most, the most first. Returns how many of max. */
size_t dominators_largest(const struct dominators *d, uint32_t n, uint32_t *ret, size_t max);

#endif
