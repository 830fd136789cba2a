/*
 * --format csv: RFC 4180, one header row, one row per listing row, the stack as one of the columns.
 * Rows of other resources follow those of memory; then a last column says which a row is of.
 */
#include <inttypes.h>

#include "base/str.h"
#include "format/csv_writer.h"
#include "format/format.h"
#include "format/words.h"
#include "model/lines.h"
#include "model/listing.h"
#include "model/site.h"
#include "model/snapshot.h"

static void add_numbers(struct str *out, const struct listing *l, const struct listing_row *row)
{
	const struct counters *before = &row->before, *after = &row->after;
	int64_t bytes = change_bytes(before, after);

	if (l->before) {
		str_printf(out, "%" PRId64 ",%" PRId64 ",", bytes, change_blocks(before, after));
		if (l->totals.elapsed_ns)
			str_printf(out, "%.1f", rate_of(bytes, l->totals.elapsed_ns));
		str_printf(out, ",%" PRIu64 ",%" PRIu64 ",", before->live_bytes,
			   before->live_blocks);
	}
	str_printf(out, "%" PRIu64 ",%" PRIu64 ",", after->live_bytes, after->live_blocks);
	if (l->after->survivors) /* it is not known how many there ever were */
		str_add(out, ",,,");
	else
		str_printf(out, "%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",", after->total_bytes,
			   after->total_blocks, after->temporary_blocks);
	str_printf(out, "%zu,", row->nr_changed);
}

static void add_site(struct str *out, const struct lines *lines)
{
	struct site site = site_of(lines);
	const struct line *lead = &lines->items[site.lead];

	csv_add_field(out, lead->kind == LINE_MARK ? mark_text(lead->special) : lead->function);
	str_add_char(out, ',');
	csv_add_field(out, lead->file);
	str_printf(out, ",%" PRIu32 ",", lead->line);
	csv_add_field(out, lead->module);
	str_printf(out, ",0x%" PRIx64 ",", lead->module_offset);
	words_build_id(out, lead);
	str_add_char(out, ',');
	csv_add_field(out, site.host == site.lead ? "" : lines->items[site.host].function);
	str_add_char(out, ',');
}

/* Names without the recorder's, innermost first: "malloc < parse < main". */
static void add_stack(struct str *out, const struct lines *lines)
{
	struct str text = STR_INIT;

	for (size_t i = 0; i < lines->nr; i++) {
		if (lines->items[i].kind == LINE_RECORDER)
			continue;
		if (text.len)
			str_add(&text, " < ");
		words_name(&text, &lines->items[i]);
	}
	csv_add_field(out, text.data);
	str_release(&text);
}

static void add_heads(struct str *out, const struct view *v)
{
	str_add(out, "rank,");
	if (v->listing->before)
		str_add(out, "delta_bytes,delta_blocks,bytes_per_s,live_bytes_before,"
			     "live_blocks_before,");
	str_add(out, "live_bytes,live_blocks,total_bytes,total_blocks,temporary_blocks,stacks,"
		     "function,file,line,module,offset,build_id,inlined_in,stack,live_samples");
	str_add(out, v->nr_resources ? ",kind\r\n" : "\r\n");
}

/* kind NULL: there is one only, and no column for it. */
static void add_rows(struct out *o, const struct listing *l, const char *kind)
{
	struct lines lines;

	lines_init(&lines);
	for (size_t r = 0; r < l->nr_shown; r++) {
		listing_lines(l, l->rows[r].first, &lines);
		str_printf(&o->text, "%zu,", r + 1);
		add_numbers(&o->text, l, &l->rows[r]);
		add_site(&o->text, &lines);
		add_stack(&o->text, &lines);
		str_printf(&o->text, ",%" PRIu64, l->rows[r].after.live_samples);
		if (kind) {
			str_add_char(&o->text, ',');
			csv_add_field(&o->text, kind);
		}
		str_add(&o->text, "\r\n");
		out_step(o);
	}
	lines_release(&lines);
}

int format_csv(struct out *o, const struct view *v, const struct format_options *options,
	       struct error *e)
{
	(void)options;
	(void)e;
	add_heads(&o->text, v);
	add_rows(o, v->listing, v->nr_resources ? "memory" : NULL);
	for (size_t k = 0; k < v->nr_resources; k++)
		add_rows(o, &v->resources[k], v->kinds[k]);
	return 0;
}
