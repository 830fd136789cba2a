/*
 * Going over glibc's chunks in the order of their addresses, each header once.
 *
 *   ┌───────────┬──────┬───────────────────┐┌───────────┬──────┬─────
 *   │ prev_size │ size │ user's bytes, or  ││ prev_size │ size │ …
 *   │           │flags │ fd bk …           ││ (user's)  │ bit 0: the one before is in use
 *   └───────────┴──────┴───────────────────┘└───────────┴──────┴─────
 */
#ifndef SEEP_HEAP_GLIBC_CHUNKS_H
#define SEEP_HEAP_GLIBC_CHUNKS_H

#include "heap/glibc.h"

enum chunk_kind { CHUNK_USED, CHUNK_FREE, CHUNK_TOP, CHUNK_FENCE, CHUNK_GAP };

struct chunk {
	enum chunk_kind kind;
	uint64_t addr, bytes; /* size without flags */
	uint64_t head;	      /* size with flags */
	/* The first two words that the user or the free lists have there; small chunks too. */
	uint64_t word[2];
	uint64_t foot;	  /* free: its size once more, in front of the next chunk */
	const char *what; /* gap: why; NULL for the others */
};

struct chunk_walk {
	const struct glibc *lib;
	struct window *window;
	uint64_t at, end;
	uint64_t top;	     /* of the arena */
	bool is_main;	     /* pieces of it may have other people's memory between them */
	unsigned int fences; /* in a row */
	unsigned int losses;
	/* The first header that makes no sense, of this piece; "" none. */
	uint64_t fault_addr;
	char fault[160];
};

void chunk_walk_init(struct chunk_walk *cw, const struct glibc *g, const struct glibc_arena *a,
		     const struct glibc_piece *piece, struct window *w);
/* The next chunk, gap or fence; all of them together cover the piece. False: the end. */
bool chunk_next(struct chunk_walk *cw, struct chunk *ret);

#endif
