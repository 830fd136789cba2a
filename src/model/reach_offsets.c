/* See reach_offsets.h. */
#include "model/reach_offsets.h"

#include <stdlib.h>

#include "base/mem.h"

void reach_offsets_init(struct reach_offsets *o, uint32_t nr)
{
	*o = (struct reach_offsets){
		.low = mem_alloc_array((size_t)nr + 1, sizeof(*o->low)),
		.base = mem_alloc_array(((size_t)nr >> REACH_GROUP_SHIFT) + 1, sizeof(*o->base)),
	};
}

void reach_offsets_release(struct reach_offsets *o)
{
	free(o->low);
	free(o->base);
	free(o->far);
	*o = (struct reach_offsets){.low = NULL};
}

void reach_offsets_set(struct reach_offsets *o, uint32_t node, uint64_t offset)
{
	uint64_t *base = &o->base[node >> REACH_GROUP_SHIFT];

	if (node % (1u << REACH_GROUP_SHIFT) == 0)
		*base = offset;
	o->low[node] = offset - *base < REACH_FAR ? (uint32_t)(offset - *base) : REACH_FAR;
	if (o->low[node] == REACH_FAR)
		ARRAY_PUSH(o->far, o->nr_far, o->cap_far, ((struct reach_far){offset, node}));
}

uint64_t reach_offsets_far(const struct reach_offsets *o, uint32_t node)
{
	size_t low = 0, high = o->nr_far;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (o->far[middle].node <= node)
			low = middle;
		else
			high = middle;
	}
	return o->far[low].offset;
}
