/*
 * A table of typed cells with totals and remarks: what heaps, blocks and map show. Views fill it,
 * formats (text, csv, json) write it, so that a view never knows how it will look.
 *
 *   columns[c]        key ("busy_bytes": json, csv), title ("IN USE": text), kind
 *   cells[r * nr_columns + c]
 *   totals[k]         named figures over all rows, in every format
 *   notes[n]          sentences below the table (above it: heading)
 */
#ifndef SEEP_MODEL_SHEET_H
#define SEEP_MODEL_SHEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cell_kind {
	CELL_TEXT,	   /* "" is shown as nothing; json: null, as what is unknown */
	CELL_COUNT,	   /* u: 1234 */
	CELL_BYTES,	   /* u */
	CELL_ADDRESS,	   /* u: "0x…" */
	CELL_PERMILLE,	   /* u: tenths of a percent, shown as 12.3 % (json, csv: 12.3) */
	CELL_CHANGE,	   /* i: +12 */
	CELL_CHANGE_BYTES, /* i */
	CELL_SIGNED_BYTES, /* i: a quantity that may be below zero; no sign when it is not */
	CELL_RATE,	   /* i: bytes per second */
	CELL_BOOL,
};

enum column_use {
	COLUMN_ALWAYS,
	COLUMN_IF_ANY,	/* text: only where some row has a value that is not zero or empty */
	COLUMN_MACHINE, /* json and csv only */
};

struct sheet_column {
	const char *key, *title; /* static storage */
	enum cell_kind kind;
	enum column_use use;
	uint8_t rank; /* text: the highest goes first on a narrow terminal; 0: never left out */
};

/* Small, as tables of 50,000 rows are made of them. */
struct cell {
	union { /* by kind; all zero when not known */
		uint64_t u;
		int64_t i;
		const char *text; /* in the sheet's own memory */
	};
	uint32_t depth; /* of a text: how deep it stands in a tree, indented for people only */
	bool known;	/* false: shown as "-", null, empty */
};

struct sheet_total {
	const char *key; /* static storage */
	enum cell_kind kind;
	struct cell value;
};

struct sheet_texts;

struct sheet {
	const char *schema; /* "seep-heaps-1" */
	char *heading;	    /* one or more lines above the table; NULL none */
	const struct sheet_column *columns;
	size_t nr_columns;
	struct cell *cells; /* row after row */
	size_t nr_cells, cap_cells;
	size_t next_column;	   /* of the next cell */
	struct sheet_texts *texts; /* what the texts of cells and totals are kept in */
	bool has_total_row; /* text: the last row is a sum; json, csv: left out of the rows */
	struct sheet_total *totals;
	size_t nr_totals, cap_totals;
	char **notes;
	size_t nr_notes, cap_notes;
	/* Further tables of the same answer (a summary, a balance sheet); json: by their key. */
	struct sheet *parts;
	size_t nr_parts, cap_parts;
	const char *key;	/* of a part: "balance" */
	uint64_t rows_left_out; /* by a limit */
};

void sheet_init(struct sheet *s, const char *schema, const struct sheet_column *columns,
		size_t nr_columns);
void sheet_release(struct sheet *s);
/* Room for so many rows in all, where that is known beforehand. */
void sheet_reserve(struct sheet *s, size_t rows);
size_t sheet_rows(const struct sheet *s);
const struct cell *sheet_cell(const struct sheet *s, size_t row, size_t column);

/* The next cell, left to right, row after row; kinds must be the column's. Texts are copied. */
void sheet_text(struct sheet *s, const char *text);
/* A text that is a row of a tree: depth 0 is its head. */
void sheet_branch(struct sheet *s, const char *text, unsigned int depth);
void sheet_number(struct sheet *s, uint64_t u); /* COUNT, BYTES, ADDRESS, PERMILLE, BOOL */
void sheet_change(struct sheet *s, int64_t i);	/* CHANGE, CHANGE_BYTES, RATE */
void sheet_unknown(struct sheet *s);

void sheet_total(struct sheet *s, const char *key, enum cell_kind kind, uint64_t u);
void sheet_total_change(struct sheet *s, const char *key, enum cell_kind kind, int64_t i);
void sheet_total_text(struct sheet *s, const char *key, const char *text);
void sheet_total_unknown(struct sheet *s, const char *key);
void sheet_set_heading(struct sheet *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* A sentence: gets a capital and a full stop where it has none. */
void sheet_note(struct sheet *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A part, to be filled; valid until the next call of this function. */
struct sheet *sheet_part(struct sheet *s, const char *key, const struct sheet_column *columns,
			 size_t nr_columns);
/*
 * Sorts rows by a column, largest (texts: smallest) first; rows of equal value keep their order.
 * The total row stays last. Then cuts after limit rows (0: none are cut).
 */
void sheet_sort(struct sheet *s, size_t column);
void sheet_limit(struct sheet *s, size_t limit);
/* Index of the column with this key, or SIZE_MAX. */
size_t sheet_find_column(const struct sheet *s, const char *key);

#endif
