/* From sizes over time to a verdict; trend.h tells the steps, fit.c does the arithmetic. */
#include "model/trend.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/fit.h"

#define POINTS_MAX 256	  /* after thinning; at most FIT_POINTS_MAX */
#define TAIL_POINTS_MIN 6 /* fewer have no direction of their own within a longer series */
#define LEVEL_POINTS_MIN 3
#define LEVEL_SHARE (1.0 / 3) /* of the time */
#define LEVEL_TOLERANCE 0.05  /* of the rise */
#define GOOD_FIT 0.9	      /* R² at which a stretch is taken for a line */
#define CLEAR_OF_NOISE 3.0    /* change over the stretch, in medians of the residuals */
#define CLEAR_OF_JITTER 4.0   /* distance of one sample, in median steps */

static_assert(POINTS_MAX <= FIT_POINTS_MAX, "fit_line() takes no more");

/* The thinned series: seconds since the first sample, bytes. */
struct series {
	double t[POINTS_MAX], y[POINTS_MAX];
	size_t nr;
	double floor;
};

static void series_fill(struct series *s, const struct trend_point *points, size_t nr)
{
	s->nr = nr < POINTS_MAX ? nr : POINTS_MAX;
	for (size_t i = 0; i < s->nr; i++) {
		size_t from = s->nr < 2 ? 0 : i * (nr - 1) / (s->nr - 1);

		s->t[i] = (double)(points[from].t_ns - points[0].t_ns) / 1e9;
		s->y[i] = (double)points[from].bytes;
	}
}

static double series_span(const struct series *s, size_t from)
{
	return s->t[s->nr - 1] - s->t[from];
}

/* Does the stretch from `from` to the end rise or fall, clear of its noise and the floor? */
static bool stretch_moves(const struct series *s, size_t from, struct fit *ret)
{
	double change;

	fit_line(s->t + from, s->y + from, s->nr - from, ret);
	change = fabs(ret->robust_slope) * series_span(s, from);
	return ret->directed && change > s->floor && change > CLEAR_OF_NOISE * ret->noise;
}

/* How much steeper a stretch's later half is than the earlier one; 1 when that cannot be said. */
static double steepening(const struct series *s, size_t from)
{
	size_t half = (s->nr - from) / 2;
	struct fit early, late;

	if (half < LEVEL_POINTS_MIN)
		return 1;
	fit_line(s->t + from, s->y + from, half, &early);
	fit_line(s->t + from + half, s->y + from + half, s->nr - from - half, &late);
	return fabs(early.slope) > 0 ? late.slope / early.slope : 1;
}

static enum trend_confidence confidence(size_t samples, bool good, bool middling)
{
	if (samples >= 8 && good)
		return TREND_HIGH;
	return samples >= 5 && middling ? TREND_FAIR : TREND_LOW;
}

static void say_moving(const struct series *s, size_t from, const struct fit *f, struct trend *ret)
{
	ret->kind = f->robust_slope > 0 ? TREND_GROWING : TREND_SHRINKING;
	ret->rate = f->robust_slope;
	ret->rate_r2 = f->r2;
	ret->rate_span_ns = (uint64_t)llround(series_span(s, from) * 1e9);
	ret->slowing = steepening(s, from) <= 0.5;
	ret->confidence = confidence(s->nr - from, f->r2 >= 0.95, f->r2 >= 0.8);
}

/* Median step between neighbours, apart from the median drift: how much one sample jitters. */
static double jitter(const struct series *s)
{
	double steps[POINTS_MAX], drift;
	size_t nr = s->nr - 1;

	for (size_t i = 0; i < nr; i++)
		steps[i] = s->y[i + 1] - s->y[i];
	drift = fit_median(steps, nr);
	for (size_t i = 0; i < nr; i++)
		steps[i] = fabs(s->y[i + 1] - s->y[i] - drift);
	return fit_median(steps, nr);
}

/* Step 3: is the end on one level that the beginning was not on? */
static bool judge_level(const struct series *s, struct trend *ret)
{
	double last = s->y[s->nr - 1], rise = fabs(last - s->y[0]), level, *end;
	double tolerance =
		fmax(fmax(s->floor, LEVEL_TOLERANCE * rise), CLEAR_OF_JITTER * jitter(s));
	size_t from = s->nr;
	struct fit f;

	while (from > 0 && fabs(s->y[from - 1] - last) <= tolerance)
		from--;
	if (from == 0 || s->nr - from < LEVEL_POINTS_MIN ||
	    series_span(s, from) < LEVEL_SHARE * series_span(s, 0))
		return false;
	end = mem_alloc_array(s->nr - from, sizeof(*end));
	memcpy(end, s->y + from, (s->nr - from) * sizeof(*end));
	level = fit_median(end, s->nr - from);
	free(end);
	if (fabs(level - s->y[0]) <= 2 * tolerance)
		return false;
	if (s->nr - from >= TAIL_POINTS_MIN && stretch_moves(s, from, &f) && f.r2 >= GOOD_FIT &&
	    steepening(s, from) > 0.7) {
		say_moving(s, from, &f, ret);
		return true;
	}
	ret->kind = TREND_LEVELLED;
	ret->levelled_bytes = (int64_t)(level - s->y[0]);
	ret->level_span_ns = (uint64_t)llround(series_span(s, from) * 1e9);
	ret->confidence =
		confidence(s->nr - from, series_span(s, from) >= series_span(s, 0) / 2, true);
	return true;
}

