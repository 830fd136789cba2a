/*
 * The blocks of one state and the pointers among them, small and close together: for going to and
 * fro between them without touching the arrays of the whole heap.
 *
 * A node is the rank of a block among those of the state, ascending with its id.
 */
#ifndef SEEP_MODEL_LEAK_GRAPH_H
#define SEEP_MODEL_LEAK_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/reach_private.h"

struct leak_graph {
	const struct reach *r;
	uint64_t *bits;	 /* by id: is a node */
	uint32_t *ranks; /* of 64 ids each: nodes before them */
	uint32_t nr;
	uint32_t *sizes; /* by node; UINT32_MAX: ask leak_graph_size() */
	/* Pointers to other nodes: edges[offset(n) … offset(n + 1)). */
	uint32_t *edges;
	struct reach_offsets offsets;
	uint64_t *pointed; /* a bit for each node: another one points to it */
	uint64_t *selves;  /* it points to itself */
};

/* After reach_mark(), of r, which must outlive it. */
void leak_graph_init(struct leak_graph *g, const struct reach *r, enum reach_state state);
void leak_graph_release(struct leak_graph *g);
uint64_t leak_graph_big_size(const struct leak_graph *g, uint32_t node);

static inline uint64_t leak_graph_size(const struct leak_graph *g, uint32_t node)
{
	return g->sizes[node] != UINT32_MAX ? g->sizes[node] : leak_graph_big_size(g, node);
}

static inline uint64_t leak_graph_offset(const struct leak_graph *g, uint32_t node)
{
	return reach_offsets_get(&g->offsets, node);
}

/* Of an id that is a node. */
static inline uint32_t leak_rank(const uint64_t *bits, const uint32_t *ranks, uint32_t id)
{
	return ranks[id >> 6] + bits_count(bits[id >> 6] & ((1ull << (id & 63)) - 1));
}

#endif
