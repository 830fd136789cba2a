/* Every event of a process into a file: the glue between target/drain and file/eventfile. */
#ifndef SEEP_CMD_EVENTS_RECORD_H
#define SEEP_CMD_EVENTS_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "file/eventfile.h"

struct error;
struct process_info;
struct table;

struct events_record;

struct events_record_options {
	const char *path;
	uint64_t window_ns; /* 0: all is kept */
	bool from_start;    /* what came before we were there counts, too */
};

/* Can the file be written? An exit status; if not, it was told. Creates it. */
int events_record_check(const char *path);
/* Begins. The table must outlive it. Its mode is the caller's affair. */
int events_record_open(struct table *t, const struct process_info *who,
		       const struct events_record_options *o, struct events_record **ret,
		       struct error *e);
/* Takes what has come; to be called every DRAIN_NS. */
int events_record_step(struct events_record *r, struct error *e);
/*
 * Steps until one of end_signals() comes, which are blocked, until the deadline
 * (clock_monotonic_ns(), 0: none) or the end of the process, which is said.
 */
int events_record_stay(struct events_record *r, const struct process_info *who,
		       uint64_t deadline_ns, struct error *e);
/* Takes the rest, and completes the file. *ret: what was written. */
int events_record_finish(struct events_record *r, struct eventfile_info *ret, struct error *e);
/*
 * Says how many events are in the file, and how many were lost; quiet: only if any were. pid: of
 * several processes, the one; 0: there is one only.
 */
void events_record_say(const char *path, const struct eventfile_info *info, int32_t pid,
		       bool quiet);
void events_record_free(struct events_record *r);

#endif
