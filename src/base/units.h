/*
 * Numbers for people: how bytes, counts, rates and durations are written everywhere in seep, and
 * how they are read from a command line. Binary units (KiB = 1024), a dot, no locale.
 */
#ifndef SEEP_BASE_UNITS_H
#define SEEP_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* Enough for every text made here, the longest numbers included. */
#define UNIT_TEXT 48
struct unit_text {
	char text[UNIT_TEXT];
};

/* "0 B", "912 B", "12.3 MiB"; three significant digits or more, never rounded up past the unit. */
struct unit_text format_bytes(uint64_t bytes);
/* The same with a sign, always: "+12.3 MiB", "-4 KiB", "0 B". */
struct unit_text format_bytes_delta(int64_t bytes);
/* "7.4 KiB/s"; sign only when negative. */
struct unit_text format_rate(double bytes_per_s);
/* "1,234,567" */
struct unit_text format_count(uint64_t n);
/* "+1,234", "-5", "0" */
struct unit_text format_count_delta(int64_t n);
/* "1,234/s", "2.5/s", "12.0/min", "3.0/h": of things, which may be few; sign only when negative. */
struct unit_text format_count_rate(double per_s);
/* "850 ns", "12.4 ms", "3.2 s", "4m 05s", "2h 03m", "5d 04h" */
struct unit_text format_duration(uint64_t ns);

/*
 * Read "512", "10k", "10M", "1.5GiB", "2GB" (all binary). The whole text must be a number with a
 * unit. 0, or -EINVAL (not a size), -ERANGE (too large).
 */
int parse_size(const char *text, uint64_t *ret_bytes);
/* "250ms", "10s", "5m", "1h30m", "2d", "1.5h"; a bare number is seconds. Same errors. */
int parse_duration(const char *text, uint64_t *ret_ns);
/* A decimal number and nothing else. Same errors. */
int parse_count(const char *text, uint64_t *ret_n);
/* An address: hexadecimal, with "0x" before it or without, and nothing else. Same errors. */
int parse_hex(const char *text, uint64_t *ret_addr);

#endif
