/* See top_series.h. */
#include "cmd/top_series.h"

#include <stdlib.h>

#include "base/mem.h"

#define POINTS_MAX 512

/* Keeps first and last, drops every other one between. */
static void thin(struct top_series *s)
{
	size_t kept = 1;

	for (size_t i = 2; i < s->nr_points; i++) {
		if (i % 2 == 0 || i + 1 == s->nr_points)
			s->points[kept++] = s->points[i];
	}
	s->nr_points = kept;
}

void top_series_add(struct top_series *s, uint64_t t_ns, uint64_t size)
{
	s->samples++;
	if (s->nr_points == POINTS_MAX)
		thin(s);
	ARRAY_PUSH(s->points, s->nr_points, s->cap_points,
		   ((struct trend_point){.t_ns = t_ns, .bytes = size}));
}

void top_series_judge(struct top_series *s, uint64_t floor)
{
	trend_compute(s->points, s->nr_points, floor, &s->trend);
	s->trend.samples = s->samples;
}

void top_series_release(struct top_series *s)
{
	free(s->points);
	*s = (struct top_series){0};
}
