/* Least squares, Theil–Sen and Kendall over at most a few hundred points. */
#include "model/fit.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

/*
 * Below six points Kendall's test cannot reach 5 %; there every pair has to agree. From six on, the
 * usual normal approximation.
 */
#define TEST_POINTS_MIN 6
#define TEST_Z 1.96

static void swap(double *a, double *b)
{
	double c = *a;

	*a = *b;
	*b = c;
}

/* Quickselect with the middle element as pivot: ordered and constant inputs are the common ones. */
double fit_median(double *values, size_t nr)
{
	size_t low = 0, high, wanted;

	if (!nr)
		return 0;
	high = nr - 1;
	wanted = (nr - 1) / 2;
	while (low < high) {
		double pivot = values[low + (high - low) / 2];
		size_t i = low, j = high;

		for (;;) {
			while (values[i] < pivot)
				i++;
			while (values[j] > pivot)
				j--;
			if (i >= j)
				break;
			swap(&values[i++], &values[j--]);
		}
		if (wanted <= j)
			high = j;
		else
			low = j + 1;
	}
	return values[wanted];
}

static void least_squares(const double *t, const double *y, size_t nr, struct fit *f)
{
	double mean_t = 0, mean_y = 0, tt = 0, ty = 0, yy = 0;

	for (size_t i = 0; i < nr; i++) {
		mean_t += t[i] / (double)nr;
		mean_y += y[i] / (double)nr;
	}
	for (size_t i = 0; i < nr; i++) {
		tt += (t[i] - mean_t) * (t[i] - mean_t);
		ty += (t[i] - mean_t) * (y[i] - mean_y);
		yy += (y[i] - mean_y) * (y[i] - mean_y);
	}
	f->slope = tt > 0 ? ty / tt : 0;
	f->r2 = 1;
	if (tt > 0 && yy > 0)
		f->r2 = fmin(ty * ty / (tt * yy), 1);
}

/* n (n - 1) (2n + 5): the part of Kendall's variance that n points, or n equal ones, stand for. */
static double variance_part(double n)
{
	return n * (n - 1) * (2 * n + 5);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* score: pairs that rise minus pairs that fall. */
static bool is_directed(const double *y, size_t nr, double score)
{
	double n = (double)nr, variance = variance_part(n), *sorted;

	if (nr < TEST_POINTS_MIN)
		return nr >= 3 && fabs(score) >= n * (n - 1) / 2;
	sorted = mem_alloc_array(nr, sizeof(*sorted));
	for (size_t i = 0; i < nr; i++)
		sorted[i] = y[i];
	qsort(sorted, nr, sizeof(*sorted), by_value);
	for (size_t i = 0, first = 0; i < nr; i++) {
		if (i + 1 < nr && sorted[i + 1] <= sorted[first])
			continue;
		variance -= variance_part((double)(i + 1 - first));
		first = i + 1;
	}
	free(sorted);
	return variance > 0 && (fabs(score) - 1) / sqrt(variance / 18) >= TEST_Z;
}

static void theil_sen(const double *t, const double *y, size_t nr, struct fit *f)
{
	double *work = mem_alloc_array(nr * (nr - 1) / 2, sizeof(*work));
	double score = 0, intercept;
	size_t pairs = 0;

	for (size_t i = 0; i < nr; i++) {
		for (size_t j = i + 1; j < nr; j++) {
			if (t[j] <= t[i])
				continue;
			work[pairs++] = (y[j] - y[i]) / (t[j] - t[i]);
			score += (y[j] > y[i]) - (y[j] < y[i]);
		}
	}
	f->robust_slope = fit_median(work, pairs);
	f->directed = is_directed(y, nr, score);
	/* Room for nr values is there: two points have one pair, so only then is it too small. */
	if (nr > 2) {
		for (size_t i = 0; i < nr; i++)
			work[i] = y[i] - f->robust_slope * t[i];
		intercept = fit_median(work, nr);
		for (size_t i = 0; i < nr; i++)
			work[i] = fabs(y[i] - f->robust_slope * t[i] - intercept);
		f->noise = fit_median(work, nr);
	}
	free(work);
}

void fit_line(const double *t, const double *y, size_t nr, struct fit *ret)
{
	assert(nr <= FIT_POINTS_MAX);
	*ret = (struct fit){.r2 = 1};
	if (nr < 2)
		return;
	least_squares(t, y, nr, ret);
	theil_sen(t, y, nr, ret);
}
