/*
 * Which memory of a target goes into a core, and how it is had: as Linux itself decides it
 * (vma_dump_size() of fs/coredump.c) with the default filter, 0x33: anonymous memory private and
 * shared, file mappings that were written to, the first page of ELF files, private huge pages.
 */
#ifndef SEEP_TARGET_CORE_PLAN_H
#define SEEP_TARGET_CORE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map;
struct target;

enum core_source {
	CORE_NOTHING,	/* not dumped; bytes is 0 */
	CORE_ZEROS,	/* never touched: zeros, without looking */
	CORE_ANONYMOUS, /* pages that are not there are zeros and must not be read */
	CORE_MEMORY,	/* all of it is to be read */
	CORE_SHARED, /* reading pages that are not there would create them: see core_shared_open()
		      */
};

struct core_piece {
	const struct map *map;
	uint64_t bytes; /* of the mapping, from its start, that are dumped */
	enum core_source source;
};

struct core_plan {
	struct core_piece *items;
	size_t nr, cap;
	uint64_t bytes;	   /* sum of the pieces */
	uint64_t left_out; /* bytes of readable mappings that are not dumped on purpose */
};

/* everything: file mappings and memory marked with MADV_DONTDUMP too; devices never. */
void core_plan_make(struct target *t, bool everything, struct core_plan *ret);
void core_plan_release(struct core_plan *p);

/*
 * Descriptor of the object behind a shared mapping, for reading it without touching the process:
 * offsets are the file's, holes read as zeros. Or negative errno; only root may.
 */
int core_shared_open(struct target *t, const struct map *m);
/* The process's folder in /proc, or the clone's; to be closed. Negative errno. */
int core_proc_dir(struct target *t);

#endif
