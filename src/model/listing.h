/*
 * The answer of diff and report as rows: stacks that survived suppressions and filter, put together
 * by site (or stack, module, function), sorted, with totals that say what was left out.
 *
 *   changes.items[k]   one stack in both snapshots
 *        ▲
 *   members[i]         the chosen stacks, row after row, within a row the largest change first
 *        ▲ first, nr
 *   rows[r]            sums over its members; its face is the lead line of its first member
 */
#ifndef SEEP_MODEL_LISTING_H
#define SEEP_MODEL_LISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/diff.h"
#include "model/lines.h"

struct filter;
struct snapshot;
struct suppressions;

enum listing_group { GROUP_SITE, GROUP_STACK, GROUP_MODULE, GROUP_FUNCTION, GROUP_TAG };
/* The last two make sense in a report only. */
enum listing_sort {
	SORT_BYTES,
	SORT_BLOCKS,
	SORT_RATE,
	SORT_SITE,
	SORT_TOTAL_BYTES,
	SORT_TEMPORARY
};

struct listing_options {
	enum listing_group group;
	enum listing_sort sort;
	uint64_t limit;	    /* rows to show; 0: all */
	uint64_t min_bytes; /* rows that changed by less (report: hold less) are left out */
	bool grown_only;
	bool handles;		     /* rows have blocks and no bytes: these say what has grown */
	const struct filter *filter; /* NULL: everything */
	struct suppressions *suppressions; /* NULL: none; its counts are filled */
	struct wrapper_names wrappers;
};

struct listing_row {
	struct counters before, after;
	size_t first, nr;  /* members */
	size_t nr_changed; /* of them, those with a figure of their own; they come first */
};

/* Figures over the rows of the listing (all of them, not only those within the limit). */
struct listing_totals {
	struct counters before, after;
	uint64_t grown_bytes, grown_blocks, grown_rows;	   /* rows with more bytes than before */
	uint64_t shrunk_bytes, shrunk_blocks, shrunk_rows; /* rows with fewer */
	/* The fewest rows that make at least 90 % of grown_bytes, and their bytes. */
	uint64_t lead_rows, lead_bytes;
	uint64_t elapsed_ns; /* 0 unknown */
	/* Left out; of the suppressed, what grew (report: what is live). */
	uint64_t suppressed_stacks, suppressed_blocks, suppressed_bytes;
	uint64_t filtered_stacks;
	uint64_t small_rows; /* by min_bytes or grown_only */
};

struct listing {
	const struct snapshot *before, *after; /* before NULL: a report */
	struct listing_options options;
	struct changes changes;
	struct listing_row *rows;
	size_t nr_rows, cap_rows;
	size_t nr_shown;   /* rows within the limit */
	uint32_t *members; /* indices into changes.items */
	size_t nr_members;
	struct listing_totals totals;
};

/* The snapshots and what options points to must outlive the listing. Cannot fail. */
void listing_make(struct listing *ret, const struct snapshot *before, const struct snapshot *after,
		  const struct listing_options *options);
void listing_release(struct listing *l);

/* Lines of a member stack: replaces the contents of *ret. */
void listing_lines(const struct listing *l, size_t member, struct lines *ret);
const struct change *listing_change(const struct listing *l, size_t member);
/* What a row is ranked by in a diff (its change) and in a report (what is live). */
int64_t listing_bytes(const struct listing *l, const struct counters *before,
		      const struct counters *after);
int64_t listing_blocks(const struct listing *l, const struct counters *before,
		       const struct counters *after);
/* Bytes per second over elapsed_ns; 0 where that is unknown. */
double rate_of(int64_t bytes, uint64_t elapsed_ns);

#endif
