/* The verdict on one process, as a sentence. */
#include <stdlib.h>

#include "base/str.h"
#include "base/units.h"
#include "cmd/top_show.h"

/* To the next tenth of a second, because format_duration() cuts and 9.998 s reads as 9.9 s. */
static struct unit_text rounded(uint64_t ns)
{
	const uint64_t tenth = 100000000;

	return format_duration(ns < 10 * tenth ? ns : (ns + tenth / 2) / tenth * tenth);
}

static struct unit_text magnitude(int64_t bytes)
{
	return format_bytes(bytes < 0 ? 0 - (uint64_t)bytes : (uint64_t)bytes);
}

static void add_moving(struct str *out, const struct trend *t)
{
	str_printf(out, "%s at %s (fit %.2f over %s)",
		   t->kind == TREND_GROWING ? "growing" : "shrinking",
		   format_rate(t->rate < 0 ? -t->rate : t->rate).text, t->rate_r2,
		   rounded(t->rate_span_ns).text);
	if (t->slowing)
		str_add(out, ", slowing down");
}

static void add_too_early(struct str *out, const struct trend *t)
{
	uint64_t delta = (uint64_t)llabs(t->delta_bytes);

	if (t->samples >= 3 && delta > TREND_FLOOR_BYTES)
		str_printf(out, "too early to say (%s by %s just now)",
			   t->delta_bytes > 0 ? "rose" : "fell", format_bytes(delta).text);
	else
		str_printf(out, "too early to say (%zu sample%s)", t->samples,
			   t->samples == 1 ? "" : "s");
}

static void add_verdict(struct str *out, const struct trend *t)
{
	switch (t->kind) {
	case TREND_TOO_EARLY:
		add_too_early(out, t);
		return;
	case TREND_STEADY:
		str_add(out, "steady");
		if (t->swing_bytes > TREND_FLOOR_BYTES)
			str_printf(out, ", within %s", format_bytes(t->swing_bytes).text);
		break;
	case TREND_GROWING:
	case TREND_SHRINKING:
		add_moving(out, t);
		break;
	case TREND_LEVELLED:
		str_printf(out, "levelled off after %s%s, for %s now",
			   t->levelled_bytes < 0 ? "falling by " : "",
			   magnitude(t->levelled_bytes).text, rounded(t->level_span_ns).text);
		break;
	}
	if (t->confidence != TREND_HIGH)
		str_printf(out, ", %s confidence", trend_confidence_word(t->confidence));
}

void top_sentence(struct str *out, const struct top_row *row)
{
	if (row->state == TOP_RUNNING) {
		add_verdict(out, &row->trend);
		return;
	}
	str_add(out,
		row->state == TOP_REPLACED ? "ended, its pid is another process's now" : "ended");
	if (row->samples < 2)
		return;
	str_printf(out, " after %s", rounded(row->last_ns - row->first_ns).text);
	if (row->trend.kind != TREND_TOO_EARLY) {
		str_add(out, "; was ");
		add_verdict(out, &row->trend);
	}
}
