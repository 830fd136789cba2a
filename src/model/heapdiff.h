/*
 * What became of the heaps between two looks at one process: a row a heap, which block sizes came,
 * and one sentence that names the heap that grows.
 *
 * Heaps are the same when their allocator's structure has the same address, else, where nothing
 * else has that name, when allocator and name agree (Python's first arena comes and goes).
 */
#ifndef SEEP_MODEL_HEAPDIFF_H
#define SEEP_MODEL_HEAPDIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/histogram.h"

struct sheet;
struct snapshot;
struct str;

struct heap_change {
	uint32_t before, after; /* index in the older and newer snapshot; NO_INDEX: not there */
};

struct heapdiff {
	const struct snapshot *before, *after;
	struct heap_change *rows; /* heaps of the newer one in their order, then those that went */
	size_t nr, cap;
	uint64_t elapsed_ns; /* 0: not known */
	bool has_sizes;
	struct histogram_changes sizes; /* .heap: index of rows */
};

/* Busy blocks of a snapshot, not the C library's own, by heap and size. */
void heapdiff_sizes(const struct snapshot *s, struct histogram *add_to);
/*
 * Sizes are as heapdiff_sizes() or a walk counts them; either NULL: not known. The snapshots must
 * outlive *ret.
 */
void heapdiff_make(const struct snapshot *before, const struct histogram *before_sizes,
		   const struct snapshot *after, const struct histogram *after_sizes,
		   struct heapdiff *ret);
void heapdiff_release(struct heapdiff *d);

/* What the program itself holds there: busy bytes less the C library's; unknown: committed. */
int64_t heapdiff_growth(const struct heapdiff *d, size_t row);
/* The row that grows most, SIZE_MAX: none grows by more than a page. */
size_t heapdiff_lead(const struct heapdiff *d);
/* Appends "The heap of thread worker (glibc arena 1) grows at 763 KiB/s, by blocks of …." */
void heapdiff_sentence(const struct heapdiff *d, struct str *out);
/* A row a heap, totals, the part "sizes" with at most `sizes` rows, the sentence as a note. */
void heapdiff_show(const struct heapdiff *d, size_t sizes, struct sheet *ret);

#endif
