/*
 * Same stack, same number: names the nodes of any number of snapshots so that two nodes get one
 * number exactly when their whole chains of frames are equal. A frame is its module (by build-id,
 * without one by path) and the offset in it; code in no module is its address. So the numbers hold
 * across snapshots, and across a library that was unloaded and loaded elsewhere.
 */
#ifndef SEEP_MODEL_STACK_IDS_H
#define SEEP_MODEL_STACK_IDS_H

#include <stddef.h>
#include <stdint.h>

#include "model/strings.h"

struct snapshot;

/* Open addressing, slots a power of two: a pair of words to the number it was given. */
struct pair_slot {
	uint64_t a, b;
	uint32_t number; /* 0: free; else the number + 1 */
};

struct pair_table {
	struct pair_slot *slots;
	size_t nr_slots;
	uint32_t nr;
};

struct stack_ids {
	struct strings modules; /* build-ids in hex, or paths */
	struct pair_table frames, nodes;
};

void stack_ids_init(struct stack_ids *t);
void stack_ids_release(struct stack_ids *t);
/* Numbers of all nodes of s, by node: an array of s->nr_nodes that the caller frees. */
uint32_t *stack_ids_add(struct stack_ids *t, const struct snapshot *s);
/* The same for single frames, by frame; these numbers have nothing to do with those of nodes. */
uint32_t *stack_ids_add_frames(struct stack_ids *t, const struct snapshot *s);

#endif
