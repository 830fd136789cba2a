/* target/mode, wire/sample, model: modes as words, and what a sample stands for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "model/snapshot.h"
#include "target/mode.h"
#include "wire/sample.h"

static void words_are_read_and_written(void **state)
{
	static const struct {
		const char *text, *again;
		enum wire_mode kind;
		uint32_t bits;
	} good[] = {
		{"lite", "lite", WIRE_MODE_LITE, 0},
		{"off", "off", WIRE_MODE_OFF, 0},
		{"full", "full", WIRE_MODE_FULL, 0},
		{"sample=1", "sample=1", WIRE_MODE_SAMPLE, 0},
		{"sample=512", "sample=512", WIRE_MODE_SAMPLE, 9},
		{"sample=1K", "sample=1K", WIRE_MODE_SAMPLE, 10},
		{"sample=512K", "sample=512K", WIRE_MODE_SAMPLE, 19},
		{"sample=0.5MiB", "sample=512K", WIRE_MODE_SAMPLE, 19},
		{"sample=700000", "sample=512K", WIRE_MODE_SAMPLE, 19},
		{"sample=750000", "sample=1M", WIRE_MODE_SAMPLE, 20},
		{"sample=1G", "sample=1G", WIRE_MODE_SAMPLE, 30},
	};
	struct error e = {0};
	struct mode m;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(mode_parse(good[i].text, &m, &e), 0);
		assert_int_equal(m.kind, good[i].kind);
		assert_int_equal(m.bits, good[i].bits);
		assert_string_equal(mode_text(m).text, good[i].again);
	}
}

static void other_words_are_refused(void **state)
{
	static const char *const bad[] = {
		"",	      "Lite",	      "lite ",	   "on",
		"sample",     "sample=",      "sample=0",  "sample=-1",
		"sample=x",   "sample=1025M", "sample=2G", "sample=16E",
		"sample=1K ", "sample==1",    "off=1",	   "sample=99999999999999999999",
	};
	struct mode m;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error e = {0};

		if (mode_parse(bad[i], &m, &e) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(e.status, EXIT_USAGE);
		assert_non_null(strstr(e.message, bad[i]));
	}
}

static double truth(double size, unsigned int bits)
{
	return 1 / -expm1(-size / ldexp(1, (int)bits));
}

/* Beside the unit of a weight, 2^-16, the weights are exact to eight digits. */
static void weights_are_those_of_the_formula(void **state)
{
	(void)state;
	for (unsigned int bits = 0; bits <= WIRE_SAMPLE_BITS_MAX; bits++) {
		for (double at = 1; at < ldexp(100, (int)bits) + 100; at *= 1.01) {
			uint64_t size = (uint64_t)at;
			double want = truth((double)size, bits);
			double got =
				ldexp((double)wire_sample_weight(size, bits), -WIRE_WEIGHT_SHIFT);

			if (fabs(got - want) > ldexp(0.51, -WIRE_WEIGHT_SHIFT) + want * 3e-8)
				fail_msg("size %.0f, 2^%u: %.9f instead of %.9f", (double)size,
					 bits, got, want);
		}
	}
}

static void extremes_have_weights(void **state)
{
	(void)state;
	assert_int_equal(wire_sample_weight(0, 10), wire_sample_weight(1, 10));
	assert_int_equal(wire_sample_weight(UINT64_MAX, 0), WIRE_WEIGHT_ONE);
	assert_int_equal(wire_sample_weight(UINT64_MAX, 30), WIRE_WEIGHT_ONE);
	assert_int_equal(wire_sample_bytes(1ull << 47, WIRE_WEIGHT_ONE), 1ull << 47);
	assert_int_equal(wire_sample_bytes(0, WIRE_WEIGHT_ONE), 0);
	/* A block of 1 byte among 2^30: as many as that, and a half. */
	assert_int_equal(wire_sample_weight(1, 30) >> WIRE_WEIGHT_SHIFT, 1u << 30);
}

static void blocks_of_a_snapshot_have_the_same(void **state)
{
	struct block b = {.size = 100};

	(void)state;
	assert_true(block_weight(&b) == 1);
	for (uint8_t sampled = 1; sampled <= SAMPLED_MAX; sampled++) {
		b.sampled = sampled;
		assert_true(fabs(block_weight(&b) - truth(100, sampled - 1u)) <
			    1e-9 * block_weight(&b));
	}
	b = (struct block){.size = 0, .sampled = 11};
	assert_true(block_weight(&b) > 1024 && block_weight(&b) < 1025);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_read_and_written),
		cmocka_unit_test(other_words_are_refused),
		cmocka_unit_test(weights_are_those_of_the_formula),
		cmocka_unit_test(extremes_have_weights),
		cmocka_unit_test(blocks_of_a_snapshot_have_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
