/*
 * `seep top` for people: one line a process. Columns that say nothing (no swap anywhere) are left
 * out, and on a narrow terminal the least important ones, so that the sentence at the end has room.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/term.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/top_columns.h"
#include "cmd/top_show.h"
#include "format/table.h"

#define SENTENCE_WIDTH 44 /* what the sentence needs to be worth anything */

enum column {
	COLUMN_PID,
	COLUMN_NAME,
	COLUMN_RSS,
	COLUMN_PSS,
	COLUMN_ANON,
	COLUMN_SWAP,
	COLUMN_PAGE_TABLES,
	COLUMN_THREADS,
	COLUMN_DESCRIPTORS,
	COLUMN_RECORDED,
	COLUMN_DELTA,
	COLUMN_SLOPE,
	COLUMN_SENTENCE,
	COLUMNS
};

static const struct top_column columns[COLUMNS] = {
	[COLUMN_PID] = {"PID", 'r', 0, 7},
	[COLUMN_NAME] = {"NAME", 'l', 0, 14},
	[COLUMN_RSS] = {"RSS", 'r', 0, 9},
	[COLUMN_PSS] = {"PSS", 'r', 3, 9},
	[COLUMN_ANON] = {"ANON", 'r', 2, 9},
	[COLUMN_SWAP] = {"SWAP", 'r', 4, 9},
	[COLUMN_PAGE_TABLES] = {"PTE", 'r', 8, 9},
	[COLUMN_THREADS] = {"THR", 'r', 6, 3},
	[COLUMN_DESCRIPTORS] = {"FDS", 'r', 7, 3},
	[COLUMN_RECORDED] = {"RECORDED", 'l', 5, 11},
	[COLUMN_DELTA] = {"DELTA", 'r', 1, 10},
	[COLUMN_SLOPE] = {"SLOPE", 'r', 9, 11},
	[COLUMN_SENTENCE] = {"VERDICT", 'l', 0, SENTENCE_WIDTH},
};

/* Where the value of a column is kept, for those that are plain figures. */
static bool figure(const struct top_row *row, enum column column, uint64_t *ret)
{
	const struct usage *u = &row->usage;
	enum usage_field field;

	switch (column) {
	case COLUMN_RSS:
		field = USAGE_RSS;
		break;
	case COLUMN_PSS:
		field = USAGE_PSS;
		u = &row->detail;
		break;
	case COLUMN_ANON:
		field = USAGE_ANON;
		break;
	case COLUMN_SWAP:
		field = USAGE_SWAP;
		break;
	case COLUMN_PAGE_TABLES:
		field = USAGE_PAGE_TABLES;
		break;
	case COLUMN_THREADS:
		field = USAGE_THREADS;
		break;
	case COLUMN_DESCRIPTORS:
		field = USAGE_DESCRIPTORS;
		u = &row->detail;
		break;
	default:
		return false;
	}
	*ret = u->value[field];
	return usage_has(u, field);
}

static bool column_says_something(const struct top_view *v, enum column column)
{
	uint64_t value;

	switch (column) {
	case COLUMN_DELTA:
	case COLUMN_SLOPE:
	case COLUMN_SENTENCE:
		return top_rows_samples(v->rows) > 1 || top_rows_running(v->rows) < v->rows->nr;
	case COLUMN_SWAP:
		for (size_t i = 0; i < v->shown; i++) {
			if (figure(v->order[i], column, &value) && value)
				return true;
		}
		return false;
	case COLUMN_RECORDED:
		for (size_t i = 0; i < v->shown; i++) {
			if (v->order[i]->recorded.answer == RECORDED_YES)
				return true;
		}
		return false;
	default:
		return true;
	}
}

static void choose_columns(const struct top_view *v, bool chosen[COLUMNS])
{
	for (int i = 0; i < COLUMNS; i++)
		chosen[i] = column_says_something(v, (enum column)i);
	top_columns_fit(columns, COLUMNS, chosen, v->width);
}

static void add_figure(struct table *t, const struct top_row *row, enum column column)
{
	bool counts = column == COLUMN_THREADS || column == COLUMN_DESCRIPTORS;
	uint64_t value;

	if (!figure(row, column, &value))
		table_add(t, "-", NULL);
	else if (counts)
		table_add(t, format_count(value).text, NULL);
	else
		table_add(t, format_bytes(value).text, NULL);
}

