/*
 * What people call the heaps of a snapshot: by allocator and name, by the threads that use them.
 *
 * Names are foreign: what is appended has passed text_printable().
 *
 *   struct heap_names n; heap_names_init(&n, snapshot); … heap_names_release(&n);
 */
#ifndef SEEP_MODEL_HEAPNAMES_H
#define SEEP_MODEL_HEAPNAMES_H

#include <stddef.h>
#include <stdint.h>

#include "base/map.h"

struct snapshot;
struct str;

struct heap_names {
	const struct snapshot *s;
	uint32_t *order; /* threads that have a heap, by heap, then name */
	size_t nr;
	struct map namesakes; /* string -> how many threads have this name */
};

/* s must outlive it, with its heaps and threads unchanged. */
void heap_names_init(struct heap_names *n, const struct snapshot *s);
void heap_names_release(struct heap_names *n);
/* Appends "glibc arena 1". */
void heap_names_add(const struct heap_names *n, size_t heap, struct str *out);
/*
 * Appends the threads that allocate from a heap, equal names together: "main", "worker x3, io",
 * "io +12" (12 others). A thread whose name threads of other heaps have too is "worker 4243", with
 * its id, if it is the only one of that name here. The names take `width` bytes at most, except
 * that the first is always there. Returns how many threads they are; with 0 nothing is appended.
 */
size_t heap_names_threads(const struct heap_names *n, size_t heap, size_t width, struct str *out);
/* Appends their thread ids, separated by blanks. */
void heap_names_tids(const struct heap_names *n, size_t heap, struct str *out);
/* Appends "heap glibc main", "the heap of thread worker (glibc arena 1)". */
void heap_names_subject(const struct heap_names *n, size_t heap, struct str *out);

#endif
