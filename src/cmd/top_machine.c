/* `seep top` for programs: JSON and CSV with the same figures under the same names. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cmd/top_show.h"
#include "format/csv_writer.h"
#include "format/json_writer.h"

static const struct {
	const char *key;
	enum usage_field field;
	bool detail;
} figures[] = {
	{"rss_bytes", USAGE_RSS, false},
	{"pss_bytes", USAGE_PSS, true},
	{"anonymous_bytes", USAGE_ANON, false},
	{"file_bytes", USAGE_FILE, false},
	{"shared_bytes", USAGE_SHMEM, false},
	{"swap_bytes", USAGE_SWAP, false},
	{"page_table_bytes", USAGE_PAGE_TABLES, false},
	{"threads", USAGE_THREADS, false},
	{"descriptors", USAGE_DESCRIPTORS, true},
};
#define KEY_BYTES 40
#define NR_FIGURES (sizeof(figures) / sizeof(figures[0]))

static const char *const states[] = {
	[TOP_RUNNING] = "running",
	[TOP_ENDED] = "ended",
	[TOP_REPLACED] = "replaced",
};

static bool figure(const struct top_row *row, size_t i, uint64_t *ret)
{
	const struct usage *u = figures[i].detail ? &row->detail : &row->usage;

	*ret = u->value[figures[i].field];
	return usage_has(u, figures[i].field);
}

static void totals_json(struct json *j, const struct top_view *v)
{
	size_t kinds[TREND_SHRINKING + 1] = {0};

	for (size_t i = 0; i < v->rows->nr; i++) {
		if (v->order[i]->state == TOP_RUNNING)
			kinds[v->order[i]->series.trend.kind]++;
	}
	json_open(j, "totals", '{');
	json_count(j, "processes", v->rows->nr);
	json_count(j, "listed_processes", v->shown);
	json_count(j, "ended_processes", v->rows->ended + v->rows->nr - top_rows_running(v->rows));
	json_count(j, "growing_processes", kinds[TREND_GROWING]);
	json_count(j, "shrinking_processes", kinds[TREND_SHRINKING]);
	json_count(j, "levelled_processes", kinds[TREND_LEVELLED]);
	json_count(j, "steady_processes", kinds[TREND_STEADY]);
	json_count(j, "undecided_processes", kinds[TREND_TOO_EARLY]);
	json_count(j, "samples", top_rows_samples(v->rows));
	json_count(j, "interval_ns", v->interval_ns);
	for (size_t f = 0; f < NR_FIGURES; f++) {
		uint64_t sum = 0, value;
		size_t known = 0;

		/* PSS and descriptors are read for listed rows only: no sum over all. */
		for (size_t i = 0; i < v->rows->nr && !figures[f].detail; i++) {
			if (v->order[i]->state == TOP_RUNNING && figure(v->order[i], f, &value)) {
				sum += value;
				known++;
			}
		}
		if (known)
			json_count(j, figures[f].key, sum);
	}
	json_close(j, '}');
}

/* of: "bytes", or "blocks" for what is counted. */
static const char *key_of(char key[KEY_BYTES], const char *before, const char *of,
			  const char *behind)
{
	snprintf(key, KEY_BYTES, "%s%s%s", before, of, behind);
	return key;
}

