/* From the recorder's table (a cut, see target/table.h) to a snapshot. */
#ifndef SEEP_MODEL_LOAD_H
#define SEEP_MODEL_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct snapshot;

/* Arrays belong to the caller and have been checked: parent < own index, node < nr_nodes. */
struct load_input {
	const struct wire_header *header;
	const struct wire_node *nodes;
	const uint64_t *node_blocks, *node_bytes, *node_temps; /* [nr_nodes] */
	/* [nr_nodes] or all NULL: what samples stand for, see struct cut */
	const uint64_t *node_samples, *sample_blocks, *sample_bytes, *sample_temps;
	size_t nr_nodes;
	const struct wire_block *blocks;
	size_t nr_blocks;
	const struct wire_block *pool_blocks;
	size_t nr_pool_blocks;
	const struct wire_block *handles; /* of resources */
	size_t nr_handles;
	/* Descriptors have been compared with what the kernel knows. */
	int with_descriptors;
	const uint64_t *gone; /* closed by now; ascending */
	size_t nr_gone;
	uint64_t unseen_descriptors;   /* open, and not among the handles */
	const struct wire_mark *marks; /* ascending by code */
	size_t nr_marks;
	const struct wire_tag *tags;
	size_t nr_tags;
	const struct wire_module *modules;
	size_t nr_modules;
	uint64_t taken_monotonic_ns;
	uint64_t frees; /* of struct wire_thread, summed */
	struct wire_unseen unseen;
	uint64_t broken_rows;
	const char *exe; /* path of the program itself, "" unknown */
	int with_blocks; /* 0: counters only */
};

/* Fills modules, frames, nodes, stacks, marks, generations, blocks, losses and totals of an
 * initialised, empty snapshot. */
void load_recording(struct snapshot *s, const struct load_input *in);

#endif
