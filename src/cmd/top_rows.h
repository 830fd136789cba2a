/*
 * The processes that `seep top` watches, and their sizes over time.
 *
 * Either the ones that were asked for, which stay in the list when they end, or all of the user's
 * (all at all for root), which come and go. Kernel threads, which have no memory, and seep itself
 * are left out of the latter.
 */
#ifndef SEEP_CMD_TOP_ROWS_H
#define SEEP_CMD_TOP_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/top_resources.h"
#include "cmd/top_series.h"
#include "target/process.h"
#include "target/recorded.h"
#include "target/usage.h"

enum top_state {
	TOP_RUNNING = 0,
	TOP_ENDED,
	TOP_REPLACED, /* ended, and its pid is another process's now */
};

struct top_row {
	struct process_info info;
	enum top_state state;
	uint64_t first_ns, last_ns; /* CLOCK_MONOTONIC of the first and the last sample */
	struct usage usage;  /* the last one; PSS and descriptors may be older (see detail) */
	struct usage detail; /* PSS and descriptors as last read */
	uint64_t detail_ns;  /* when, and how long that took: it is not done all the time */
	uint64_t detail_cost_ns;
	struct recorded recorded;
	struct top_series series; /* of its own memory */
	struct top_resources resources;
};

struct top_rows {
	struct top_row *items; /* ascending by pid */
	size_t nr, cap;
	bool all;     /* whatever runs, not a list of targets */
	bool watch;   /* more than one sample is to be taken */
	size_t ended; /* all: processes that were watched and have gone */
	int32_t self;
};

enum top_sort {
	TOP_SORT_GROWTH = 0,
	TOP_SORT_RSS,
	TOP_SORT_PSS,
	TOP_SORT_ANON,
	TOP_SORT_SWAP,
	TOP_SORT_PID,
	TOP_SORT_NAME,
};

void top_rows_init(struct top_rows *rows, bool all);
void top_rows_release(struct top_rows *rows);

/* Adds what TARGET means: one process, or all of that name. 0 or negative errno with *e. */
int top_rows_add(struct top_rows *rows, const char *target, struct error *e);

/*
 * One more sample of every process that still runs, and with `all`, of those that are new. 0, or
 * negative errno with *e when /proc cannot be listed.
 */
int top_rows_sample(struct top_rows *rows, struct error *e);

/* Reads what costs more (PSS, descriptors, recorder) unless that was done just now. */
void top_row_detail(struct top_row *row);

/* Number of processes that still run. */
size_t top_rows_running(const struct top_rows *rows);
/* Number of samples of the process that has most. */
size_t top_rows_samples(const struct top_rows *rows);

/* Computes every trend, and the rows in order: rows->nr pointers in an array that the caller frees.
 */
struct top_row **top_rows_order(struct top_rows *rows, enum top_sort sort);

#endif
