/*
 * Blocks that no walk finds but the recorder saw: of allocators whose heaps cannot be walked. They
 * lie in pieces of address space which, as heaps do, count for nothing but the blocks in them.
 *
 *   ├──────── range ────────┤           ├── range ──┤
 *   block  block    block  block        block  block      what is between ranges may be anything
 */
#ifndef SEEP_HEAP_EXTRA_BLOCKS_H
#define SEEP_HEAP_EXTRA_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

struct heaps;
struct snapshot;
struct target;

/* Blocks begin at multiples of it. */
#define EXTRA_GRANULE 8

struct extra_block {
	uint64_t addr, size;
};

struct extra_blocks {
	struct extra_block *items; /* ascending */
	size_t nr, cap;
	struct extra_range {
		uint64_t start, end;
	} * ranges; /* ascending, apart from all heaps that can be walked */
	size_t nr_ranges, cap_ranges;
};

/*
 * The blocks of s that lie in no heap that can be walked. Blocks so near each other that only their
 * allocator's memory is likely to be between them share a range; brk memory, and mimalloc's own, is
 * one whole.
 */
void extra_blocks_find(struct target *t, const struct heaps *h, const struct snapshot *s,
		       struct extra_blocks *ret);
void extra_blocks_release(struct extra_blocks *x);

#endif
