/*
 * Sums over regions: what a memory map is made of, how much of it is free, and what it costs.
 *
 *   size ⊇ committed ⊇ private      address space: all, what may be touched, what may become own
 *   rss = uss + shared              in memory; pss: shared pages divided by their users
 *   rss ⊇ dirty                     written since it was read from a file
 */
#ifndef SEEP_MODEL_MAP_USE_H
#define SEEP_MODEL_MAP_USE_H

#include <stddef.h>
#include <stdint.h>

struct region;
struct snapshot;
struct str;

/* Bytes, but for regions. */
struct map_use {
	uint64_t regions, size, largest;
	uint64_t committed; /* readable, writable or executable */
	/* Private and writable, or written once and then protected: what belongs to nobody else. */
	uint64_t private_bytes;
	uint64_t rss, pss;
	uint64_t uss;	/* private_clean + private_dirty */
	uint64_t dirty; /* private_dirty + shared_dirty */
	uint64_t swap, locked, huge;
	uint64_t shared_clean, shared_dirty, private_clean, private_dirty, anonymous, lazy_free;
};

void map_use_of(const struct region *r, struct map_use *ret);
void map_use_add(struct map_use *sum, const struct map_use *more);

/*
 * The physical footprint: memory that exists because of this process and that only ending it, or
 * swapping, gives back. Code and data of files are not in it: they can be read again.
 *
 * anonymous counts fully, also what is still shared with a forked relative; dirty pages of shared
 * memory count by their share, as in pss (exact where a region's pages are all dirty or all clean,
 * otherwise as if both kinds were shared alike).
 */
struct map_footprint {
	uint64_t anonymous, swap, page_tables, shared_dirty;
	uint64_t total; /* the sum of these four */
};

void map_footprint_of(const struct snapshot *s, struct map_footprint *ret);
/* Appends "Physical footprint 1.7 MiB = anonymous 1.6 MiB + …." */
void map_footprint_sentence(const struct map_footprint *f, struct str *out);

/* A hole in the address space. */
struct map_gap {
	uint64_t start, end;
};

struct map_space {
	struct map_gap *gaps; /* ascending */
	size_t nr, cap;
	uint64_t limit;	     /* the first address that a program cannot map */
	uint64_t free_bytes; /* of all gaps */
	uint64_t largest_bytes;
};

/*
 * The free gaps between the lowest address that Linux gives out (64 KiB) and the limit: 4 GiB where
 * nothing lies above, else the next one that a processor has (2^47, 2^48, 2^52, 2^56).
 */
void map_space_of(const struct snapshot *s, struct map_space *ret);
void map_space_release(struct map_space *space);

#endif
