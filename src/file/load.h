/* From chunks to a snapshot: places rows, fills holes, keeps count of what is missing. */
#ifndef SEEP_FILE_LOAD_H
#define SEEP_FILE_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file/chunk.h"
#include "file/tables.h"

struct chunk_list;
struct seepfile_damage;

struct load {
	struct snapshot *s; /* initialised by the caller */
	struct meta meta;   /* valid when has_meta */
	bool has_meta;
	size_t chunks_good, chunks_bad;
	uint64_t next_row[TABLE_NR];  /* number that the next row of the table would have */
	uint64_t good_rows[TABLE_NR]; /* rows really read */
	uint64_t holes_left;	      /* how many lost rows may still be made up */
	bool complete;		      /* every row that META promises is there */
	bool references_lost;	      /* there were some, and not all of them are left */
};

/*
 * Reads all chunks of the list that are good. Where rows are missing that others refer to, rows
 * that say "unknown" take their places. Never fails: what could not be had is in the counters.
 */
void load_chunks(struct load *l, const struct chunk_list *list, const uint8_t *data, size_t len,
		 struct snapshot *s);
/* What is missing, in a sentence and in numbers; false: nothing is wrong. Needs has_meta. */
bool load_damage(const struct load *l, const struct chunk_list *list, struct seepfile_damage *ret);

#endif
