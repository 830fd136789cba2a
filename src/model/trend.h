/*
 * What a series of sizes over time does: grows, levelled off, shrinks, stays, or too early to say.
 *
 * Pure functions on numbers. The verdict is a heuristic, so it carries a confidence; the figures it
 * stands on (slopes, fit, delta) are always given beside it. How it is reached:
 *
 *   1. fewer than three samples, or no time between them: too early.
 *   2. all within `floor` bytes: steady.
 *   3. the last third or more lies on one level, and the beginning did not: levelled off; unless
 *      that end itself still rises or falls as steadily as before: then it goes by it alone.
 *   4. the whole series, or its last half, quarter or eighth, has a direction: growing or
 *      shrinking. The shorter ones count only when they end higher (lower) than anything before
 *      them: a ramp of a sawtooth is no growth.
 *   5. it has left its old range just now: too early.
 *   6. otherwise steady, with a swing.
 */
#ifndef SEEP_MODEL_TREND_H
#define SEEP_MODEL_TREND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trend_point {
	uint64_t t_ns;
	uint64_t bytes; /* or whatever else is counted; so below */
};

enum trend_kind {
	TREND_TOO_EARLY = 0,
	TREND_STEADY,
	TREND_GROWING,
	TREND_LEVELLED,
	TREND_SHRINKING,
};

enum trend_confidence {
	TREND_LOW = 0,
	TREND_FAIR,
	TREND_HIGH,
};

/* Smaller changes are the kernel's bookkeeping, not the program's: it counts in batches. */
#define TREND_FLOOR_BYTES (32u << 10)

struct trend {
	enum trend_kind kind;
	enum trend_confidence confidence;
	size_t samples;
	uint64_t span_ns;     /* first to last sample */
	int64_t delta_bytes;  /* last - first */
	uint64_t swing_bytes; /* largest - smallest */
	double slope, r2;     /* least squares over all samples, bytes a second */
	double robust_slope;  /* Theil–Sen over all samples, bytes a second */
	/* Growing, shrinking: what it does now. rate is robust, rate_r2 the least-squares fit. */
	double rate, rate_r2;
	uint64_t rate_span_ns; /* over the last so many ns */
	bool slowing;	       /* the later half is at most half as steep as the earlier one */
	/* Levelled off: level - first sample, and how long it has been there. */
	int64_t levelled_bytes;
	uint64_t level_span_ns;
};

/* points ascending by time, as many as you like (more than a few hundred are thinned evenly). */
void trend_compute(const struct trend_point *points, size_t nr, uint64_t floor_bytes,
		   struct trend *ret);

/* "growing", "levelled", "shrinking", "steady", "too-early": for machines. */
const char *trend_kind_word(enum trend_kind kind);
/* "low", "fair", "high" */
const char *trend_confidence_word(enum trend_confidence confidence);

#endif
