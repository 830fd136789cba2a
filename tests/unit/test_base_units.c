/* base/units: numbers for people, both ways. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/units.h"

static void bytes_read_well(void **state)
{
	(void)state;
	assert_string_equal(format_bytes(0).text, "0 B");
	assert_string_equal(format_bytes(1023).text, "1023 B");
	assert_string_equal(format_bytes(1024).text, "1.0 KiB");
	assert_string_equal(format_bytes(1048575).text, "1023.9 KiB");
	assert_string_equal(format_bytes(12900000).text, "12.3 MiB");
	assert_string_equal(format_bytes(UINT64_MAX).text, "15.9 EiB");
	assert_string_equal(format_bytes_delta(0).text, "0 B");
	assert_string_equal(format_bytes_delta(7632).text, "+7.4 KiB");
	assert_string_equal(format_bytes_delta(-512).text, "-512 B");
	assert_string_equal(format_bytes_delta(INT64_MIN).text, "-8.0 EiB");
}

static void rates_read_well(void **state)
{
	(void)state;
	assert_string_equal(format_rate(7632).text, "7.4 KiB/s");
	assert_string_equal(format_rate(0).text, "0 B/s");
	assert_string_equal(format_rate(0.25).text, "0.2 B/s");
	assert_string_equal(format_rate(-2048).text, "-2.0 KiB/s");
	assert_string_equal(format_rate(INFINITY).text, format_rate(1e18).text);
}

static void rates_of_few_things_read_well(void **state)
{
	(void)state;
	assert_string_equal(format_count_rate(0).text, "0/s");
	assert_string_equal(format_count_rate(2.5).text, "2.5/s");
	assert_string_equal(format_count_rate(-1).text, "-1.0/s");
	assert_string_equal(format_count_rate(99.94).text, "99.9/s");
	assert_string_equal(format_count_rate(99.95).text, "100/s");
	assert_string_equal(format_count_rate(12345.6).text, "12,346/s");
	assert_string_equal(format_count_rate(0.2).text, "12.0/min");
	assert_string_equal(format_count_rate(-0.2).text, "-12.0/min");
	assert_string_equal(format_count_rate(3.0 / 3600).text, "3.0/h");
	assert_string_equal(format_count_rate(0.1 / 3600).text, "0.1/h");
	assert_string_equal(format_count_rate(1e-9).text, "0/s");
	assert_string_equal(format_count_rate(INFINITY).text, format_count_rate(1e18).text);
	assert_string_equal(format_count_rate(NAN).text, format_count_rate(1e18).text);
}

static void counts_read_well(void **state)
{
	(void)state;
	assert_string_equal(format_count(0).text, "0");
	assert_string_equal(format_count(999).text, "999");
	assert_string_equal(format_count(1234).text, "1,234");
	assert_string_equal(format_count(1000000).text, "1,000,000");
	assert_string_equal(format_count(UINT64_MAX).text, "18,446,744,073,709,551,615");
	assert_string_equal(format_count_delta(1234).text, "+1,234");
	assert_string_equal(format_count_delta(-5).text, "-5");
	assert_string_equal(format_count_delta(INT64_MIN).text, "-9,223,372,036,854,775,808");
}

static void durations_read_well(void **state)
{
	(void)state;
	assert_string_equal(format_duration(850).text, "850 ns");
	assert_string_equal(format_duration(12400000).text, "12.4 ms");
	assert_string_equal(format_duration(3200000000).text, "3.2 s");
	assert_string_equal(format_duration(245000000000).text, "4m 05s");
	assert_string_equal(format_duration(7380000000000).text, "2h 03m");
	assert_string_equal(format_duration(446400000000000).text, "5d 04h");
}

static void sizes_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"512", 512},
		{"512B", 512},
		{"10k", 10240},
		{"10M", 10485760},
		{"1.5GiB", 1610612736},
		{"2GB", 2147483648},
		{"0.5 KiB", 512},
		{"18446744073709551615", UINT64_MAX},
	};
	static const char *const bad[] = {"",	 "M",  "10x", "10MiBx", "-1",  "1.",  ".5M",
					  "1.5", " 1", "10 ", "0x10",	"1e3", "inf", "nan"};
	uint64_t n = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse_size(good[i].text, &n), 0);
		assert_int_equal(n, good[i].bytes);
	}
	n = 77;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_size(bad[i], &n), -EINVAL);
	assert_int_equal(parse_size("18446744073709551616", &n), -ERANGE);
	assert_int_equal(parse_size("16E", &n), -ERANGE);
	assert_int_equal(n, 77);
}

static void durations_are_read(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{"10s", 10000000000},
		{"5m", 300000000000},
		{"5min", 300000000000},
		{"1h30m", 5400000000000},
		{"1.5h", 5400000000000},
		{"250ms", 250000000},
		{"2d", 172800000000000},
		{"3", 3000000000},
		{"0.5", 500000000},
		{"100us", 100000},
		{"7ns", 7},
	};
	static const char *const bad[] = {"", "s", "10x", "1h30", "-5s", "5 s", "1hm"};
	uint64_t n = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse_duration(good[i].text, &n), 0);
		assert_int_equal(n, good[i].ns);
	}
	n = 77;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_duration(bad[i], &n), -EINVAL);
	assert_int_equal(parse_duration("999999999999d", &n), -ERANGE);
	assert_int_equal(n, 77);
}

static void plain_counts_are_read(void **state)
{
	uint64_t n = 77;

	(void)state;
	assert_int_equal(parse_count("20", &n), 0);
	assert_int_equal(n, 20);
	assert_int_equal(parse_count("20k", &n), -EINVAL);
	assert_int_equal(parse_count("2.0", &n), -EINVAL);
	assert_int_equal(parse_count("", &n), -EINVAL);
	assert_int_equal(parse_count("99999999999999999999", &n), -ERANGE);
	assert_int_equal(n, 20);
}

static void addresses_are_read(void **state)
{
	static const char *const bad[] = {"",	 "0x",	"0X", "x12", "0x12g",
					  "12 ", " 12", "-1", "0x 1"};
	uint64_t addr = 0;

	(void)state;
	assert_int_equal(parse_hex("7ffd5a3c1b20", &addr), 0);
	assert_true(addr == 0x7ffd5a3c1b20);
	assert_int_equal(parse_hex("0XABCdef0123456789", &addr), 0);
	assert_true(addr == 0xabcdef0123456789);
	assert_int_equal(parse_hex("0", &addr), 0);
	assert_true(addr == 0);
	assert_int_equal(parse_hex("0x00000000000000000000ff", &addr), 0);
	assert_true(addr == 0xff);
	assert_int_equal(parse_hex("10000000000000000", &addr), -ERANGE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(parse_hex(bad[i], &addr), -EINVAL);
	assert_true(addr == 0xff);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_read_well),
		cmocka_unit_test(rates_read_well),
		cmocka_unit_test(rates_of_few_things_read_well),
		cmocka_unit_test(counts_read_well),
		cmocka_unit_test(durations_read_well),
		cmocka_unit_test(sizes_are_read),
		cmocka_unit_test(durations_are_read),
		cmocka_unit_test(plain_counts_are_read),
		cmocka_unit_test(addresses_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
