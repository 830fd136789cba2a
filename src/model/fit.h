/*
 * A straight line through points, in two ways: least squares (with R²), and Theil–Sen, whose slope
 * is the median of the slopes between all pairs of points and does not mind a few wild ones.
 * Kendall's test says whether there is any direction at all.
 */
#ifndef SEEP_MODEL_FIT_H
#define SEEP_MODEL_FIT_H

#include <stdbool.h>
#include <stddef.h>

/* More points than this are to be thinned first: time and memory grow with the square. */
#define FIT_POINTS_MAX 500

struct fit {
	double slope;	     /* least squares, y per unit of t */
	double r2;	     /* 0 … 1; 1 for points that all have the same y */
	double robust_slope; /* Theil–Sen */
	double noise;	     /* median distance of the points from the robust line */
	bool directed;	     /* rises or falls more consistently than chance (Kendall, 5 %) */
};

/* t ascending, nr at most FIT_POINTS_MAX. Fewer than two different t: slopes 0, not directed. */
void fit_line(const double *t, const double *y, size_t nr, struct fit *ret);

/* Median of values, which are reordered; the lower one of two middle ones. 0 for none. */
double fit_median(double *values, size_t nr);

#endif
