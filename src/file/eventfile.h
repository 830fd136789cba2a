/*
 * A file of events, as `seep run --events` and `seep mode … full` write it: header, then chunks as
 * of a snapshot (doc/file-format.md), written one after the other while the process runs; last the
 * index. Cut short, it is good up to its last whole chunk.
 *
 * Stack nodes and modules are the recorder's own (wire/wire.h): names are looked up by who reads.
 */
#ifndef SEEP_FILE_EVENTFILE_H
#define SEEP_FILE_EVENTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct error;

#define EVENTFILE_VERSION 1
#define EVENTFILE_CHUNK_ROWS 16384

/* Of what, and how much; the second half is right once the file is complete. */
struct eventfile_info {
	int32_t pid;
	uint32_t image;
	uint64_t start_ticks;
	uint64_t began_monotonic_ns; /* ms 0 of the events */
	uint64_t began_realtime_ns;  /* the same instant */
	uint64_t window_ms;	     /* how much is kept; 0: all */
	char boot_id[40];
	char name[64];
	char exe[248];

	uint64_t events; /* written, those outside the window included */
	uint64_t lost;	 /* of the recorder: rings were full */
	uint64_t gone;	 /* outside the window: no longer in the file */
};

/* ---- writing ---- */

struct eventfile_writer;

/* Creates the file, or empties it; mode 0600. Errors carry EXIT_FILE. */
int eventfile_create(const char *path, const struct eventfile_info *info,
		     struct eventfile_writer **ret, struct error *e);
/* In order. Takes a copy; what came is on its way to the disk once there is a chunk full of it. */
int eventfile_add(struct eventfile_writer *w, const struct wire_event *events, size_t nr,
		  struct error *e);
/* Writes what there is; with a window also gives back what is outside it, now being now_ms. */
int eventfile_flush(struct eventfile_writer *w, uint64_t now_ms, struct error *e);
/* Nodes from number `first` on; what was written of them before counts no more. */
int eventfile_nodes(struct eventfile_writer *w, uint32_t first, const struct wire_node *nodes,
		    size_t nr, struct error *e);
/* All modules; likewise. */
int eventfile_modules(struct eventfile_writer *w, const struct wire_module *modules, size_t nr,
		      struct error *e);
/* Writes the rest and the index. *info is filled up with what was written. */
int eventfile_finish(struct eventfile_writer *w, struct eventfile_info *info, struct error *e);
/* Closes it, finished or not. */
void eventfile_free(struct eventfile_writer *w);

/* ---- reading ---- */

struct eventfile {
	struct eventfile_info info;
	bool complete;	  /* it was finished; else it was cut short, or is still being written */
	uint64_t damaged; /* chunks that could not be read */
	struct wire_node *nodes; /* parent < own index, checked */
	size_t nr_nodes;
	struct wire_module *modules;
	size_t nr_modules;
	size_t nr_chunks; /* of events */
	struct eventfile_private *private;
};

/* Errors carry EXIT_FILE. */
int eventfile_open(const char *path, struct eventfile *ret, struct error *e);
void eventfile_close(struct eventfile *f);
/* What is known of a chunk without reading it: times of its first and last event. */
void eventfile_times(const struct eventfile *f, size_t chunk, uint32_t *ret_first_ms,
		     uint32_t *ret_last_ms);
/*
 * Events of a chunk, by number; room for EVENTFILE_CHUNK_ROWS. Returns how many, 0 if it is
 * damaged. node < nr_nodes and kind < WIRE_EVENT_KINDS, checked.
 */
size_t eventfile_read(struct eventfile *f, size_t chunk, struct wire_event *room);

#endif
