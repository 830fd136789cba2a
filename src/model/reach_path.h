/*
 * Who holds a block: the blocks that point to it, and a shortest way to it from a root.
 *
 *   root word ──▶ block ──▶ block ──▶ the block asked about
 */
#ifndef SEEP_MODEL_REACH_PATH_H
#define SEEP_MODEL_REACH_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/reach.h"

/* A word of a root that points to a block. */
struct root_hit {
	uint64_t where; /* its address, or whatever tells the caller which word it is */
	uint32_t edge;	/* id, with REACH_WEAK */
};

struct root_hits {
	struct root_hit *items;
	size_t nr, cap;
};

/* As reach_root(), and remembers. */
void root_hits_add(struct root_hits *h, struct reach *r, uint64_t word, uint64_t where);
void root_hits_release(struct root_hits *h);

struct reach_path {
	uint32_t *ids; /* from the first block to the one asked about */
	size_t nr;     /* 0: nothing holds it */
	size_t hit;    /* index of the root's word */
	bool weak;     /* some step points to the middle of a block */
};

/*
 * A shortest way, by pointers that count in full if there is one. Needs 4 bytes a block for the
 * time of the call.
 */
void reach_path_find(const struct reach *r, const struct root_hits *hits, uint32_t id,
		     struct reach_path *ret);
void reach_path_release(struct reach_path *p);

/* Ids of the blocks that point to id, ascending, each once; caller frees *ret. */
size_t reach_referrers(const struct reach *r, uint32_t id, uint32_t **ret);

#endif
