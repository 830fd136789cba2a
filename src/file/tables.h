/*
 * Which arrays of a snapshot go into the file, in which order and by which columns. A new array is
 * one more entry in tables.c (and a count in META); writer and reader follow the table.
 */
#ifndef SEEP_FILE_TABLES_H
#define SEEP_FILE_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "file/columns.h"
#include "model/snapshot.h"

enum table_id {
	TABLE_STRINGS,
	TABLE_MODULES,
	TABLE_SYMBOLS,
	TABLE_FRAMES,
	TABLE_NODES,
	TABLE_STACKS,
	TABLE_RESOURCES,
	TABLE_MARKS,
	TABLE_MARK_HANDLES,
	TABLE_GENERATIONS,
	TABLE_RESOURCE_GENERATIONS,
	TABLE_HEAPS,
	TABLE_THREADS,
	TABLE_REGIONS,
	TABLE_SPANS,
	TABLE_CHECKS,
	TABLE_MODES,
	TABLE_BLOCKS,
	TABLE_REF_BLOCKS,
	TABLE_REF_EDGES,
	TABLE_REF_OWNERS,
	TABLE_REF_ROOTS,
	TABLE_REF_PATTERNS,
	TABLE_NR,
};

/* In the order of the file: what is referred to comes before what refers to it. */
struct table {
	uint32_t type;	  /* of its chunks */
	const char *name; /* plural, for messages */
	uint64_t max_rows;
	struct row_layout rows; /* not for strings */
	size_t items, nr, cap;	/* where they are in struct snapshot; strings: only nr */
	const void *blank; /* stands in for a lost row that others refer to; NULL: just left out */
};

extern const struct table tables[TABLE_NR];

/* Index into tables[], TABLE_NR: no table has such chunks. */
enum table_id table_of_type(uint32_t type);
size_t table_nr(const struct table *t, const struct snapshot *s);
const void *table_row(const struct table *t, const struct snapshot *s, size_t i);
/*
 * Appends nr zeroed rows and returns the first; not for strings. The caller keeps the sum within
 * max_rows.
 */
void *table_append(const struct table *t, struct snapshot *s, size_t nr);
/* Takes the last nr rows back. */
void table_drop(const struct table *t, struct snapshot *s, size_t nr);

/* The one row of META: all that is not an array, and how much of each array there is. */
enum meta_flags {
	META_HAS_RECORDER = 1 << 0,
	META_HAS_BLOCKS = 1 << 1,
	META_AT_EXIT = 1 << 2,
	META_SYMBOLS_RESOLVED = 1 << 3,
	META_TORN = 1 << 4,
	META_HAS_HEAPS = 1 << 5,
	META_HAS_REGION_USE = 1 << 6,
	META_HAS_REFERENCES = 1 << 7,
	META_REF_REGISTERS = 1 << 8, /* struct ref_account: has_registers, has_kernel */
	META_REF_KERNEL = 1 << 9,
};

struct meta {
	struct identity identity;
	uint64_t taken_realtime_ns, taken_monotonic_ns, recording_since_ns, pause_ns;
	uint64_t pooled_bytes;
	uint32_t allocator, method;
	uint32_t flags; /* enum meta_flags */
	struct process_figures figures;
	struct descriptors descriptors;
	uint64_t mode_changes, sampled_ns;
	struct unrecorded unrecorded;
	struct losses losses; /* torn is in the flags */
	struct ref_account ref_account;
	uint64_t table_rows[TABLE_NR];
	uint64_t chunks; /* in the whole file, both METAs counted, the index not */
};

extern const struct row_layout meta_layout;
void meta_from_snapshot(struct meta *m, const struct snapshot *s);
void meta_to_snapshot(const struct meta *m, struct snapshot *s);

/* One row of the index. */
struct chunk_entry {
	uint32_t type;
	uint32_t rows;
	uint64_t first_row;
	uint64_t offset;
};

extern const struct row_layout index_layout;

#endif
