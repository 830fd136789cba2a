/* What heaps.c (finding, spans) and walk.c (visiting, accounts) share. */
#ifndef SEEP_HEAP_HEAPS_H
#define SEEP_HEAP_HEAPS_H

#include "heap/heap_private.h"

/* An allocator that is there. */
struct provider {
	const struct heap_ops *ops;
	void *state;
};

/* Spans of all heaps, ascending by start. */
struct span_index {
	struct heap_span *items;
	size_t nr, cap;
};

/* What find() said of a heap; each walk begins with it again. */
struct found {
	size_t provider;
	uint32_t flags;
	uint64_t fault_addr;
	char fault[160];
};

struct heaps {
	struct target *target;
	struct provider *providers;
	size_t nr_providers, cap_providers;
	struct heap *items;
	size_t nr, cap;
	struct found *found; /* as many as items */
	size_t cap_found;
	struct span_index outer, nested;
	struct heap_own *own;
	size_t nr_own, cap_own;
	const char *idle; /* allocator without memory; NULL none */
	struct heap_verdict *verdicts;
	size_t nr_verdicts, cap_verdicts;
};

/* heaps_find() with a registry of one's own (ended by NULL). */
int heaps_find_with(struct target *t, const struct heap_ops *const *ops, struct heaps **ret,
		    struct error *e);

#endif
