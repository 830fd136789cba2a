/* The graph of a target's blocks as rows of a snapshot: where each pointer is, and how deep it
 * goes.
 */
#ifndef SEEP_HEAP_REFERENCE_SCAN_H
#define SEEP_HEAP_REFERENCE_SCAN_H

#include <stddef.h>

struct reach;
struct snapshot;
struct target;

/*
 * Fills ref_blocks (all but their classes) and ref_edges from the graph and the target that it was
 * made of; nr_hits: how many of the graph's roots were hits (reachable_find()). Reads the contents
 * of all blocks a second time: the target must not have changed.
 */
void reference_scan(struct target *t, const struct reach *r, size_t nr_hits, struct snapshot *s);

#endif
