/*
 * What a snapshot holds that is no memory, one kind at a time: as a snapshot of its own, so that
 * whatever lists and compares blocks does so with handles, too, and the two are never added up.
 */
#ifndef SEEP_MODEL_RESOURCES_H
#define SEEP_MODEL_RESOURCES_H

#include <stddef.h>

#include "model/listing.h"

struct snapshot;

/*
 * The kinds in either snapshot (before may be NULL), "[file descriptors]": caller frees the array,
 * the texts are the snapshots'.
 */
const char **resources_kinds(const struct snapshot *before, const struct snapshot *after,
			     size_t *ret_nr);
/*
 * Handles of one kind as blocks, whose stacks are without the tag that says so. Borrows all else of
 * s; only the stacks are its own.
 */
void resources_of(const struct snapshot *s, const char *kind, struct snapshot *ret);
void resources_release(struct snapshot *s);

/*
 * Of the options for a listing of memory, what makes sense for handles: whatever goes by bytes goes
 * by blocks; suppressions and min_bytes do not count.
 */
struct listing_options resources_listing(const struct listing_options *memory);

/* A listing of each kind, and what it is made of. */
struct resource_listings {
	const char **kinds;
	struct listing *listings;
	size_t nr;
	struct snapshot *before, *after; /* of each */
};

/*
 * options: of the listing of memory, see resources_listing(). before NULL: a report. The snapshots
 * must outlive the listings.
 */
void resource_listings_make(struct resource_listings *ret, const struct snapshot *before,
			    const struct snapshot *after, const struct listing_options *options);
void resource_listings_release(struct resource_listings *r);

#endif
