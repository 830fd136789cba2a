/* From a target and its heaps to the rows of a snapshot; one function a subject. */
#ifndef SEEP_CMD_LOOK_FILL_H
#define SEEP_CMD_LOOK_FILL_H

#include <stdbool.h>

struct error;
struct heaps;
struct histogram;
struct snapshot;
struct target;

/* Regions, threads and modules; rows that are there already are replaced, modules only added. */
void look_fill_process(struct snapshot *s, struct target *t, bool with_use);
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
