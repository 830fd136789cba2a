/* A size over time, as `seep top` samples it, and what it does. */
#ifndef SEEP_CMD_TOP_SERIES_H
#define SEEP_CMD_TOP_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "model/trend.h"

struct top_series {
	size_t samples; /* ever taken; points holds fewer when thinned */
	struct trend_point *points;
	size_t nr_points, cap_points;
	struct trend trend; /* by top_series_judge() */
};

/* Older points are thinned, so that an hour is seen as well as a minute. */
void top_series_add(struct top_series *s, uint64_t t_ns, uint64_t size);
/* floor: changes below it are none. */
void top_series_judge(struct top_series *s, uint64_t floor);
void top_series_release(struct top_series *s);

#endif
