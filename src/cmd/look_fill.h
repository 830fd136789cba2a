/* From a target and its heaps to the rows of a snapshot; one function a subject. */
#ifndef SEEP_CMD_LOOK_FILL_H
#define SEEP_CMD_LOOK_FILL_H

#include <stdbool.h>
#include <stdint.h>

#include "model/snapshot.h"
#include "target/smaps.h"

struct error;
struct heaps;
struct histogram;
struct target;

/*
 * What the kernel says of a live process's memory. Must not be read while a clone of it exists:
 * every private page then counts as shared with the clone. So for a clone it is read right before.
 */
struct look_use {
	int dir; /* of /proc/PID; -1: nothing was read */
	struct smaps smaps;
	struct process_figures figures;
};

/* What cannot be read leaves it empty. Mappings that are there already (not empty) stay. */
void look_use_read(struct look_use *u, int32_t pid);
void look_use_release(struct look_use *u);

/*
 * Regions, threads and modules; rows that are there already are replaced, modules only added.
 * use: figures of regions, which then come from there; NULL, or of another process: without.
 */
void look_fill_process(struct snapshot *s, struct target *t, const struct look_use *use);
/* Heaps without figures, and their spans. */
void look_fill_spans(struct snapshot *s, const struct heaps *h);
/*
 * Heaps, spans, checks, the threads' heaps; with_blocks: every busy block too. Blocks that are
 * there already (the recorder's) keep size and stack, and get heap and state. sizes: NULL, or the
 * busy blocks are counted there. Walks all heaps. 0 or negative errno with *e.
 */
int look_fill_heaps(struct snapshot *s, struct heaps *h, bool with_blocks, struct histogram *sizes,
		    struct error *e);

#endif
