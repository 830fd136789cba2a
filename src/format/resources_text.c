/* See resources_text.h. */
#include "format/resources_text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/term.h"
#include "base/units.h"
#include "format/format.h"
#include "format/headline.h"
#include "format/stack_text.h"
#include "format/table.h"
#include "format/words.h"
#include "model/lines.h"
#include "model/listing.h"
#include "model/snapshot.h"

#define DESCRIPTORS "[file descriptors]" /* WIRE_KIND_DESCRIPTORS, as a tag */

/* What the kernel knows besides: all there are, in the end. */
static void add_descriptors(struct str *out, const struct snapshot *s)
{
	const struct descriptors *d = &s->descriptors;

	if ((!d->open && !d->gone) || s->survivors)
		return;
	str_printf(out,
		   "%s open in all, %s of them from before recording began or by ways that "
		   "are not recorded",
		   format_count(d->open).text, format_count(d->unseen).text);
	if (d->gone)
		str_printf(out, "; %s more were closed by such ways, and are not counted",
			   format_count(d->gone).text);
	str_add_char(out, '\n');
}

static void add_headline(struct str *out, const char *kind, const struct listing *l,
			 const struct palette *p)
{
	const struct totals *t = &l->after->totals;

	str_printf(out, "\n%s", p->bold);
	words_kind(out, kind);
	str_printf(out, ": %s held", format_count(t->live_blocks).text);
	if (l->before)
		str_printf(
			out, ", %s",
			format_count_delta(delta_of(l->before->totals.live_blocks, t->live_blocks))
				.text);
	if (!l->after->survivors)
		str_printf(out, "; ever acquired: %s", format_count(t->total_blocks).text);
	str_printf(out, "%s\n", p->reset);
	if (!strcmp(kind, DESCRIPTORS))
		add_descriptors(out, l->after);
}

/* Which of the figures a table has. */
struct figures {
	bool change, rate, ever;
};

static struct figures figures_of(const struct listing *l)
{
	return (struct figures){
		.change = l->before != NULL,
		.rate = l->before && l->totals.elapsed_ns,
		.ever = !l->after->survivors,
	};
}

static void add_heads(struct table *table, const struct listing *l, const char *style)
{
	const struct figures f = figures_of(l);

	table_init(table, &"rrrrrl"[!f.change + !f.rate + !f.ever]);
	table_add(table, "#", style);
	if (f.change)
		table_add(table, "change", style);
	if (f.rate)
		table_add(table, "rate", style);
	table_add(table, "held", style);
	if (f.ever)
		table_add(table, "ever", style);
	table_add(table, listing_noun(l->options.group, 1), style);
}

static void add_figures(struct table *table, const struct listing *l, size_t r)
{
	const struct listing_row *row = &l->rows[r];
	const struct figures f = figures_of(l);
	int64_t change = change_blocks(&row->before, &row->after);

	table_add(table, format_count(r + 1).text, NULL);
	if (f.change)
		table_add(table, format_count_delta(change).text, NULL);
	if (f.rate)
		table_add(table, format_count_rate(rate_of(change, l->totals.elapsed_ns)).text,
			  NULL);
	table_add(table, format_count(row->after.live_blocks).text, NULL);
	if (f.ever)
		table_add(table, format_count(row->after.total_blocks).text, NULL);
}

static void add_table(struct str *out, const struct listing *l, const struct format_options *o)
{
	struct str cell = STR_INIT;
	struct table table;
	struct lines lines;

	lines_init(&lines);
	add_heads(&table, l, o->palette->dim);
	for (size_t r = 0; r < l->nr_shown; r++) {
		add_figures(&table, l, r);
		str_clear(&cell);
		listing_lines(l, l->rows[r].first, &lines);
		words_face(&cell, l->options.group, &lines, o->full);
		table_add(&table, cell.data, o->palette->name);
	}
	table_write(&table, o->palette, out);
	table_release(&table);
	lines_release(&lines);
	str_release(&cell);
}

static void add_stacks(struct str *out, const struct listing *l, size_t r,
		       const struct format_options *o)
{
	const struct listing_row *row = &l->rows[r];
	size_t nr = o->full ? row->nr_changed : 1;
	struct lines lines;

	lines_init(&lines);
	for (size_t i = 0; i < nr && i < row->nr; i++) {
		const struct change *c = listing_change(l, row->first + i);

		listing_lines(l, row->first + i, &lines);
		str_printf(out, "\n%s#%zu%s  %s held", o->palette->bold, r + 1, o->palette->reset,
			   format_count(c->after.live_blocks).text);
		if (l->before)
			str_printf(out, ", %s",
				   format_count_delta(change_blocks(&c->before, &c->after)).text);
		if (!l->after->survivors)
			str_printf(out, ", %s ever acquired here",
				   format_count(c->after.total_blocks).text);
		str_add_char(out, '\n');
		stack_text(out, &lines, o);
	}
	lines_release(&lines);
}

void resources_text(struct out *o, const struct view *v, const struct format_options *options)
{
	for (size_t k = 0; k < v->nr_resources; k++) {
		const struct listing *l = &v->resources[k];

		add_headline(&o->text, v->kinds[k], l, options->palette);
		if (l->nr_shown)
			add_table(&o->text, l, options);
		for (size_t r = 0; r < l->nr_shown && r < options->stacks; r++) {
			add_stacks(&o->text, l, r, options);
			out_step(o);
		}
	}
}
