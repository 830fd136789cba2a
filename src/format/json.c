/*
 * --format json: one object, stable and versioned by "schema". Fields may be added; what is there
 * keeps its name and meaning. doc/man/seep-diff.1.scd lists them.
 */
#include "base/str.h"
#include "format/format.h"
#include "format/json_writer.h"
#include "format/words.h"
#include "model/gaps.h"
#include "model/lines.h"
#include "model/listing.h"
#include "model/site.h"
#include "model/snapshot.h"
#include "model/suppress.h"

static const char *const kind_names[] = {
	[LINE_OWN] = "own",	      [LINE_LIBRARY] = "library", [LINE_ALLOCATOR] = "allocator",
	[LINE_RECORDER] = "recorder", [LINE_STARTUP] = "startup", [LINE_MARK] = "mark",
	[LINE_TAG] = "tag",
};

/* What was recorded when; figures with samples are estimates. */
static void add_modes(struct json *j, const struct snapshot *s)
{
	static const char *const names[] = {"lite", "off", "sample", "full"};

	json_count(j, "live_samples", s->totals.live_samples);
	json_count(j, "total_samples", s->totals.total_samples);
	json_count(j, "sampled_ns", s->sampled_ns);
	json_count(j, "off_ns", s->unrecorded.ns);
	json_count(j, "off_blocks", s->unrecorded.blocks);
	json_count(j, "off_bytes", s->unrecorded.bytes);
	json_count(j, "off_frees", s->unrecorded.frees);
	json_count(j, "mode_changes", s->mode_changes);
	json_open(j, "modes", '[');
	for (size_t i = 0; i < s->nr_modes; i++) {
		const struct mode_change *m = &s->modes[i];

		json_open(j, NULL, '{');
		json_text(j, "mode", m->mode < MODES_NR ? names[m->mode] : "unknown");
		json_count(j, "since_monotonic_ns", m->since_ns);
		if (m->mode == MODE_SAMPLE)
			json_count(j, "mean_bytes", m->mean_bytes);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void add_marks(struct json *j, const struct snapshot *s)
{
	json_open(j, "marks", '[');
	for (size_t i = 0; i < s->nr_marks; i++) {
		json_open(j, NULL, '{');
		json_text(j, "name", strings_get(&s->strings, s->marks[i].name));
		json_count(j, "monotonic_ns", s->marks[i].monotonic_ns);
		json_close(j, '}');
	}
	json_close(j, ']');
}

/* Where descriptors are recorded: what the kernel knows of them. */
static void add_descriptors(struct json *j, const struct snapshot *s)
{
	json_open(j, "descriptors", '{');
	json_count(j, "open", s->descriptors.open);
	json_count(j, "unseen", s->descriptors.unseen);
	json_count(j, "gone", s->descriptors.gone);
	json_close(j, '}');
}

static void add_snapshot(struct json *j, const char *key, const struct snapshot *s,
			 const char *file, const char *damage)
{
	json_open(j, key, '{');
	json_text(j, "file", file);
	json_number(j, "pid", s->identity.pid);
	json_text(j, "name", strings_get(&s->strings, s->identity.name));
	json_text(j, "exe", strings_get(&s->strings, s->identity.exe));
	json_text(j, "host", strings_get(&s->strings, s->identity.host));
	json_text(j, "allocator", strings_get(&s->strings, s->allocator));
	json_count(j, "taken_realtime_ns", s->taken_realtime_ns);
	json_count(j, "taken_monotonic_ns", s->taken_monotonic_ns);
	json_count(j, "recording_since_ns", s->recording_since_ns);
	json_bool(j, "at_exit", s->at_exit);
	json_count(j, "live_blocks", s->totals.live_blocks);
	json_count(j, "live_bytes", s->totals.live_bytes);
	if (s->survivors) {
		json_text(j, "instant", strings_get(&s->strings, s->instant));
		json_null(j, "total_blocks");
		json_null(j, "total_bytes");
	} else {
		json_count(j, "total_blocks", s->totals.total_blocks);
		json_count(j, "total_bytes", s->totals.total_bytes);
	}
	add_marks(j, s);
	add_modes(j, s);
	add_descriptors(j, s);
	if (damage)
		json_text(j, "damage", damage);
	json_close(j, '}');
}

/* Of survivors it is not known how many there ever were. */
static void add_ever(struct json *j, const struct listing *l, const char *key, uint64_t count)
{
	if (l->after->survivors)
		json_null(j, key);
	else
		json_count(j, key, count);
}

static void add_diff_totals(struct json *j, const struct listing *l)
{
	const struct listing_totals *t = &l->totals;
	int64_t bytes = delta_of(t->shrunk_bytes, t->grown_bytes);

	json_count(j, "live_blocks_before", l->before->totals.live_blocks);
	json_count(j, "live_bytes_before", l->before->totals.live_bytes);
	json_number(j, "delta_blocks", delta_of(t->shrunk_blocks, t->grown_blocks));
	json_number(j, "delta_bytes", bytes);
	json_count(j, "grown_blocks", t->grown_blocks);
	json_count(j, "grown_bytes", t->grown_bytes);
	json_count(j, "grown_rows", t->grown_rows);
	json_count(j, "shrunk_blocks", t->shrunk_blocks);
	json_count(j, "shrunk_bytes", t->shrunk_bytes);
	json_count(j, "shrunk_rows", t->shrunk_rows);
	if (t->elapsed_ns) {
		json_count(j, "elapsed_ns", t->elapsed_ns);
		json_real(j, "bytes_per_s", rate_of(bytes, t->elapsed_ns));
	} else {
		json_null(j, "elapsed_ns");
		json_null(j, "bytes_per_s");
	}
}

static void add_totals(struct json *j, const struct listing *l)
{
	const struct listing_totals *t = &l->totals;

	json_open(j, "totals", '{');
	json_count(j, "live_blocks", l->after->totals.live_blocks);
	json_count(j, "live_bytes", l->after->totals.live_bytes);
	add_ever(j, l, "total_blocks", l->after->totals.total_blocks);
	add_ever(j, l, "total_bytes", l->after->totals.total_bytes);
	add_ever(j, l, "freed_blocks", l->after->totals.freed_blocks);
	add_ever(j, l, "freed_bytes", l->after->totals.freed_bytes);
	add_ever(j, l, "temporary_blocks", l->after->totals.temporary_blocks);
	json_count(j, "pooled_bytes", l->after->pooled_bytes);
	if (l->before)
		add_diff_totals(j, l);
	json_count(j, "rows", l->nr_rows);
	json_count(j, "rows_shown", l->nr_shown);
	json_count(j, "suppressed_stacks", t->suppressed_stacks);
	json_count(j, "suppressed_blocks", t->suppressed_blocks);
	json_count(j, "suppressed_bytes", t->suppressed_bytes);
	json_count(j, "filtered_stacks", t->filtered_stacks);
	json_count(j, "small_rows", t->small_rows);
	json_close(j, '}');
}

static void add_incomplete(struct json *j, const struct view *v)
{
	const struct listing *l = v->listing;
	const struct losses *losses = &l->after->losses;
	struct gaps gaps;

	json_open(j, "incomplete", '{');
	json_count(j, "dropped_blocks", losses->dropped_blocks);
	json_count(j, "dropped_bytes", losses->dropped_bytes);
	json_count(j, "unknown_frees", losses->unknown_frees);
	json_count(j, "lost_frees", losses->lost_frees);
	json_count(j, "cut_stacks", losses->cut_stacks);
	json_count(j, "stopped_stacks", losses->stopped_stacks);
	json_count(j, "missing_stacks", losses->missing_stacks);
	json_count(j, "lost_marks", losses->lost_marks);
	json_count(j, "lost_tags", losses->lost_tags);
	json_count(j, "partial_functions", losses->partial_functions);
	json_bool(j, "torn", losses->torn || (l->before && l->before->losses.torn));
	json_bool(j, "damaged", v->before_damage || v->after_damage);
	if (v->forced)
		json_text(j, "forced", v->forced);
	json_open(j, "modules_without_symbols", '[');
	gaps_of(l->after, &gaps);
	for (size_t i = 0; i < gaps.nr; i++)
		json_text(j, NULL, gaps.items[i].module);
	gaps_release(&gaps);
	json_close(j, ']');
	json_close(j, '}');
}

static void add_line(struct json *j, const char *key, const struct line *line)
{
	struct str build_id = STR_INIT;

	json_open(j, key, '{');
	json_text(j, "kind", kind_names[line->kind]);
	if (line->kind == LINE_MARK) {
		json_text(j, "mark", mark_text(line->special));
		json_close(j, '}');
		return;
	}
	words_build_id(&build_id, line);
	json_text(j, "function", line->function);
	json_text(j, "file", line->file);
	json_count(j, "line", line->line);
	json_text(j, "module", line->module);
	json_address(j, "offset", line->module_offset);
	json_address(j, "address", line->address);
	json_text(j, "build_id", build_id.data);
	json_bool(j, "inlined", line->inlined);
	json_close(j, '}');
	str_release(&build_id);
}

static void add_counters(struct json *j, const struct listing *l, const struct counters *before,
			 const struct counters *after)
{
	int64_t bytes = change_bytes(before, after);

	json_count(j, "live_blocks", after->live_blocks);
	json_count(j, "live_bytes", after->live_bytes);
	add_ever(j, l, "total_blocks", after->total_blocks);
	add_ever(j, l, "total_bytes", after->total_bytes);
	add_ever(j, l, "temporary_blocks", after->temporary_blocks);
	json_count(j, "live_samples", after->live_samples);
	add_ever(j, l, "total_samples", after->total_samples);
	if (!l->before)
		return;
	json_count(j, "live_blocks_before", before->live_blocks);
	json_count(j, "live_bytes_before", before->live_bytes);
	add_ever(j, l, "total_blocks_before", before->total_blocks);
	add_ever(j, l, "total_bytes_before", before->total_bytes);
	json_count(j, "live_samples_before", before->live_samples);
	json_number(j, "delta_blocks", change_blocks(before, after));
	json_number(j, "delta_bytes", bytes);
	if (l->totals.elapsed_ns)
		json_real(j, "bytes_per_s", rate_of(bytes, l->totals.elapsed_ns));
	else
		json_null(j, "bytes_per_s");
}

static void add_stack(struct json *j, const struct listing *l, size_t member, struct lines *lines)
{
	const struct change *c = listing_change(l, member);

	json_open(j, NULL, '{');
	json_count(j, "id", c->id);
	add_counters(j, l, &c->before, &c->after);
	listing_lines(l, member, lines);
	json_open(j, "frames", '[');
	for (size_t i = 0; i < lines->nr; i++)
		add_line(j, NULL, &lines->items[i]);
	json_close(j, ']');
	json_close(j, '}');
}

static void add_row(struct json *j, struct out *o, const struct listing *l, size_t r,
		    struct lines *lines)
{
	const struct listing_row *row = &l->rows[r];
	struct str name = STR_INIT;
	struct site site;

	listing_lines(l, row->first, lines);
	site = site_of(lines);
	words_face(&name, l->options.group, lines, false);
	json_open(j, NULL, '{');
	json_count(j, "rank", r + 1);
	json_text(j, "name", name.data);
	add_counters(j, l, &row->before, &row->after);
	add_line(j, "site", &lines->items[site.lead]);
	if (site.inner != site.lead)
		add_line(j, "through", &lines->items[site.inner]);
	if (site.host != site.lead)
		add_line(j, "inlined_in", &lines->items[site.host]);
	json_open(j, "stacks", '[');
	for (size_t i = 0; i < row->nr_changed; i++) {
		add_stack(j, l, row->first + i, lines);
		out_step(o);
	}
	json_close(j, ']');
	json_close(j, '}');
	str_release(&name);
}

/* One kind of handles: rows as those of memory, with counts of handles and no bytes. */
static void add_resources(struct json *j, struct out *o, const struct view *v, struct lines *lines)
{
	json_open(j, "resources", '[');
	for (size_t k = 0; k < v->nr_resources; k++) {
		const struct listing *l = &v->resources[k];

		str_add_char(&o->text, '\n');
		json_open(j, NULL, '{');
		json_text(j, "kind", v->kinds[k]);
		json_count(j, "live_blocks", l->after->totals.live_blocks);
		add_ever(j, l, "total_blocks", l->after->totals.total_blocks);
		if (l->before)
			json_count(j, "live_blocks_before", l->before->totals.live_blocks);
		json_open(j, "rows", '[');
		for (size_t r = 0; r < l->nr_shown; r++) {
			str_add_char(&o->text, '\n');
			add_row(j, o, l, r, lines);
		}
		json_close(j, ']');
		json_close(j, '}');
	}
	json_close(j, ']');
}

int format_json(struct out *o, const struct view *v, const struct format_options *options,
		struct error *e)
{
	static const char *const groups[] = {"site", "stack", "module", "function", "tag"};
	const struct listing *l = v->listing;
	struct lines lines;
	struct json j;

	(void)e;
	lines_init(&lines);
	json_init(&j, &o->text);
	json_open(&j, NULL, '{');
	json_text(&j, "schema", l->before ? "seep-diff-1" : "seep-report-1");
	json_text(&j, "seep", options->version);
	json_text(&j, "group_by", groups[l->options.group]);
	if (l->before)
		add_snapshot(&j, "before", l->before, v->before_name, v->before_damage);
	add_snapshot(&j, l->before ? "after" : "snapshot", l->after, v->after_name,
		     v->after_damage);
	add_totals(&j, l);
	add_incomplete(&j, v);
	json_open(&j, "rows", '[');
	for (size_t r = 0; r < l->nr_shown; r++) {
		str_add_char(&o->text, '\n');
		add_row(&j, o, l, r, &lines);
	}
	json_close(&j, ']');
	add_resources(&j, o, v, &lines);
	json_close(&j, '}');
	str_add_char(&o->text, '\n');
	lines_release(&lines);
	return 0;
}
