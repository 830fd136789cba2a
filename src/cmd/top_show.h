/* How `seep top` shows its rows: a sentence, a table for people, JSON and CSV for programs. */
#ifndef SEEP_CMD_TOP_SHOW_H
#define SEEP_CMD_TOP_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/top_rows.h"

struct palette;
struct str;
struct table;

struct top_view {
	const struct top_rows *rows;
	struct top_row **order; /* rows->nr of them */
	size_t shown;		/* the first so many are listed; at most rows->nr */
	uint64_t interval_ns;
	uint64_t now_ns;    /* CLOCK_MONOTONIC */
	bool live;	    /* more samples follow */
	unsigned int width; /* columns; the least important figures give way. 0: no limit */
	const struct palette *palette;
	const char *reminder; /* flags_reminder(); NULL: none */
};

/*
 * "growing at 745.3 KiB/s (fit 0.99 over 10.0 s)", "levelled off after 3.1 MiB", "steady", "too
 * early to say (2 samples)", "ended after 4.0 s; was growing at …": the verdict, its figures and,
 * unless it is high, its confidence.
 */
void top_sentence(struct str *out, const struct top_row *row);
/* The same of a kind of resources: "growing at 2.5/s (fit 0.99 over 10.0 s)". */
void top_resource_sentence(struct str *out, const struct top_row *row,
			   const struct top_resource *resource);
/* In which colour; NULL: none. */
const char *top_sentence_style(const struct top_row *row, const struct trend *trend,
			       const struct palette *palette);
/* A cell with the program, and what it calls itself where that is something else. */
void top_add_name(struct table *t, const struct top_row *row, const struct palette *palette);

/* Lines that top_resources_text() writes, 0 where nothing but memory is recorded. */
size_t top_resources_lines(const struct top_view *v);
/* The table of resources, below that of processes. */
void top_resources_text(struct str *out, const struct top_view *v);

void top_show_text(struct str *out, const struct top_view *v);
/* {"schema":"seep-top-1","totals":{…},"rows":[…]} and a newline. */
void top_show_json(struct str *out, const struct top_view *v);
void top_show_csv(struct str *out, const struct top_view *v);

#endif
