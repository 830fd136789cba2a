/*
 * What keeps a listing from being the whole truth: modules whose frames got no names, and whether
 * names were looked up at all. Losses of the recording itself are in struct losses.
 */
#ifndef SEEP_MODEL_GAPS_H
#define SEEP_MODEL_GAPS_H

#include <stddef.h>
#include <stdint.h>

struct snapshot;

struct gap {
	size_t index;	    /* of the module in the snapshot */
	const char *module; /* path; in the snapshot's strings */
	uint64_t frames;    /* of it in recorded stacks, none of which has a function name */
	uint32_t flags;	    /* enum module_flags */
};

struct gaps {
	struct gap *items; /* most frames first */
	size_t nr, cap;
};

/* Modules without any symbols among those that stacks of s go through. The recorder is left out. */
void gaps_of(const struct snapshot *s, struct gaps *ret);
void gaps_release(struct gaps *g);

#endif
