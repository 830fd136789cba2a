/*
 * What the program knows to be true about its own memory, so that a test can compare a tool's
 * answer with it. Counted beside every malloc and free of the worker.
 */
#ifndef BATTERYMETER_TOTALS_H
#define BATTERYMETER_TOTALS_H

#include <stdint.h>

struct totals {
	uint64_t turns;
	uint64_t battery_blocks; /* leaked, 3072 bytes each */
	uint64_t cpu_blocks;	 /* leaked, 4560 bytes each */
	uint64_t cache_blocks;	 /* readings held now */
	/* Honest memory, the cache's included: blocks and bytes as requested from malloc. */
	uint64_t allocated_blocks, allocated_bytes;
	uint64_t freed_blocks, freed_bytes;
	/*
	 * Address of the first leaked block, which tells the heap it is in. Kept as its complement:
	 * a plain copy would make the block reachable for a leak scanner.
	 */
	uint64_t first_block_inverted;
};

static inline void totals_allocated(struct totals *t, uint64_t bytes)
{
	t->allocated_blocks++;
	t->allocated_bytes += bytes;
}

static inline void totals_freed(struct totals *t, uint64_t bytes)
{
	t->freed_blocks++;
	t->freed_bytes += bytes;
}

/* Writes *t as one line of JSON to standard output; `state` says whether the worker turns. */
void totals_print(const struct totals *t, const char *state);

#endif
