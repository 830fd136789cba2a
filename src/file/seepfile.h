/*
 * The .seep file: one snapshot in checksummed compressed chunks. doc/file-format.md has every byte.
 *
 * Written under a temporary name in the same folder, 0600, fsync'd and renamed, so that a full disk
 * or a crash never harms what was good. A file cut short, or with damaged chunks, is read up to the
 * last good chunk and says what is missing.
 */
#ifndef SEEP_FILE_SEEPFILE_H
#define SEEP_FILE_SEEPFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct snapshot;

#define SEEPFILE_VERSION 1

struct seepfile_damage {
	bool damaged;
	size_t chunks_good, chunks_bad; /* bad: damaged or missing */
	/* "cut short, 3 of 9 chunks are left: 12 of 120 stacks, all 5,000 blocks missing" */
	char what[512];
	bool references_lost; /* it had references, of which some are missing: none are given */
};

/* "-" writes to standard output (no rename). 0 or negative errno with *e (status EXIT_FILE). */
int seepfile_write(const struct snapshot *s, const char *path, struct error *e);
/*
 * *s is initialised by the call and valid only on success; its totals are summed up. "-" reads
 * standard input. Damage that leaves something to read is success with *damage filled (NULL: damage
 * is an error). Rows that are lost but referred to read as unknown: text "", a frame in no module,
 * a node FRAME_UNKNOWN_STACK, a stack at the root with no blocks. Empty, foreign and newer-version
 * files have their own messages. Errors carry EXIT_FILE.
 */
int seepfile_read(const char *path, struct snapshot *s, struct seepfile_damage *damage,
		  struct error *e);
/* The same from a whole file in memory; path is only for messages. */
int seepfile_read_bytes(const void *data, size_t len, const char *path, struct snapshot *s,
			struct seepfile_damage *damage, struct error *e);

#endif
