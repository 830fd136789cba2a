/* The listing for people: a sentence, the table of rows, the stacks of the first ones, and notes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/term.h"
#include "base/text.h"
#include "base/units.h"
#include "format/format.h"
#include "format/headline.h"
#include "format/notes.h"
#include "format/resources_text.h"
#include "format/stack_text.h"
#include "format/table.h"
#include "format/words.h"
#include "model/lines.h"
#include "model/listing.h"
#include "model/site.h"
#include "model/snapshot.h"

struct text_view {
	struct str *out;
	const struct listing *l;
	const struct view *v;
	const struct format_options *options;
	const struct palette *p;
	bool is_diff;
	bool is_estimate; /* samples are among the figures */
};

static const char *plural(uint64_t nr)
{
	return nr == 1 ? "" : "s";
}

static const char *face_style(const struct text_view *t, int64_t bytes)
{
	if (!t->is_diff || bytes == 0)
		return NULL;
	return bytes > 0 ? t->p->bad : t->p->good;
}

static void add_diff_cells(const struct text_view *t, const struct listing_row *row,
			   struct table *table)
{
	int64_t bytes = change_bytes(&row->before, &row->after);
	int64_t blocks = change_blocks(&row->before, &row->after);

	table_add(table, format_bytes_delta(bytes).text, face_style(t, bytes));
	table_add(table, format_count_delta(blocks).text, NULL);
	if (t->l->totals.elapsed_ns)
		table_add(table, format_rate(rate_of(bytes, t->l->totals.elapsed_ns)).text, NULL);
	table_add(table, format_bytes(row->after.live_bytes).text, NULL);
	if (t->is_estimate)
		table_add(table, format_count(row->after.live_samples).text, NULL);
}

static void add_report_cells(const struct text_view *t, const struct listing_row *row,
			     struct table *table)
{
	const struct counters *c = &row->after;

	table_add(table, format_bytes(c->live_bytes).text, NULL);
	table_add(table, format_count(c->live_blocks).text, NULL);
	table_add(table, format_bytes(c->total_bytes).text, NULL);
	table_add(table, format_count(c->total_blocks).text, NULL);
	table_add(table, format_count(c->temporary_blocks).text, NULL);
	if (t->is_estimate)
		table_add(table, format_count(c->live_samples).text, NULL);
}

static void add_heads(const struct text_view *t, struct table *table)
{
	static const char *const diff[] = {"#", "bytes", "blocks", "rate", "now", NULL};
	static const char *const report[] = {"#",	    "bytes",	 "blocks", "ever bytes",
					     "ever blocks", "temporary", NULL};
	const char *const *heads = t->is_diff ? diff : report;
	size_t nr = (t->is_diff ? t->l->totals.elapsed_ns ? 5 : 4 : 6) + t->is_estimate;
	char align[] = "rrrrrrrl";

	table_init(table, align + sizeof(align) - 2 - nr);
	for (size_t i = 0; heads[i]; i++) {
		if (t->is_diff && i == 3 && !t->l->totals.elapsed_ns)
			continue;
		table_add(table, heads[i], t->p->dim);
	}
	if (t->is_estimate)
		table_add(table, "samples", t->p->dim);
	table_add(table, listing_noun(t->l->options.group, 1), t->p->dim);
}

static void add_table(const struct text_view *t)
{
	struct str face = STR_INIT;
	struct table table;
	struct lines lines;

	lines_init(&lines);
	add_heads(t, &table);
	for (size_t r = 0; r < t->l->nr_shown; r++) {
		const struct listing_row *row = &t->l->rows[r];

		str_clear(&face);
		str_printf(&face, "%zu", r + 1);
		table_add(&table, face.data, NULL);
		if (t->is_diff)
			add_diff_cells(t, row, &table);
		else
			add_report_cells(t, row, &table);
		str_clear(&face);
		listing_lines(t->l, row->first, &lines);
		words_face(&face, t->l->options.group, &lines, t->options->full);
		table_add(&table, face.data, t->p->name);
	}
	str_add_char(t->out, '\n');
	table_write(&table, t->p, t->out);
	table_release(&table);
	lines_release(&lines);
	str_release(&face);
}