/* Every key is always there; what does not apply is null. Not a number is written as null. */
static void trend_json(struct json *j, const struct trend *t, const char *of)
{
	/* A byte more or less is nothing; a handle an hour may be all there is. */
	void (*rate)(struct json *, const char *, double) =
		strcmp(of, "bytes") ? json_fraction : json_real;
	bool moves = t->kind == TREND_GROWING || t->kind == TREND_SHRINKING;
	bool levelled = t->kind == TREND_LEVELLED;
	char key[KEY_BYTES];

	json_count(j, "samples", t->samples);
	json_count(j, "span_ns", t->span_ns);
	json_number(j, key_of(key, "delta_", of, ""), t->delta_bytes);
	json_count(j, key_of(key, "swing_", of, ""), t->swing_bytes);
	rate(j, key_of(key, "slope_", of, "_per_s"), t->samples > 1 ? t->slope : NAN);
	json_fraction(j, "slope_r2", t->samples > 1 ? t->r2 : NAN);
	rate(j, key_of(key, "robust_slope_", of, "_per_s"), t->samples > 1 ? t->robust_slope : NAN);
	json_text(j, "trend", trend_kind_word(t->kind));
	if (t->kind == TREND_TOO_EARLY)
		json_null(j, "confidence");
	else
		json_text(j, "confidence", trend_confidence_word(t->confidence));
	rate(j, key_of(key, "rate_", of, "_per_s"), moves ? t->rate : NAN);
	json_fraction(j, "rate_r2", moves ? t->rate_r2 : NAN);
	json_real(j, "rate_span_s", moves ? (double)t->rate_span_ns / 1e9 : NAN);
	json_bool(j, "slowing", moves && t->slowing);
	if (levelled)
		json_number(j, key_of(key, "levelled_", of, ""), t->levelled_bytes);
	else
		json_null(j, key_of(key, "levelled_", of, ""));
	json_real(j, "level_span_s", levelled ? (double)t->level_span_ns / 1e9 : NAN);
}

/* null: it is not recorded, or that may not be read; empty: nothing but memory is. */
static void resources_json(struct json *j, const struct top_row *row)
{
	struct str sentence = STR_INIT;

	if (!row->resources.known) {
		json_null(j, "resources");
		return;
	}
	json_open(j, "resources", '[');
	for (size_t i = 0; i < row->resources.nr; i++) {
		const struct top_resource *r = &row->resources.items[i];

		json_open(j, NULL, '{');
		json_text(j, "kind", r->kind);
		json_count(j, "live_blocks", r->handles);
		trend_json(j, &r->series.trend, "blocks");
		str_clear(&sentence);
		top_resource_sentence(&sentence, row, r);
		json_text(j, "verdict", sentence.data);
		json_close(j, '}');
	}
	json_close(j, ']');
	str_release(&sentence);
}

static void recorded_json(struct json *j, const struct top_view *v, const struct recorded *r)
{
	if (r->answer == RECORDED_UNKNOWN)
		json_null(j, "recorded");
	else
		json_bool(j, "recorded", r->answer == RECORDED_YES);
	if (r->since_ns && r->since_ns <= v->now_ns)
		json_count(j, "recorded_for_ns", v->now_ns - r->since_ns);
	else
		json_null(j, "recorded_for_ns");
}

static void row_json(struct json *j, const struct top_view *v, const struct top_row *row)
{
	struct str sentence = STR_INIT;
	uint64_t value;

	json_open(j, NULL, '{');
	json_count(j, "pid", (uint64_t)row->info.pid);
	json_count(j, "namespace_pid", (uint64_t)row->info.ns_pid);
	json_count(j, "start_ticks", row->info.start_ticks);
	json_count(j, "uid", row->info.uid);
	json_text(j, "name", process_name(&row->info));
	json_text(j, "comm", row->info.comm);
	json_text(j, "exe", row->info.exe);
	json_text(j, "state", states[row->state]);
	for (size_t f = 0; f < NR_FIGURES; f++) {
		if (figure(row, f, &value))
			json_count(j, figures[f].key, value);
		else
			json_null(j, figures[f].key);
	}
	trend_json(j, &row->series.trend, "bytes");
	recorded_json(j, v, &row->recorded);
	top_sentence(&sentence, row);
	json_text(j, "verdict", sentence.data);
	str_release(&sentence);
	resources_json(j, row);
	json_close(j, '}');
}

void top_show_json(struct str *out, const struct top_view *v)
{
	struct json j;

	json_init(&j, out);
	json_open(&j, NULL, '{');
	json_text(&j, "schema", "seep-top-1");
	totals_json(&j, v);
	json_open(&j, "rows", '[');
	for (size_t i = 0; i < v->shown; i++)
		row_json(&j, v, v->order[i]);
	json_close(&j, ']');
	json_close(&j, '}');
	str_add_char(out, '\n');
}

