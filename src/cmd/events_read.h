/* Events of a file, in order, with the code that they are about; for `seep events`. */
#ifndef SEEP_CMD_EVENTS_READ_H
#define SEEP_CMD_EVENTS_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file/eventfile.h"
#include "model/snapshot.h"

struct error;
struct progress;

/* Over all events of the file, whatever is listed. A realloc is an end and a beginning. */
struct events_totals {
	uint64_t events;
	uint64_t allocated_blocks, allocated_bytes;
	uint64_t freed_blocks, freed_bytes; /* known by the recorder */
	uint64_t unknown_frees;		    /* of blocks that it did not know */
	uint64_t first_ms, last_ms;
};

struct events_options {
	const char *symbols;
	bool no_symbols;
	struct progress *progress;
};

struct events_file {
	struct eventfile file;
	struct snapshot snapshot; /* of the stacks alone */
	struct events_totals totals;
	uint32_t *
		stack_node; /* by the recorder's node: the snapshot's; 0: not a stack of an event */
	char **sites;	    /* by the recorder's node; made when asked for */
};

int events_file_open(const char *path, const struct events_options *o, struct events_file *ret,
		     struct error *e);
void events_file_close(struct events_file *f);

/* "alloc", "free", "realloc", "restore", "void"; "unknown". */
const char *event_kind_name(const struct wire_event *event);
/* "meter.c:31 in meter_new"; "" where no stack is known. Valid until close. */
const char *event_site(struct events_file *f, const struct wire_event *event);

/* Calls for each event from from_ms to to_ms until that returns false. */
void events_each(struct events_file *f, uint64_t from_ms, uint64_t to_ms,
		 bool (*each)(const struct wire_event *event, void *context), void *context);

#endif
