/* See top_resources.h; and the table that shows them, one line a kind. */
#include "cmd/top_resources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/term.h"
#include "base/units.h"
#include "cmd/top_columns.h"
#include "cmd/top_show.h"
#include "format/table.h"
#include "format/words.h"
#include "target/held.h"

/* ---- samples ---- */

void top_resources_release(struct top_resources *r)
{
	for (size_t i = 0; i < r->nr; i++) {
		top_series_release(&r->items[i].series);
		free(r->items[i].kind);
	}
	free(r->items);
	*r = (struct top_resources){.known = false};
}

static void begin(struct top_resources *r, const struct held_kind *kinds, size_t nr,
		  uint64_t since_ns)
{
	top_resources_release(r);
	*r = (struct top_resources){.known = true, .since_ns = since_ns, .nr = nr};
	r->items = mem_alloc_array(nr, sizeof(*r->items));
	for (size_t i = 0; i < nr; i++)
		r->items[i] = (struct top_resource){.kind = mem_printf("[%s]", kinds[i].name)};
}

void top_resources_sample(struct top_resources *r, int32_t pid, const struct recorded *recorded,
			  uint64_t now_ns)
{
	struct held_kind *kinds = NULL;
	size_t nr = 0;

	if (recorded->answer == RECORDED_NO)
		top_resources_release(r);
	/* Where it cannot be read just now, it may have ended: what was seen of it stays. */
	if (recorded->answer != RECORDED_YES || held_read(pid, &kinds, &nr) < 0)
		return;
	if (!r->known || r->since_ns != recorded->since_ns || r->nr != nr)
		begin(r, kinds, nr, recorded->since_ns);
	for (size_t i = 0; i < nr; i++) {
		r->items[i].handles = kinds[i].handles;
		top_series_add(&r->items[i].series, now_ns, kinds[i].handles);
	}
	free(kinds);
}

void top_resources_judge(struct top_resources *r)
{
	for (size_t i = 0; i < r->nr; i++)
		top_series_judge(&r->items[i].series, TOP_FLOOR_HANDLES);
}

/* ---- the table ---- */

enum column {
	COLUMN_PID,
	COLUMN_NAME,
	COLUMN_RESOURCE,
	COLUMN_HELD,
	COLUMN_DELTA,
	COLUMN_SLOPE,
	COLUMN_SENTENCE,
	COLUMNS
};

static const struct top_column columns[COLUMNS] = {
	[COLUMN_PID] = {"PID", 'r', 0, 7},
	[COLUMN_NAME] = {"NAME", 'l', 2, 14},
	[COLUMN_RESOURCE] = {"RESOURCE", 'l', 0, 16},
	[COLUMN_HELD] = {"HELD", 'r', 0, 6},
	[COLUMN_DELTA] = {"DELTA", 'r', 1, 6},
	[COLUMN_SLOPE] = {"SLOPE", 'r', 3, 9},
	[COLUMN_SENTENCE] = {"VERDICT", 'l', 0, 38},
};

static void add_cell(struct table *t, const struct top_view *v, const struct top_row *row,
		     const struct top_resource *r, enum column column)
{
	const struct trend *trend = &r->series.trend;
	struct str text = STR_INIT;

	switch (column) {
	case COLUMN_PID:
		str_printf(&text, "%d", row->info.pid);
		table_add(t, text.data, NULL);
		break;
	case COLUMN_NAME:
		top_add_name(t, row, v->palette);
		break;
	case COLUMN_RESOURCE:
		words_kind(&text, r->kind);
		table_add(t, text.data, v->palette->name);
		break;
	case COLUMN_HELD:
		table_add(t, format_count(r->handles).text, NULL);
		break;
	case COLUMN_DELTA:
		table_add(t, format_count_delta(trend->delta_bytes).text, NULL);
		break;
	case COLUMN_SLOPE:
		table_add(t, trend->samples < 2 ? "-" : format_count_rate(trend->slope).text, NULL);
		break;
	default:
		top_resource_sentence(&text, row, r);
		table_add(t, text.data, top_sentence_style(row, trend, v->palette));
	}
	str_release(&text);
}

static bool watched(const struct top_view *v)
{
	return top_rows_samples(v->rows) > 1 || top_rows_running(v->rows) < v->rows->nr;
}

size_t top_resources_lines(const struct top_view *v)
{
	size_t nr = 0;

	for (size_t i = 0; i < v->shown; i++)
		nr += v->order[i]->resources.nr;
	return nr ? nr + 2 : 0;
}

void top_resources_text(struct str *out, const struct top_view *v)
{
	bool chosen[COLUMNS] = {true, true, true, true};
	struct table t;

	if (!top_resources_lines(v))
		return;
	chosen[COLUMN_DELTA] = chosen[COLUMN_SLOPE] = chosen[COLUMN_SENTENCE] = watched(v);
	top_columns_fit(columns, COLUMNS, chosen, v->width);
	top_columns_table(columns, COLUMNS, chosen, v->palette, &t);
	for (size_t i = 0; i < v->shown; i++) {
		const struct top_resources *r = &v->order[i]->resources;

		for (size_t k = 0; k < r->nr; k++) {
			for (int c = 0; c < COLUMNS; c++) {
				if (chosen[c])
					add_cell(&t, v, v->order[i], &r->items[k], (enum column)c);
			}
		}
	}
	str_add_char(out, '\n');
	table_write(&t, v->palette, out);
	table_release(&t);
}
