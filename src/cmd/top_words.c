/* The verdict on one process, or on what it holds of a kind of resources, as a sentence. */
#include <stdlib.h>

#include "base/str.h"
#include "base/term.h"
#include "base/units.h"
#include "cmd/top_show.h"

/* To the next tenth of a second, because format_duration() cuts and 9.998 s reads as 9.9 s. */
static struct unit_text rounded(uint64_t ns)
{
	const uint64_t tenth = 100000000;

	return format_duration(ns < 10 * tenth ? ns : (ns + tenth / 2) / tenth * tenth);
}

/* How a size is said: of bytes, or of things that are counted. */
struct speech {
	struct unit_text (*size)(uint64_t size);
	struct unit_text (*rate)(double per_s);
	uint64_t floor; /* changes below it are not worth saying */
};

static const struct speech of_bytes = {format_bytes, format_rate, TREND_FLOOR_BYTES};
static const struct speech of_handles = {format_count, format_count_rate, TOP_FLOOR_HANDLES};

static struct unit_text magnitude(const struct speech *of, int64_t size)
{
	return of->size(size < 0 ? 0 - (uint64_t)size : (uint64_t)size);
}

static void add_moving(struct str *out, const struct trend *t, const struct speech *of)
{
	str_printf(out, "%s at %s (fit %.2f over %s)",
		   t->kind == TREND_GROWING ? "growing" : "shrinking",
		   of->rate(t->rate < 0 ? -t->rate : t->rate).text, t->rate_r2,
		   rounded(t->rate_span_ns).text);
	if (t->slowing)
		str_add(out, ", slowing down");
}

static void add_too_early(struct str *out, const struct trend *t, const struct speech *of)
{
	uint64_t delta = (uint64_t)llabs(t->delta_bytes);

	if (t->samples >= 3 && delta > of->floor)
		str_printf(out, "too early to say (%s by %s just now)",
			   t->delta_bytes > 0 ? "rose" : "fell", of->size(delta).text);
	else
		str_printf(out, "too early to say (%zu sample%s)", t->samples,
			   t->samples == 1 ? "" : "s");
}

static void add_verdict(struct str *out, const struct trend *t, const struct speech *of)
{
	switch (t->kind) {
	case TREND_TOO_EARLY:
		add_too_early(out, t, of);
		return;
	case TREND_STEADY:
		str_add(out, "steady");
		if (t->swing_bytes > of->floor)
			str_printf(out, ", within %s", of->size(t->swing_bytes).text);
		break;
	case TREND_GROWING:
	case TREND_SHRINKING:
		add_moving(out, t, of);
		break;
	case TREND_LEVELLED:
		str_printf(out, "levelled off after %s%s, for %s now",
			   t->levelled_bytes < 0 ? "falling by " : "",
			   magnitude(of, t->levelled_bytes).text, rounded(t->level_span_ns).text);
		break;
	}
	if (t->confidence != TREND_HIGH)
		str_printf(out, ", %s confidence", trend_confidence_word(t->confidence));
}

static void add_sentence(struct str *out, const struct top_row *row, const struct top_series *s,
			 const struct speech *of)
{
	if (row->state == TOP_RUNNING) {
		add_verdict(out, &s->trend, of);
		return;
	}
	str_add(out,
		row->state == TOP_REPLACED ? "ended, its pid is another process's now" : "ended");
	if (s->samples < 2)
		return;
	str_printf(out, " after %s", rounded(row->last_ns - row->first_ns).text);
	if (s->trend.kind != TREND_TOO_EARLY) {
		str_add(out, "; was ");
		add_verdict(out, &s->trend, of);
	}
}

void top_sentence(struct str *out, const struct top_row *row)
{
	add_sentence(out, row, &row->series, &of_bytes);
}

void top_resource_sentence(struct str *out, const struct top_row *row,
			   const struct top_resource *resource)
{
	add_sentence(out, row, &resource->series, &of_handles);
}

const char *top_sentence_style(const struct top_row *row, const struct trend *trend,
			       const struct palette *palette)
{
	if (row->state != TOP_RUNNING)
		return palette->dim;
	if (trend->kind == TREND_GROWING)
		return palette->bad;
	return trend->kind == TREND_SHRINKING ? palette->good : NULL;
}
