/* The verdict on made-up series whose truth is known by construction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "model/fit.h"
#include "model/trend.h"

#define S 1000000000ull
#define MIB (1u << 20)
#define KIB 1024u
#define POINTS 2000

static struct trend_point points[POINTS];

static double random_state;

/* 0 … 1, the same every time: a plain linear congruential generator, exact in a double. */
static double next_random(void)
{
	random_state = fmod(random_state * 16807, 2147483647);
	return random_state / 2147483647;
}

static int setup(void **state)
{
	(void)state;
	memset(points, 0, sizeof(points));
	random_state = 20240229;
	return 0;
}

/* Sample i at i seconds. */
static void set(size_t i, double bytes)
{
	points[i].t_ns = 77 * S + i * S;
	points[i].bytes = (uint64_t)llround(bytes);
}

static struct trend judge(size_t nr)
{
	struct trend t;

	trend_compute(points, nr, TREND_FLOOR_BYTES, &t);
	assert_int_equal(t.samples, nr);
	return t;
}

static void test_too_few(void **state)
{
	struct trend t;

	(void)state;
	t = judge(0);
	assert_int_equal(t.kind, TREND_TOO_EARLY);
	assert_int_equal(t.delta_bytes, 0);
	set(0, 5 * MIB);
	t = judge(1);
	assert_int_equal(t.kind, TREND_TOO_EARLY);
	assert_int_equal(t.span_ns, 0);
	set(1, 9 * MIB);
	t = judge(2);
	assert_int_equal(t.kind, TREND_TOO_EARLY);
	assert_int_equal(t.delta_bytes, 4 * MIB);
	assert_int_equal(t.span_ns, S);
	assert_float_equal(t.slope, 4.0 * MIB, 1);
}

static void test_no_time_between(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		points[i].t_ns = 9 * S;
		points[i].bytes = i * MIB;
	}
	t = judge(5);
	assert_int_equal(t.kind, TREND_TOO_EARLY);
	assert_float_equal(t.slope, 0, 0);
	assert_float_equal(t.robust_slope, 0, 0);
}

static void test_constant(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 10; i++)
		set(i, 123 * MIB);
	t = judge(10);
	assert_int_equal(t.kind, TREND_STEADY);
	assert_int_equal(t.confidence, TREND_HIGH);
	assert_int_equal(t.swing_bytes, 0);
	assert_int_equal(t.delta_bytes, 0);
	assert_float_equal(t.slope, 0, 0);
	assert_int_equal(judge(3).confidence, TREND_LOW);
}

/* Eleven samples of a leak of 7632 bytes every 10 ms: 763,200 bytes a second exactly. */
static void test_linear(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i <= 10; i++)
		set(i, 4 * MIB + 763200.0 * (double)i);
	t = judge(11);
	assert_int_equal(t.kind, TREND_GROWING);
	assert_int_equal(t.confidence, TREND_HIGH);
	assert_float_equal(t.slope, 763200, 1e-3);
	assert_float_equal(t.robust_slope, 763200, 1e-3);
	assert_float_equal(t.rate, 763200, 1e-3);
	assert_float_equal(t.r2, 1, 1e-9);
	assert_float_equal(t.rate_r2, 1, 1e-9);
	assert_int_equal(t.rate_span_ns, 10 * S);
	assert_int_equal(t.delta_bytes, 7632000);
	assert_false(t.slowing);
}

static void test_three_points_are_a_guess(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		set(i, MIB * (double)(1 + i));
	t = judge(3);
	assert_int_equal(t.kind, TREND_GROWING);
	assert_int_equal(t.confidence, TREND_LOW);
	assert_float_equal(t.rate, MIB, 1e-6);
}

static void test_shrinking(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 12; i++)
		set(i, 100.0 * MIB - 2.0 * MIB * (double)i);
	t = judge(12);
	assert_int_equal(t.kind, TREND_SHRINKING);
	assert_float_equal(t.rate, -2.0 * MIB, 1e-3);
	assert_int_equal(t.delta_bytes, -22 * (int64_t)MIB);
	assert_false(t.slowing);
}

/* One sample is wildly off: least squares is thrown, Theil–Sen is not. */
static void test_outlier(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 21; i++)
		set(i, 50.0 * MIB + 100.0 * KIB * (double)i);
	points[19].bytes += 40 * MIB;
	t = judge(21);
	assert_int_equal(t.kind, TREND_GROWING);
	assert_float_equal(t.rate, 100 * KIB, 1);
	assert_true(t.slope > 200 * KIB);
	assert_true(t.r2 < 0.5);
	assert_int_not_equal(t.confidence, TREND_HIGH);
}

/* Five samples low, eight on a level 3 MiB higher. */
static void test_step(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 13; i++)
		set(i, i < 5 ? 10 * MIB : 13 * MIB);
	t = judge(13);
	assert_int_equal(t.kind, TREND_LEVELLED);
	assert_int_equal(t.levelled_bytes, 3 * MIB);
	assert_int_equal(t.level_span_ns, 7 * S);
	assert_int_equal(t.confidence, TREND_HIGH);
}

