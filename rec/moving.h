/*
 * A block that realloc may move. The real realloc frees the old address inside; another thread may
 * be given it before we are back. So the old block is marked first, and afterwards taken out only
 * if the mark is still ours.
 */
#ifndef SEEP_REC_MOVING_H
#define SEEP_REC_MOVING_H

#include "rec.h"

struct moving {
	struct wire_header *h; /* NULL: nothing is noted */
	uint64_t *slot;
	uint64_t marked; /* 0: an unknown block */
	uint64_t sp;
};

/* Before the call; old may be NULL. */
struct moving moving_begin(const void *old, uint64_t sp);
/*
 * After it: realloc(old, size) returned p. freed: the old block is gone although p is NULL. True:
 * the block at p has been seen already, because this realloc calls malloc by its symbol.
 */
bool moving_end(const struct moving *m, const void *old, const void *p, size_t size, bool freed);

#endif