/* slope, fit, robust slope; trend, confidence, rate: as far as there are any. */
static void slopes_csv(struct str *out, const struct trend *t)
{
	if (t->samples > 1)
		str_printf(out, "%.1f,%.4f,%.1f,", t->slope, t->r2, t->robust_slope);
	else
		str_add(out, ",,,");
}

static void verdict_csv(struct str *out, const struct trend *t)
{
	str_printf(out, "%s,%s,", trend_kind_word(t->kind),
		   t->kind == TREND_TOO_EARLY ? "" : trend_confidence_word(t->confidence));
}

static void rate_csv(struct str *out, const struct trend *t, int digits)
{
	if (t->kind == TREND_GROWING || t->kind == TREND_SHRINKING)
		str_printf(out, "%.*f", digits, t->rate);
}

static void who_csv(struct str *out, const struct top_row *row)
{
	str_printf(out, "%d,", row->info.pid);
	csv_add_field(out, process_name(&row->info));
	str_printf(out, ",%s,", states[row->state]);
}

/* with_kinds: there are rows of resources, too. */
static void row_csv(struct str *out, const struct top_row *row, bool with_kinds)
{
	const struct trend *t = &row->series.trend;
	struct str sentence = STR_INIT;
	uint64_t value;

	who_csv(out, row);
	for (size_t f = 0; f < NR_FIGURES; f++) {
		if (figure(row, f, &value))
			str_printf(out, "%" PRIu64, value);
		str_add_char(out, ',');
	}
	str_printf(out, "%zu,%" PRIu64 ",%" PRId64 ",", t->samples, t->span_ns, t->delta_bytes);
	slopes_csv(out, t);
	verdict_csv(out, t);
	rate_csv(out, t, 1);
	str_add_char(out, ',');
	if (row->recorded.answer != RECORDED_UNKNOWN)
		str_add(out, row->recorded.answer == RECORDED_YES ? "true" : "false");
	str_add_char(out, ',');
	top_sentence(&sentence, row);
	csv_add_field(out, sentence.data);
	str_release(&sentence);
	str_add(out, with_kinds ? ",memory,,,,\r\n" : "\r\n");
}

/* The columns of memory are empty. */
static void resource_csv(struct str *out, const struct top_row *row, const struct top_resource *r)
{
	const struct trend *t = &r->series.trend;
	struct str sentence = STR_INIT;

	who_csv(out, row);
	for (size_t f = 0; f < NR_FIGURES; f++)
		str_add_char(out, ',');
	str_printf(out, "%zu,%" PRIu64 ",,,,,", t->samples, t->span_ns);
	verdict_csv(out, t);
	str_add(out, ",true,");
	top_resource_sentence(&sentence, row, r);
	csv_add_field(out, sentence.data);
	str_release(&sentence);
	str_add_char(out, ',');
	csv_add_field(out, r->kind);
	str_printf(out, ",%" PRIu64 ",%" PRId64 ",", r->handles, t->delta_bytes);
	if (t->samples > 1)
		str_printf(out, "%.4f", t->slope);
	str_add_char(out, ',');
	rate_csv(out, t, 4);
	str_add(out, "\r\n");
}

void top_show_csv(struct str *out, const struct top_view *v)
{
	bool with_kinds = top_resources_lines(v) != 0;

	str_add(out, "pid,name,state,");
	for (size_t f = 0; f < NR_FIGURES; f++)
		str_printf(out, "%s,", figures[f].key);
	str_add(out, "samples,span_ns,delta_bytes,slope_bytes_per_s,slope_r2,"
		     "robust_slope_bytes_per_s,trend,confidence,rate_bytes_per_s,recorded,"
		     "verdict");
	if (with_kinds)
		str_add(out, ",kind,live_blocks,delta_blocks,slope_blocks_per_s,rate_blocks_per_s");
	str_add(out, "\r\n");
	for (size_t i = 0; i < v->shown; i++) {
		const struct top_resources *r = &v->order[i]->resources;

		row_csv(out, v->order[i], with_kinds);
		for (size_t k = 0; k < r->nr; k++)
			resource_csv(out, v->order[i], &r->items[k]);
	}
}