/* "1,000 blocks of 4,560 bytes": exact when all have one size, which is what a leak looks like. */
static void add_sizes(struct str *out, const char *prefix, uint64_t blocks, uint64_t bytes)
{
	str_printf(out, "%s%s block%s", prefix, format_count(blocks).text, plural(blocks));
	if (blocks == 0)
		return;
	if (bytes % blocks == 0)
		str_printf(out, " of %s bytes", format_count(bytes / blocks).text);
	else
		str_printf(out, " of %s on average", format_bytes(bytes / blocks).text);
}

/*
 * The counters know what a list of live blocks cannot: whether anything is ever freed here. Blocks
 * that were not entered for want of room count as allocated only, so then nothing is said of
 * freeing.
 */
static void add_fate(const struct text_view *t, const struct counters *before,
		     const struct counters *after)
{
	uint64_t made = after->total_blocks - before->total_blocks, freed = 0;

	if (after->total_blocks <= before->total_blocks || t->l->after->survivors)
		return;
	str_printf(t->out, "; allocated%s: %s", t->is_diff ? " meanwhile" : " ever",
		   format_count(made).text);
	if (t->l->after->losses.dropped_blocks)
		return;
	if (made + before->live_blocks > after->live_blocks)
		freed = made + before->live_blocks - after->live_blocks;
	str_printf(t->out, ", freed: %s", freed ? format_count(freed).text : "none");
}

static void add_summary(const struct text_view *t, const struct change *c)
{
	int64_t blocks = change_blocks(&c->before, &c->after);
	int64_t bytes = change_bytes(&c->before, &c->after);

	str_add(t->out, "    ");
	if (c->before.live_samples || c->after.live_samples)
		str_add(t->out, "about ");
	if (!t->is_diff) {
		add_sizes(t->out, "", c->after.live_blocks, c->after.live_bytes);
	} else if (blocks > 0 && bytes > 0) {
		add_sizes(t->out, "+", (uint64_t)blocks, (uint64_t)bytes);
	} else if (blocks < 0 && bytes < 0) {
		add_sizes(t->out, "-", (uint64_t)-blocks, (uint64_t)-bytes);
	} else {
		str_printf(t->out, "%s blocks, %s", format_count_delta(blocks).text,
			   format_bytes_delta(bytes).text);
	}
	add_fate(t, &c->before, &c->after);
	if (c->after.live_samples)
		str_printf(t->out, "; by %s sample%s", format_count(c->after.live_samples).text,
			   plural(c->after.live_samples));
	str_add_char(t->out, '\n');
}

static void add_row_stacks(const struct text_view *t, size_t r)
{
	const struct listing_row *row = &t->l->rows[r];
	size_t nr = t->options->full ? row->nr_changed : 1;
	int64_t bytes = listing_bytes(t->l, &row->before, &row->after);
	struct lines lines;

	lines_init(&lines);
	listing_lines(t->l, row->first, &lines);
	str_printf(t->out, "\n%s#%zu%s  %s  ", t->p->bold, r + 1, t->p->reset,
		   t->is_diff ? format_bytes_delta(bytes).text
			      : format_bytes((uint64_t)bytes).text);
	words_face(t->out, t->l->options.group, &lines, t->options->full);
	str_add_char(t->out, '\n');
	for (size_t i = 0; i < nr && i < row->nr; i++) {
		listing_lines(t->l, row->first + i, &lines);
		add_summary(t, listing_change(t->l, row->first + i));
		stack_text(t->out, &lines, t->options);
	}
	if (row->nr_changed > nr)
		str_printf(t->out, "    and %s more stack%s (--full shows them)\n",
			   format_count(row->nr_changed - nr).text, plural(row->nr_changed - nr));
	lines_release(&lines);
}

int format_text(struct out *o, const struct view *v, const struct format_options *options,
		struct error *e)
{
	struct text_view t = {
		.out = &o->text,
		.l = v->listing,
		.v = v,
		.options = options,
		.p = options->palette,
		.is_diff = v->listing->before != NULL,
	};

	t.is_estimate = t.l->after->totals.total_samples ||
			(t.l->before && t.l->before->totals.total_samples);

	(void)e;
	headline_write(&o->text, v->listing, options->palette);
	if (t.l->nr_shown)
		add_table(&t);
	out_step(o);
	for (size_t r = 0; r < t.l->nr_shown && r < options->stacks; r++) {
		add_row_stacks(&t, r);
		out_step(o);
	}
	resources_text(o, v, options);
	notes_write(&o->text, v, options->palette);
	return 0;
}
