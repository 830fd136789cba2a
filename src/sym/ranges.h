/*
 * From an address to the range that covers it, by one binary search, however the ranges overlap.
 *
 *   added      |------- 1 -------|         flattened   |--1--|-2-|-1-|
 *                    |- 2 -|
 *
 * Add everything, flatten once, then find. Symbols, units, functions, inlined calls and JIT code
 * are all looked up this way; they differ only in what wins where ranges overlap (`weight`).
 */
#ifndef SEEP_SYM_RANGES_H
#define SEEP_SYM_RANGES_H

#include <stddef.h>
#include <stdint.h>

struct range {
	uint64_t lo, hi; /* [lo, hi) */
	uint64_t weight; /* the greatest wins; of equals the shortest, of equals the last added */
	uint32_t id;	 /* the caller's */
	uint32_t order;
};

struct ranges {
	struct range *items;
	size_t nr, cap;
};

void ranges_release(struct ranges *r);
/* Empty and backward ranges are left out. */
void ranges_add(struct ranges *r, uint64_t lo, uint64_t hi, uint64_t weight, uint32_t id);
/* Makes the ranges disjoint; O(n log n) for any input. Nothing may be added afterwards. */
void ranges_flatten(struct ranges *r);
/* The range that holds addr, or NULL. Its lo and hi are what was left of it. */
const struct range *ranges_find(const struct ranges *r, uint64_t addr);

#endif
