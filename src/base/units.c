/* Numbers for people; see units.h. */
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

static const char *const byte_units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};

static char *put_text(char *out, const char *text)
{
	while (*text)
		*out++ = *text++;
	*out = 0;
	return out;
}

static char *put_number(char *out, uint64_t n)
{
	char digits[20];
	size_t nr = 0;

	do {
		digits[nr++] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	while (nr)
		*out++ = digits[--nr];
	return out;
}

/* By hand: tables of 50,000 rows are made of these. Cuts instead of rounding, so that 1023.99 KiB
 * is never shown as 1024.0 KiB. */
static void put_bytes(struct unit_text *t, const char *sign, uint64_t bytes, const char *suffix)
{
	size_t unit = 0;
	uint64_t whole = bytes, rest = 0;
	char *out;

	while (whole >= 1024) {
		rest = whole % 1024;
		whole /= 1024;
		unit++;
	}
	out = put_number(put_text(t->text, sign), whole);
	if (unit) {
		*out++ = '.';
		out = put_number(out, rest * 10 / 1024);
	}
	*out++ = ' ';
	put_text(put_text(out, byte_units[unit]), suffix);
}

struct unit_text format_bytes(uint64_t bytes)
{
	struct unit_text t;

	put_bytes(&t, "", bytes, "");
	return t;
}

static uint64_t magnitude(int64_t n)
{
	return n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
}

static const char *sign_of(int64_t n)
{
	return n < 0 ? "-" : n > 0 ? "+" : "";
}

struct unit_text format_bytes_delta(int64_t bytes)
{
	struct unit_text t;

	put_bytes(&t, sign_of(bytes), magnitude(bytes), "");
	return t;
}

struct unit_text format_rate(double bytes_per_s)
{
	struct unit_text t;
	double size = fabs(bytes_per_s);
	const char *sign = bytes_per_s < 0 ? "-" : "";

	if (!(size < 1e18))
		size = 1e18; /* also NaN: a rate over no time is not worth a number */
	if (size > 0 && size < 1)
		snprintf(t.text, UNIT_TEXT, "%s%.1f B/s", sign, size);
	else
		put_bytes(&t, size > 0 ? sign : "", (uint64_t)size, "/s");
	return t;
}

static void put_count(struct unit_text *t, const char *sign, uint64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	char *out = t->text;

	while (*sign)
		*out++ = *sign++;
	for (int i = 0; i < len; i++) {
		*out++ = digits[i];
		if (i + 1 < len && (len - i - 1) % 3 == 0)
			*out++ = ',';
	}
	*out = '\0';
}

struct unit_text format_count_rate(double per_s)
{
	static const struct {
		double seconds;
		const char *unit;
	} per[] = {{1, "/s"}, {60, "/min"}, {3600, "/h"}};
	const char *sign = per_s < 0 ? "-" : "";
	double rate = fabs(per_s);
	struct unit_text t;
	size_t i = 0;

	if (!(rate < 1e18)) /* also NaN */
		rate = 1e18;
	if (rate < 0.05 / 3600) {
		snprintf(t.text, UNIT_TEXT, "0/s");
		return t;
	}
	while (i < 2 && rate * per[i].seconds < 1)
		i++;
	rate *= per[i].seconds;
	if (rate < 99.95)
		snprintf(t.text, UNIT_TEXT, "%s%.1f", sign, rate);
	else
		put_count(&t, sign, (uint64_t)(rate + 0.5));
	strcat(t.text, per[i].unit);
	return t;
}

struct unit_text format_count(uint64_t n)
{
	struct unit_text t;

	put_count(&t, "", n);
	return t;
}

struct unit_text format_count_delta(int64_t n)
{
	struct unit_text t;

	put_count(&t, sign_of(n), magnitude(n));
	return t;
}

static void put_two(struct unit_text *t, uint64_t a, const char *a_unit, uint64_t b,
		    const char *b_unit)
{
	snprintf(t->text, UNIT_TEXT, "%llu%s %02llu%s", (unsigned long long)a, a_unit,
		 (unsigned long long)b, b_unit);
}

static void put_fraction(struct unit_text *t, uint64_t n, uint64_t unit, const char *name)
{
	snprintf(t->text, UNIT_TEXT, "%llu.%llu %s", (unsigned long long)(n / unit),
		 (unsigned long long)(n % unit * 10 / unit), name);
}

struct unit_text format_duration(uint64_t ns)
{
	struct unit_text t;
	uint64_t s = ns / NS_PER_S;

	if (ns < 1000)
		snprintf(t.text, UNIT_TEXT, "%llu ns", (unsigned long long)ns);
	else if (ns < NS_PER_MS)
		put_fraction(&t, ns, 1000, "us");
	else if (ns < NS_PER_S)
		put_fraction(&t, ns, NS_PER_MS, "ms");
	else if (s < 60)
		put_fraction(&t, ns, NS_PER_S, "s");
	else if (s < 3600)
		put_two(&t, s / 60, "m", s % 60, "s");
	else if (s < 86400)
		put_two(&t, s / 3600, "h", s % 3600 / 60, "m");
	else
		put_two(&t, s / 86400, "d", s % 86400 / 3600, "h");
	return t;
}

/* "12" or "12.5": the number as whole part and a fraction of 10^9. */
struct decimal {
	uint64_t whole, nano;
};

/* Digits beyond the ninth after the dot are read and ignored. Moves *p behind the number. */
static int parse_decimal(const char **p, struct decimal *ret_d)
{
	struct decimal d = {0, 0};
	uint64_t scale = 100000000;
	const char *s = *p;

	if (!isdigit((unsigned char)*s))
		return -EINVAL;
	for (; isdigit((unsigned char)*s); s++)
		if (__builtin_mul_overflow(d.whole, 10, &d.whole) ||
		    __builtin_add_overflow(d.whole, (uint64_t)(*s - '0'), &d.whole))
			return -ERANGE;
	if (*s == '.') {
		if (!isdigit((unsigned char)s[1]))
			return -EINVAL;
		for (s++; isdigit((unsigned char)*s); s++) {
			d.nano += (uint64_t)(*s - '0') * scale;
			scale /= 10;
		}
	}
	*p = s;
	*ret_d = d;
	return 0;
}

static int scale_decimal(const struct decimal *d, uint64_t unit, uint64_t *ret_n)
{
	unsigned __int128 n = (unsigned __int128)d->whole * unit;

	n += (unsigned __int128)d->nano * unit / 1000000000u;
	if (n > UINT64_MAX)
		return -ERANGE;
	*ret_n = (uint64_t)n;
	return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes)
{
	static const char letters[] = "kmgtpe";
	struct decimal d;
	uint64_t unit = 1;
	const char *p = text, *letter;
	int r = parse_decimal(&p, &d);

	if (r < 0)
		return r;
	if (*p == ' ' && p[1])
		p++;
	letter = *p ? strchr(letters, tolower((unsigned char)*p)) : NULL;
	if (letter) {
		unit <<= 10 * (letter - letters + 1);
		p++;
		if (*p == 'i')
			p++;
	}
	if (*p == 'B' || (!letter && *p == 'b'))
		p++;
	if (*p || (unit == 1 && d.nano))
		return -EINVAL;
	return scale_decimal(&d, unit, ret_bytes);
}

static const struct duration_unit {
	const char *name;
	uint64_t ns;
} duration_units[] = {
	/* Longer names first where one begins like another. */
	{"ns", 1},
	{"us", 1000},
	{"ms", NS_PER_MS},
	{"s", NS_PER_S},
	{"min", 60 * NS_PER_S},
	{"m", 60 * NS_PER_S},
	{"h", 3600 * NS_PER_S},
	{"d", 86400 * NS_PER_S},
};

static const struct duration_unit *find_duration_unit(const char *p)
{
	for (size_t i = 0; i < sizeof(duration_units) / sizeof(duration_units[0]); i++)
		if (!strncmp(p, duration_units[i].name, strlen(duration_units[i].name)))
			return &duration_units[i];
	return NULL;
}

int parse_duration(const char *text, uint64_t *ret_ns)
{
	uint64_t sum = 0;
	const char *p = text;
	bool first = true;

	do {
		const struct duration_unit *unit;
		struct decimal d;
		uint64_t part;
		int r = parse_decimal(&p, &d);

		if (r < 0)
			return r;
		unit = find_duration_unit(p);
		if (!unit && !(first && !*p))
			return -EINVAL;
		r = scale_decimal(&d, unit ? unit->ns : NS_PER_S, &part);
		if (r < 0)
			return r;
		if (__builtin_add_overflow(sum, part, &sum))
			return -ERANGE;
		p += unit ? strlen(unit->name) : 0;
		first = false;
	} while (*p);
	*ret_ns = sum;
	return 0;
}

int parse_count(const char *text, uint64_t *ret_n)
{
	struct decimal d;
	const char *p = text;
	int r = parse_decimal(&p, &d);

	if (r < 0)
		return r;
	if (*p || strchr(text, '.'))
		return -EINVAL;
	*ret_n = d.whole;
	return 0;
}

int parse_hex(const char *text, uint64_t *ret_addr)
{
	uint64_t value = 0;
	const char *p = text;

	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X'))
		p += 2;
	if (!*p)
		return -EINVAL;
	for (; *p; p++) {
		if (!isxdigit((unsigned char)*p))
			return -EINVAL;
		if (value >> 60)
			return -ERANGE;
		value = value << 4 |
			(unsigned int)(isdigit((unsigned char)*p) ? *p - '0'
								  : (*p | 0x20) - 'a' + 10);
	}
	*ret_addr = value;
	return 0;
}