static void test_step_down(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 13; i++)
		set(i, i < 5 ? 13 * MIB : 10 * MIB);
	t = judge(13);
	assert_int_equal(t.kind, TREND_LEVELLED);
	assert_int_equal(t.levelled_bytes, -3 * (int64_t)MIB);
}

/* Wherever a jump falls, it is no growth: too early while it is young, then levelled. */
static void test_jump_anywhere(void **state)
{
	(void)state;
	for (size_t nr = 3; nr <= 64; nr++) {
		for (size_t at = 1; at < nr; at++) {
			enum trend_kind kind;

			for (size_t i = 0; i < nr; i++)
				set(i, i < at ? 10 * MIB : 30 * MIB);
			kind = judge(nr).kind;
			if (nr - at >= 3 && 3 * (nr - 1 - at) >= nr - 1)
				assert_int_equal(kind, TREND_LEVELLED);
			else
				assert_int_equal(kind, TREND_TOO_EARLY);
		}
	}
}

/* 20 MiB (1 - exp(-t / 4 s)) over 20 s: a cache that fills; 99.3 % of the level is reached. */
static void test_saturating(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i <= 20; i++)
		set(i, 8.0 * MIB + 20.0 * MIB * (1 - exp(-(double)i / 4)));
	t = judge(21);
	assert_int_equal(t.kind, TREND_LEVELLED);
	assert_true(t.levelled_bytes > 19 * MIB && t.levelled_bytes < 20 * MIB);
	/* Seen over its first 5 s it still grows, and it is said that it slows down. */
	t = judge(6);
	assert_int_equal(t.kind, TREND_GROWING);
	assert_true(t.slowing);
}

/* 100 MiB at start-up, then 200 KiB/s for ever: the start must not hide the leak. */
static void test_leak_after_warm_up(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 30; i++)
		set(i, i < 3 ? 30.0 * MIB * (double)i : 100.0 * MIB + 200.0 * KIB * (double)i);
	t = judge(30);
	assert_int_equal(t.kind, TREND_GROWING);
	assert_float_equal(t.rate, 200 * KIB, 1);
	assert_int_equal(t.rate_span_ns, 26 * S);
}

/* Quiet for a long time, then a leak: what it does now counts. */
static void test_leak_begins_late(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 80; i++)
		set(i, 50.0 * MIB + (i < 68 ? 0 : 500.0 * KIB * (double)(i - 68)));
	t = judge(80);
	assert_int_equal(t.kind, TREND_GROWING);
	assert_float_equal(t.rate, 500 * KIB, 1);
	assert_int_equal(t.rate_span_ns, 9 * S);
}

static void test_sawtooth(void **state)
{
	struct trend t;

	(void)state;
	/* Whatever phase it ends in, a ramp is not growth. */
	for (size_t nr = 30; nr <= 60; nr++) {
		for (size_t i = 0; i < nr; i++)
			set(i, 40.0 * MIB + (double)(i % 10) * MIB);
		t = judge(nr);
		assert_int_equal(t.kind, TREND_STEADY);
		assert_int_equal(t.swing_bytes, 9 * MIB);
	}
}

/* Collected every 10 s, but each time 1 MiB more stays: 102.4 KiB/s under a swing of 5 MiB. */
static void test_rising_sawtooth(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 120; i++)
		set(i, 40.0 * MIB + (double)(i / 10) * MIB + 0.5 * MIB * (double)(i % 10));
	t = judge(120);
	assert_int_equal(t.kind, TREND_GROWING);
	assert_true(t.rate > 0.08 * MIB && t.rate < 0.14 * MIB);
}

static void test_noise(void **state)
{
	size_t wrong = 0;
	struct trend t;

	(void)state;
	for (size_t round = 0; round < 200; round++) {
		for (size_t i = 0; i < 60; i++)
			set(i, 64.0 * MIB + 2.0 * MIB * next_random());
		t = judge(60);
		wrong += t.kind != TREND_STEADY;
	}
	/* No direction is in it; a test at 5 % may be fooled now and then, 3 % of all at most. */
	assert_true(wrong <= 6);
}

/* 300 KiB/s under noise of half a MiB. */
static void test_linear_with_noise(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 60; i++)
		set(i, 64.0 * MIB + 300.0 * KIB * (double)i + 0.5 * MIB * next_random());
	t = judge(60);
	assert_int_equal(t.kind, TREND_GROWING);
	assert_float_equal(t.rate, 300 * KIB, 10 * KIB);
	assert_true(t.r2 > 0.97);
	assert_int_equal(t.confidence, TREND_HIGH);
}

