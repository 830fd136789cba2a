/*
 * What a snapshot holds that is no memory, one kind at a time: as a snapshot of its own, so that
 * whatever lists and compares blocks does so with handles, too, and the two are never added up.
 */
#ifndef SEEP_MODEL_RESOURCES_H
#define SEEP_MODEL_RESOURCES_H

#include <stddef.h>

struct snapshot;

/*
 * The kinds in either snapshot (before may be NULL), "[file descriptors]": caller frees the array,
 * the texts are the snapshots'.
 */
const char **resources_kinds(const struct snapshot *before, const struct snapshot *after,
			     size_t *ret_nr);
/* Handles of one kind as blocks. Borrows all else of s; only the stacks are its own. */
void resources_of(const struct snapshot *s, const char *kind, struct snapshot *ret);
void resources_release(struct snapshot *s);

#endif