/* Smallest and largest value before index `end`. */
static void range_before(const struct series *s, size_t end, double *ret_low, double *ret_high)
{
	*ret_low = *ret_high = s->y[0];
	for (size_t i = 1; i < end; i++) {
		*ret_low = fmin(*ret_low, s->y[i]);
		*ret_high = fmax(*ret_high, s->y[i]);
	}
}

/* Does the end lie clearly outside of what was there before `from`? */
static bool leaves_range(const struct series *s, size_t from)
{
	double low, high, last = s->y[s->nr - 1];
	double margin = fmax(s->floor, CLEAR_OF_JITTER * jitter(s));

	range_before(s, from, &low, &high);
	return last > high + margin || last < low - margin;
}

/* Do the first and the last two thirds both go that way? A single jump does not. */
static bool moves_throughout(const struct series *s, double slope)
{
	size_t third = s->nr / 3;
	struct fit first, last;

	fit_line(s->t, s->y, s->nr - third, &first);
	fit_line(s->t + third, s->y + third, s->nr - third, &last);
	return first.robust_slope * slope > 0 && last.robust_slope * slope > 0;
}

/* Step 4: the longest stretch up to now that is a line; else the whole, if it moves at all. */
static bool judge_direction(const struct series *s, struct trend *ret)
{
	struct fit whole, part;
	bool moves = stretch_moves(s, 0, &whole);

	if (moves && whole.r2 >= GOOD_FIT) {
		say_moving(s, 0, &whole, ret);
		return true;
	}
	for (size_t share = 2; share <= 8; share *= 2) {
		size_t from = s->nr - s->nr / share;

		if (s->nr - from < TAIL_POINTS_MIN)
			break;
		if (stretch_moves(s, from, &part) && part.r2 >= GOOD_FIT && leaves_range(s, from)) {
			say_moving(s, from, &part, ret);
			return true;
		}
	}
	if (!moves || !moves_throughout(s, whole.robust_slope))
		return false;
	say_moving(s, 0, &whole, ret);
	return true;
}

static void judge(const struct series *s, struct trend *ret)
{
	if (ret->swing_bytes > (uint64_t)s->floor) {
		if (judge_level(s, ret) || judge_direction(s, ret))
			return;
		/* At least as much of the end as step 3 asks for, so that no jump falls between. */
		if (leaves_range(s, s->nr - s->nr / 3 - 1))
			return;
	}
	ret->kind = TREND_STEADY;
	ret->confidence = confidence(s->nr, true, true);
}

void trend_compute(const struct trend_point *points, size_t nr, uint64_t floor_bytes,
		   struct trend *ret)
{
	uint64_t low = UINT64_MAX, high = 0;
	struct series s = {.floor = (double)floor_bytes};
	struct fit f;

	*ret = (struct trend){.kind = TREND_TOO_EARLY, .samples = nr, .r2 = 1};
	if (!nr)
		return;
	for (size_t i = 0; i < nr; i++) {
		low = points[i].bytes < low ? points[i].bytes : low;
		high = points[i].bytes > high ? points[i].bytes : high;
	}
	ret->swing_bytes = high - low;
	ret->span_ns = points[nr - 1].t_ns - points[0].t_ns;
	ret->delta_bytes = (int64_t)(points[nr - 1].bytes - points[0].bytes);
	series_fill(&s, points, nr);
	/* A constant series needs no pairs; it is what most processes are, most of the time. */
	if (ret->swing_bytes) {
		fit_line(s.t, s.y, s.nr, &f);
		ret->slope = f.slope;
		ret->r2 = f.r2;
		ret->robust_slope = f.robust_slope;
	}
	if (nr >= 3 && ret->span_ns)
		judge(&s, ret);
}

const char *trend_kind_word(enum trend_kind kind)
{
	static const char *const words[] = {
		[TREND_TOO_EARLY] = "too-early", [TREND_STEADY] = "steady",
		[TREND_GROWING] = "growing",	 [TREND_LEVELLED] = "levelled",
		[TREND_SHRINKING] = "shrinking",
	};

	return words[kind];
}

const char *trend_confidence_word(enum trend_confidence c)
{
	static const char *const words[] = {
		[TREND_LOW] = "low",
		[TREND_FAIR] = "fair",
		[TREND_HIGH] = "high",
	};

	return words[c];
}
