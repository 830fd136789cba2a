/* JSON out. */
#include "format/json_writer.h"

#include <math.h>
#include <stddef.h>

#include "base/str.h"

void json_init(struct json *j, struct str *out)
{
	j->out = out;
	j->needs_comma = false;
}

/*
 * Length of the well-formed UTF-8 character at p, 0 if there is none: no overlong forms, no
 * surrogates, nothing above U+10FFFF. Texts end with NUL, so looking ahead stays inside.
 */
static size_t utf8_len(const unsigned char *p)
{
	static const struct {
		unsigned char first, last, second_min, second_max;
		size_t len;
	} forms[] = {
		{0x00, 0x7f, 0, 0, 1},	     {0xc2, 0xdf, 0x80, 0xbf, 2},
		{0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4},
		{0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (*p < forms[i].first || *p > forms[i].last)
			continue;
		if (forms[i].len > 1 && (p[1] < forms[i].second_min || p[1] > forms[i].second_max))
			return 0;
		for (size_t k = 2; k < forms[i].len; k++) {
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		}
		return forms[i].len;
	}
	return 0;
}

/* Bytes that stand for themselves: nearly all there are, so they are copied in runs. */
static size_t plain_len(const unsigned char *p)
{
	size_t len = 0;

	while (p[len] >= 0x20 && p[len] < 0x7f && p[len] != '"' && p[len] != '\\')
		len++;
	return len;
}

/* Appends the one character at p, which is not plain; returns the bytes it took. */
static size_t add_character(struct str *out, const unsigned char *p)
{
	size_t len = utf8_len(p);

	if (len == 0) {
		str_add(out, "\\ufffd");
		return 1;
	}
	if (*p == '"' || *p == '\\') {
		str_add_char(out, '\\');
		str_add_char(out, (char)*p);
	} else if (len == 1) {
		str_printf(out, "\\u%04x", *p);
	} else {
		str_add_len(out, (const char *)p, len);
	}
	return len;
}

static void add_quoted(struct str *out, const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	str_add_char(out, '"');
	while (*p) {
		size_t len = plain_len(p);

		str_add_len(out, (const char *)p, len);
		p += len;
		if (*p)
			p += add_character(out, p);
	}
	str_add_char(out, '"');
}

static void begin(struct json *j, const char *key)
{
	if (j->needs_comma)
		str_add_char(j->out, ',');
	if (key) {
		add_quoted(j->out, key);
		str_add_char(j->out, ':');
	}
	j->needs_comma = true;
}

void json_open(struct json *j, const char *key, char bracket)
{
	begin(j, key);
	str_add_char(j->out, bracket);
	j->needs_comma = false;
}

void json_close(struct json *j, char bracket)
{
	str_add_char(j->out, bracket);
	j->needs_comma = true;
}

void json_text(struct json *j, const char *key, const char *text)
{
	begin(j, key);
	add_quoted(j->out, text);
}

void json_count(struct json *j, const char *key, uint64_t n)
{
	begin(j, key);
	str_add_decimal(j->out, n);
}

void json_number(struct json *j, const char *key, int64_t n)
{
	begin(j, key);
	if (n < 0)
		str_add_char(j->out, '-');
	str_add_decimal(j->out, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

static void add_real(struct json *j, const char *key, double n, int digits)
{
	if (!isfinite(n)) {
		json_null(j, key);
		return;
	}
	begin(j, key);
	str_printf(j->out, "%.*f", digits, n);
}

void json_real(struct json *j, const char *key, double n)
{
	add_real(j, key, n, 1);
}

void json_fraction(struct json *j, const char *key, double n)
{
	add_real(j, key, n, 4);
}

void json_bool(struct json *j, const char *key, bool b)
{
	begin(j, key);
	str_add(j->out, b ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	begin(j, key);
	str_add(j->out, "null");
}

void json_address(struct json *j, const char *key, uint64_t address)
{
	begin(j, key);
	str_add_char(j->out, '"');
	str_add_hex(j->out, address);
	str_add_char(j->out, '"');
}