/* An allocator that takes memory in pieces: four equal samples, then 1 MiB more. */
static void test_stairs(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 40; i++)
		set(i, 10.0 * MIB + MIB * (double)(i / 4));
	t = judge(40);
	assert_int_equal(t.kind, TREND_GROWING);
	assert_float_equal(t.rate, MIB / 4.0, 10 * KIB);
}

/* Below the floor nothing is said, however straight the line is. */
static void test_floor(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 9; i++)
		set(i, 10.0 * MIB + 4096.0 * (double)i);
	assert_int_equal(judge(9).kind, TREND_STEADY);
	trend_compute(points, 9, 4096, &t);
	assert_int_equal(t.kind, TREND_GROWING);
}

static void test_many_points_are_thinned(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < POINTS; i++)
		set(i, 1e9 + 12345.0 * (double)i);
	t = judge(POINTS);
	assert_int_equal(t.kind, TREND_GROWING);
	assert_float_equal(t.rate, 12345, 1e-3);
	assert_int_equal(t.span_ns, (POINTS - 1) * S);
}

static void test_huge_values(void **state)
{
	struct trend t;

	(void)state;
	for (size_t i = 0; i < 10; i++) {
		points[i].t_ns = i * S;
		points[i].bytes = i % 2 ? UINT64_MAX : 0;
	}
	t = judge(10);
	assert_int_equal(t.swing_bytes, UINT64_MAX);
	assert_true(isfinite(t.slope) && isfinite(t.r2));
}

/* y = 1, 2, 2, 5 at t = 0 … 3: slope 1.2, R² 0.8; pairwise slopes 1 0 3 1/2 3/2 4/3. */
static void test_fit_by_hand(void **state)
{
	const double t[] = {0, 1, 2, 3}, y[] = {1, 2, 2, 5};
	struct fit f;

	(void)state;
	fit_line(t, y, 4, &f);
	assert_float_equal(f.slope, 1.2, 1e-12);
	/* Sxy = 6, Sxx = 5, Syy = 9: 36 / 45. */
	assert_float_equal(f.r2, 0.8, 1e-12);
	/* Sorted 0 1/2 1 4/3 3/2 3; the lower middle one. */
	assert_float_equal(f.robust_slope, 1, 1e-12);
	/* y - t = 1 1 0 2, around 1: 0 0 1 1. */
	assert_float_equal(f.noise, 0, 1e-12);
	assert_false(f.directed);
}

static void test_median(void **state)
{
	double odd[] = {5, 1, 4, 2, 3}, even[] = {4, 1, 3, 2}, equal[] = {7, 7, 7}, one[] = {9};

	(void)state;
	assert_float_equal(fit_median(odd, 5), 3, 0);
	assert_float_equal(fit_median(even, 4), 2, 0);
	assert_float_equal(fit_median(equal, 3), 7, 0);
	assert_float_equal(fit_median(one, 1), 9, 0);
	assert_float_equal(fit_median(NULL, 0), 0, 0);
}

static void test_median_against_sorting(void **state)
{
	(void)state;
	for (size_t nr = 1; nr <= 200; nr++) {
		double values[200], copy[200], median;
		size_t below = 0, equal = 0;

		for (size_t i = 0; i < nr; i++)
			values[i] = copy[i] = floor(next_random() * 50);
		median = fit_median(values, nr);
		for (size_t i = 0; i < nr; i++) {
			below += copy[i] < median;
			equal += fabs(copy[i] - median) <= 0;
		}
		assert_true(below <= (nr - 1) / 2 && below + equal > (nr - 1) / 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_too_few, setup),
		cmocka_unit_test_setup(test_no_time_between, setup),
		cmocka_unit_test_setup(test_constant, setup),
		cmocka_unit_test_setup(test_linear, setup),
		cmocka_unit_test_setup(test_three_points_are_a_guess, setup),
		cmocka_unit_test_setup(test_shrinking, setup),
		cmocka_unit_test_setup(test_outlier, setup),
		cmocka_unit_test_setup(test_step, setup),
		cmocka_unit_test_setup(test_step_down, setup),
		cmocka_unit_test_setup(test_jump_anywhere, setup),
		cmocka_unit_test_setup(test_saturating, setup),
		cmocka_unit_test_setup(test_leak_after_warm_up, setup),
		cmocka_unit_test_setup(test_leak_begins_late, setup),
		cmocka_unit_test_setup(test_sawtooth, setup),
		cmocka_unit_test_setup(test_rising_sawtooth, setup),
		cmocka_unit_test_setup(test_noise, setup),
		cmocka_unit_test_setup(test_linear_with_noise, setup),
		cmocka_unit_test_setup(test_stairs, setup),
		cmocka_unit_test_setup(test_floor, setup),
		cmocka_unit_test_setup(test_many_points_are_thinned, setup),
		cmocka_unit_test_setup(test_huge_values, setup),
		cmocka_unit_test_setup(test_fit_by_hand, setup),
		cmocka_unit_test_setup(test_median, setup),
		cmocka_unit_test_setup(test_median_against_sorting, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
