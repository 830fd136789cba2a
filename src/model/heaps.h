/*
 * Heaps as figures: what a walk over an allocator's structures found. Pure data, filled by
 * src/heap, kept in a snapshot, compared and printed from there.
 *
 *   committed = busy + cached + free + overhead          (bytes)
 *               ▲      ▲        ▲      ▲
 *               │      │        │      headers, alignment, the allocator's own structures
 *               │      │        free to the heap: bins, top, unused slots
 *               │      free to the program, kept by a thread or a fast list
 *               handed out and not freed; `internal` of it to the C library itself
 */
#ifndef SEEP_MODEL_HEAPS_H
#define SEEP_MODEL_HEAPS_H

#include <stdbool.h>
#include <stdint.h>

enum heap_kind {
	HEAP_MAIN,    /* the one that brk() extends, or an allocator's first arena */
	HEAP_ARENA,   /* another one of the same allocator */
	HEAP_DIRECT,  /* big blocks, each a mapping of its own */
	HEAP_SUB,     /* inside another allocator's blocks or mappings (Python's arenas) */
	HEAP_UNKNOWN, /* memory of an allocator that is not known: only sizes are */
};

enum heap_flags {
	HEAP_HAS_BLOCKS = 1 << 0,    /* busy, cached and free are known */
	HEAP_HAS_RESIDENCY = 1 << 1, /* resident, swapped, free_resident are known */
	HEAP_LOCKED = 1 << 2,	     /* its lock was held: figures may be of a moment in between */
	HEAP_SUSPECT = 1 << 3,	     /* a check failed; see the fault */
	HEAP_NESTED =
		1 << 4, /* its bytes are part of other heaps' busy bytes: not added to totals */
};

struct heap_figures {
	uint64_t reserved_bytes;  /* address space */
	uint64_t committed_bytes; /* of it readable and writable */
	uint64_t resident_bytes, swapped_bytes;
	uint64_t busy_blocks, busy_bytes; /* bytes that the program may use (malloc_usable_size) */
	uint64_t internal_blocks, internal_bytes; /* of busy: the C library's own */
	uint64_t cached_blocks, cached_bytes;
	uint64_t free_blocks, free_bytes; /* top included */
	uint64_t free_page_bytes;	  /* of free: in whole pages, which could be given back */
	uint64_t free_resident_bytes;	  /* of these: in memory */
	uint64_t largest_free_bytes;
	uint64_t top_bytes; /* of free: what lies above the last block */
	uint64_t overhead_bytes;
	/* In whole pages that are not in memory: of busy blocks, and of overhead. */
	uint64_t busy_absent_bytes, overhead_absent_bytes;
};

/* What a block is at the moment of the look. */
enum block_state {
	BLOCK_BUSY,
	BLOCK_INTERNAL, /* busy, but the C library's own (a thread's cache, a stdio buffer) */
	BLOCK_CACHED,	/* freed, kept by a thread's cache or a fast list */
	BLOCK_FREE,
	BLOCK_TOP,	/* free, above the last block */
	BLOCK_OVERHEAD, /* no block: the allocator's own structures, gaps */
	BLOCK_STATES
};

/* "busy", "internal", "cached", "free", "top", "overhead". */
const char *block_state_name(enum block_state state);
/* "main", "arena" … as shown where a heap has no name of its own. */
const char *heap_kind_name(enum heap_kind kind);
/* Adds b to a. largest_free is the larger of both. */
void heap_figures_add(struct heap_figures *a, const struct heap_figures *b);
/* Share of committed bytes that are free or cached, in tenths of a percent; 0 when nothing is
 * committed. */
unsigned int heap_fragmentation(const struct heap_figures *f);

/*
 * One heap of a snapshot. Its index is what block.heap and heap_span.heap mean; addr names the same
 * heap in another snapshot of the same process.
 */
struct heap_row {
	uint64_t addr;	     /* of the allocator's structure; 0: there is none */
	uint32_t allocator;  /* string: "glibc", "jemalloc", … */
	uint32_t name;	     /* string: "main", "arena 3" … */
	uint32_t fault;	     /* string: the first thing that does not fit; "" none */
	uint64_t fault_addr; /* where; 0: nowhere in particular */
	uint32_t parent;     /* HEAP_SUB: the heap it lives in, < own index; or NO_INDEX */
	uint8_t kind;	     /* enum heap_kind */
	uint8_t flags;	     /* enum heap_flags */
	struct heap_figures figures;
};

/* Address range of a heap: [start, committed_end) may be touched, up to end is only reserved. */
struct heap_span {
	uint64_t start, committed_end, end;
	uint32_t heap;
};

/* A test that the walk passed or not: both sides were counted independently. */
struct heap_check {
	uint32_t what;	   /* string: "blocks in bins = free by neighbour's flag" */
	uint32_t heap;	   /* or NO_INDEX: of the whole allocator */
	uint64_t expected; /* as the allocator's own books say */
	uint64_t found;
};

#endif