/*
 * The program, and what it calls itself where that is something else: "python3.11 (server.py)".
 * comm is cut after 15 characters, so a beginning of the name is the same name.
 */
void top_add_name(struct table *t, const struct top_row *row, const struct palette *palette)
{
	struct str name = STR_INIT;
	const char *text = process_name(&row->info), *comm = row->info.comm;

	text_printable(&name, text, strlen(text));
	if (*comm && !text_starts_with(text, comm)) {
		str_add(&name, " (");
		text_printable(&name, comm, strlen(comm));
		str_add_char(&name, ')');
	}
	table_add(t, name.data, palette->name);
	str_release(&name);
}

static void add_recorded(struct table *t, const struct top_view *v, const struct top_row *row)
{
	const struct recorded *r = &row->recorded;
	char text[UNIT_TEXT + 8];

	if (r->answer != RECORDED_YES) {
		table_add(t, r->answer == RECORDED_NO ? "no" : "?", NULL);
		return;
	}
	snprintf(text, sizeof(text), "yes");
	if (r->since_ns && r->since_ns <= v->now_ns)
		snprintf(text, sizeof(text), "for %s",
			 format_duration(v->now_ns - r->since_ns).text);
	table_add(t, text, v->palette->good);
}

static void add_sentence(struct table *t, const struct top_row *row, const struct palette *palette)
{
	struct str text = STR_INIT;

	top_sentence(&text, row);
	table_add(t, text.data, top_sentence_style(row, &row->series.trend, palette));
	str_release(&text);
}

static void add_cell(struct table *t, const struct top_view *v, const struct top_row *row,
		     enum column column)
{
	char pid[16];

	switch (column) {
	case COLUMN_PID:
		snprintf(pid, sizeof(pid), "%d", row->info.pid);
		table_add(t, pid, NULL);
		break;
	case COLUMN_NAME:
		top_add_name(t, row, v->palette);
		break;
	case COLUMN_RECORDED:
		add_recorded(t, v, row);
		break;
	case COLUMN_DELTA:
		table_add(t, format_bytes_delta(row->series.trend.delta_bytes).text, NULL);
		break;
	case COLUMN_SLOPE:
		table_add(t,
			  row->series.samples < 2 ? "-" : format_rate(row->series.trend.slope).text,
			  NULL);
		break;
	case COLUMN_SENTENCE:
		add_sentence(t, row, v->palette);
		break;
	default:
		add_figure(t, row, column);
	}
}

/* What the table does not show, in numbers. */
static void add_notes(struct str *out, const struct top_view *v)
{
	const struct palette *p = v->palette;
	size_t closed = 0;

	for (size_t i = 0; i < v->shown; i++) {
		const struct top_row *row = v->order[i];

		closed += row->detail_ns && !usage_has(&row->detail, USAGE_PSS);
	}
	if (v->shown < v->rows->nr)
		str_printf(out, "%s%zu of %zu processes are shown (--limit 0 shows all)%s\n",
			   p->dim, v->shown, v->rows->nr, p->reset);
	if (closed)
		str_printf(out,
			   "%sPSS of %zu process%s may not be read, or this kernel has none%s\n",
			   p->notice, closed, closed == 1 ? "" : "es", p->reset);
	if (v->rows->ended)
		str_printf(out, "%s%zu process%s ended meanwhile%s\n", p->dim, v->rows->ended,
			   v->rows->ended == 1 ? "" : "es", p->reset);
	if (v->rows->nr && !v->live && !column_says_something(v, COLUMN_SENTENCE))
		str_printf(out, "%sOne sample does not say what grows: --for 10s watches.%s\n",
			   p->dim, p->reset);
	if (v->reminder)
		str_printf(out, "%s%s%s\n", p->notice, v->reminder, p->reset);
}

void top_show_text(struct str *out, const struct top_view *v)
{
	bool chosen[COLUMNS];
	struct table t;

	choose_columns(v, chosen);
	top_columns_table(columns, COLUMNS, chosen, v->palette, &t);
	for (size_t row = 0; row < v->shown; row++) {
		for (int i = 0; i < COLUMNS; i++) {
			if (chosen[i])
				add_cell(&t, v, v->order[row], (enum column)i);
		}
	}
	table_write(&t, v->palette, out);
	table_release(&t);
	top_resources_text(out, v);
	add_notes(out, v);
}
