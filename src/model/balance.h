/*
 * The balance sheet of a process's resident memory: parts that add up to RSS, so that nothing is
 * left unexplained.
 *
 *   RSS = blocks in use + cached + free + overhead   of every heap, as far as resident
 *       + other mappings, by kind
 *       + what changed between looking at heaps and at mappings (0 when nothing did)
 *
 * Of a heap the resident bytes are known, the bytes of blocks in each state, and how many of these
 * lie in whole pages that are not in memory: given back, swapped out, or never touched. The little
 * that is absent beyond that lies in pages that several blocks share; it is taken from the free
 * pieces first.
 */
#ifndef SEEP_MODEL_BALANCE_H
#define SEEP_MODEL_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/regions.h"

struct sheet;
struct snapshot;

enum balance_part {
	BALANCE_IN_USE,
	BALANCE_INTERNAL, /* the C library's own blocks */
	BALANCE_CACHED,
	BALANCE_FREE_PAGES,  /* whole pages: could be given back to the system */
	BALANCE_FREE_PIECES, /* between blocks */
	BALANCE_OVERHEAD,
	BALANCE_UNKNOWN_HEAP, /* heaps whose blocks are not known */
	BALANCE_MAPPING,      /* other mappings: of kind `region` */
	BALANCE_UNCLAIMED,    /* private anonymous memory that no heap claims */
	BALANCE_KERNEL,	      /* the kernel's own total is larger than that of its mappings */
	BALANCE_CHANGED,      /* heaps and mappings were not read at the same instant */
};

struct balance_line {
	enum balance_part part;
	enum region_kind region; /* BALANCE_MAPPING */
	int64_t bytes;		 /* below zero only for _KERNEL and _CHANGED */
};

#define BALANCE_LINES_MAX (BALANCE_CHANGED + REGION_KINDS + 1)

struct balance {
	struct balance_line lines[BALANCE_LINES_MAX]; /* parts of zero bytes are left out */
	size_t nr;
	uint64_t rss_bytes;	  /* what the lines add up to, exactly */
	uint64_t untouched_bytes; /* in use, but not resident: not in any line */
	uint64_t footprint_bytes; /* see map_use.h */
};

/* False: it is not known what is resident (a core, or a snapshot without use of regions). */
bool balance_make(const struct snapshot *s, struct balance *ret);
const char *balance_line_key(const struct balance_line *l);
/* Adds it as a part "balance" and the totals rss_bytes, footprint_bytes … */
void balance_show(const struct balance *b, struct sheet *sheet);

#endif
