/* Taking a snapshot of a recorded process: the glue between target/, model/ and symbols. */
#ifndef SEEP_CMD_TAKE_H
#define SEEP_CMD_TAKE_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct process_info;
struct progress;
struct snapshot;

struct take_options {
	bool no_blocks;	 /* counters only: a small file */
	bool no_symbols; /* names can be looked up later, as long as the files are unchanged */
	bool no_debuginfod;
	const char *symbols; /* --symbols; NULL none */
	struct progress *progress;
};

/* *ret is initialised by the call; valid, and to be released, only on success. */
int take_from_pid(int32_t pid, const struct take_options *o, struct snapshot *ret, struct error *e);
/*
 * From a table that the caller holds (the launcher's). who: as it was when it ran. ended: nothing
 * changes any more, and nothing is asked of the process.
 */
int take_from_fd(int table_fd, const struct process_info *who, bool ended,
		 const struct take_options *o, struct snapshot *ret, struct error *e);

#endif
