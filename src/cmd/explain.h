/*
 * What `seep diff` and `seep report` share: options, loading snapshots with names, making the
 * listing and writing it.
 */
#ifndef SEEP_CMD_EXPLAIN_H
#define SEEP_CMD_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/cmd.h"
#include "cmd/symbolize.h"
#include "file/seepfile.h"
#include "model/listing.h"
#include "model/snapshot.h"
#include "model/suppress.h"

#define EXPLAIN_OPTIONS_MAX 40

/* The command line, and what it leads to. */
struct explain {
	const char *command; /* "diff" */
	/* Options: */
	int group, sort, format; /* sort: index into the command's own choices */
	uint64_t limit;		 /* UINT64_MAX: the format's default */
	uint64_t min_bytes, stacks;
	const char *filter_text, *suppressions_path, *output, *symbols;
	struct opt_list wrappers;
	bool grown_only, full, no_symbols, decimal;
	/* Made of them by explain_prepare(): */
	struct filter *filter;
	struct suppressions suppressions;
};

/* One snapshot of the command line. */
struct explain_input {
	const char *path;
	struct snapshot snapshot;
	struct seepfile_damage damage;
	struct symbolize_summary names; /* nr_modules 0: names came with the snapshot */
	bool loaded;
};

void explain_init(struct explain *x, const char *command);
void explain_release(struct explain *x);
/* The whole table: the command's own options (ends with OPT_END) after the shared ones. */
void explain_table(struct explain *x, const char *sort_choices, const struct opt *own,
		   struct opt table[EXPLAIN_OPTIONS_MAX]);
/* Reads filter and suppressions, checks what does not go together. EXIT_DONE, or told and failed.
 */
int explain_prepare(struct explain *x);
/* Reads a snapshot. EXIT_DONE, or told and failed. */
int explain_load(const char *path, struct explain_input *in);
/*
 * Looks up its names, as the options want it; known (may be NULL): a snapshot that has them
 * already, so that nothing is looked up twice. EXIT_DONE, or told and failed.
 */
int explain_names(const struct explain *x, struct explain_input *in,
		  const struct explain_input *known);
void explain_input_release(struct explain_input *in);
/* How the command line wants a listing; the suppressions are x's own. */
struct listing_options explain_listing(const struct explain *x, enum listing_sort sort);
/*
 * Makes the listing and writes it where --output says. before NULL: a report. forced: why the two
 * should not be compared, or NULL. *ret_grown_bytes (may be NULL): what the listed rows grew by.
 */
int explain_write(const struct explain *x, const struct explain_input *before,
		  const struct explain_input *after, enum listing_sort sort, const char *forced,
		  uint64_t *ret_grown_bytes);

#endif
