/*
 * A table for people: cells aligned by what they hold, two blanks between columns, nothing cut. The
 * last column may be any length. Widths are counted in characters of UTF-8.
 */
#ifndef SEEP_FORMAT_TABLE_H
#define SEEP_FORMAT_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#define TABLE_COLUMNS 32

struct palette;
struct str;

struct table_cell {
	char *text;
	size_t width;	   /* in characters */
	const char *style; /* escape sequence or NULL; not owned */
};

struct table {
	size_t nr_columns;
	bool right[TABLE_COLUMNS]; /* aligned to the right */
	struct table_cell *cells;  /* row after row */
	size_t nr, cap;
	unsigned int indent;
	size_t width_max; /* columns wider than this do not push the others; 0: no limit */
};

/* align: one letter a column, 'r' or 'l'. */
void table_init(struct table *t, const char *align);
void table_release(struct table *t);
/* The next cell, left to right, row after row. */
void table_add(struct table *t, const char *text, const char *style);
/* Appends so many blanks. */
void table_pad(struct str *out, size_t nr);
void table_write(const struct table *t, const struct palette *palette, struct str *out);

#endif
