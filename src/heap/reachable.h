/*
 * Which blocks of a target are still held: reads heaps and roots once each and feeds model/reach.
 *
 *   heaps_walk() ─▶ index of blocks;  spans ─▶ edges;  roots ─▶ marks
 */
#ifndef SEEP_HEAP_REACHABLE_H
#define SEEP_HEAP_REACHABLE_H

#include <stdint.h>

#include "heap/roots.h"
#include "model/reach.h"
#include "model/reach_path.h"

struct error;
struct heaps;
struct target;

/* What could not be looked at, and what was. */
struct reachable_account {
	uint64_t blocks, bytes; /* busy ones of heaps that can be walked */
	uint64_t root_bytes, root_words;
	uint64_t unread_bytes; /* of blocks and roots: could not be read, so pointers are missing */
	uint64_t unwalked_heaps, unwalked_bytes; /* their blocks are not known: roots as a whole */
	uint64_t extra_blocks;			 /* of blocks: those of roots->extra */
	uint64_t rejected_blocks;		 /* in no span, or overlapping: a damaged heap */
	/* Time of the processor for the walk, the contents, the roots and the marks. */
	uint64_t walk_ns, scan_ns, mark_ns;
};

/* What root_hit.where means: an address in the target, or one of these. */
#define REACHABLE_WORD (1ull << 63) /* and the index of one of roots->words */
#define REACHABLE_OWN (1ull << 62)  /* and the address of a block of the C library's own */

/*
 * The graph with everything marked that the roots hold; free with reach_free(). The C library's own
 * blocks count as roots. hits: where each root is found that points to a block, to be released;
 * NULL: not wanted. 0 or negative errno with *e.
 */
int reachable_find(struct target *t, struct heaps *h, const struct roots *roots, struct reach **ret,
		   struct reachable_account *ret_account, struct root_hits *hits, struct error *e);

#endif
