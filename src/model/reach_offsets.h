/*
 * Where the edges of each node begin, in four bytes a node: from a base for every 65,536 nodes.
 * What is too far from its base, which takes 32 GiB full of pointers, stands in a list.
 *
 *   offset of n = base[n / 65536] + low[n], or that of n in far
 */
#ifndef SEEP_MODEL_REACH_OFFSETS_H
#define SEEP_MODEL_REACH_OFFSETS_H

#include <stddef.h>
#include <stdint.h>

#define REACH_GROUP_SHIFT 16
/* A low that means "in the list". Tests have it lower, for want of 32 GiB. */
#ifndef REACH_FAR
#define REACH_FAR UINT32_MAX
#endif

struct reach_far {
	uint64_t offset;
	uint32_t node;
};

struct reach_offsets {
	uint32_t *low;
	uint64_t *base;
	struct reach_far *far; /* ascending */
	size_t nr_far, cap_far;
};

/* Of nodes 0 to nr, nr included. */
void reach_offsets_init(struct reach_offsets *o, uint32_t nr);
void reach_offsets_release(struct reach_offsets *o);
/* Of all nodes in ascending order, offsets ascending. */
void reach_offsets_set(struct reach_offsets *o, uint32_t node, uint64_t offset);
/* Of a node whose low is REACH_FAR. */
uint64_t reach_offsets_far(const struct reach_offsets *o, uint32_t node);

static inline uint64_t reach_offsets_get(const struct reach_offsets *o, uint32_t node)
{
	uint32_t low = o->low[node];

	if (low == REACH_FAR)
		return reach_offsets_far(o, node);
	return o->base[node >> REACH_GROUP_SHIFT] + low;
}

#endif
