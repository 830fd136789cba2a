/* Reading and finding what --search looks for; see pattern.h. */
#include "model/pattern.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"

#define PATTERN_MAX 4096

static int refuse(struct error *e, const char *text, const char *why)
{
	error_set(e, -EINVAL, EXIT_USAGE, "cannot search for '%s': %s", text, why);
	error_hint(e, "patterns: 'bytes:de ad be ef' word:0x1234 ptr:0x7f12345678 text:foo "
		      "utf16:foo utf32:foo");
	return -EINVAL;
}

static void push(struct pattern *p, size_t *cap, uint8_t byte)
{
	ARRAY_PUSH(p->bytes, p->len, *cap, byte);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int parse_bytes(const char *text, const char *value, struct pattern *p, struct error *e)
{
	size_t cap = 0;

	for (const char *at = value; *at;) {
		int high, low;

		if (isspace((unsigned char)*at)) {
			at++;
			continue;
		}
		high = hex_digit(at[0]);
		low = high < 0 ? -1 : hex_digit(at[1]);
		if (low < 0)
			return refuse(e, text, "bytes are pairs of hexadecimal digits");
		push(p, &cap, (uint8_t)(high * 16 + low));
		at += 2;
	}
	return 0;
}

static int parse_word(const char *text, const char *value, struct pattern *p, struct error *e)
{
	bool hex = value[0] == '0' && (value[1] == 'x' || value[1] == 'X');
	const char *digits = hex ? value + 2 : value;
	char *end;

	if (!isxdigit((unsigned char)*digits))
		return refuse(e, text, "not a number");
	errno = 0;
	p->low = strtoull(digits, &end, hex ? 16 : 10);
	if (*end || errno)
		return refuse(e, text, "not a number of 64 bits");
	p->high = p->low;
	return 0;
}

/* One character of UTF-8; 0: not well-formed. */
static size_t decode(const char *text, uint32_t *ret)
{
	const uint8_t *s = (const uint8_t *)text;
	size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	uint32_t value = len == 1 ? s[0] : s[0] & (0x7fu >> len);

	if ((s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (s[i] & 0x3f);
	}
	*ret = value;
	return len;
}

static void push_unit(struct pattern *p, size_t *cap, uint32_t unit, unsigned int width)
{
	for (unsigned int i = 0; i < width; i++)
		push(p, cap, (uint8_t)(unit >> (8 * i)));
}

static int parse_wide(const char *text, const char *value, unsigned int width, struct pattern *p,
		      struct error *e)
{
	size_t cap = 0, len;
	uint32_t c;

	for (; *value; value += len) {
		len = decode(value, &c);
		if (len == 0)
			return refuse(e, text, "not UTF-8");
		if (width == 2 && c > 0xffff) {
			push_unit(p, &cap, 0xd800 + ((c - 0x10000) >> 10), 2);
			push_unit(p, &cap, 0xdc00 + ((c - 0x10000) & 0x3ff), 2);
		} else {
			push_unit(p, &cap, c, width);
		}
	}
	return 0;
}

static int parse_text(const char *value, struct pattern *p)
{
	p->len = strlen(value);
	p->bytes = (uint8_t *)mem_strdup(value);
	return 0;
}

/* Zeros fill most of memory, and small numbers, blanks and frequent letters much of the rest. */
static unsigned int commonness(uint8_t byte)
{
	if (byte == 0)
		return 4;
	if (byte == 0xff || byte < 16)
		return 3;
	if (byte == ' ' || byte == 'e' || byte == 't' || byte == 'a' || byte == 'o' || byte == 'n')
		return 2;
	return (byte >= 'a' && byte <= 'z') || byte == 0x7f || byte == 0x55 || byte == 0x56;
}

static void choose_rarest(struct pattern *p)
{
	for (size_t i = 1; i < p->len; i++) {
		if (commonness(p->bytes[i]) < commonness(p->bytes[p->rarest]))
			p->rarest = i;
	}
}

static int parse_value(const char *text, const char *kind, size_t kind_len, const char *value,
		       struct pattern *p, struct error *e)
{
	static const char *const kinds[] = {"bytes", "word", "ptr", "text", "utf16", "utf32"};
	size_t i, nr = sizeof(kinds) / sizeof(kinds[0]);

	for (i = 0; i < nr; i++) {
		if (strlen(kinds[i]) == kind_len && strncmp(kinds[i], kind, kind_len) == 0)
			break;
	}
	if (i == nr)
		return refuse(e, text, "it does not say what it is");
	if (!*value)
		return refuse(e, text, "there is nothing to search for");
	switch (i) {
	case 0:
		return parse_bytes(text, value, p, e);
	case 1:
	case 2:
		p->kind = i == 1 ? PATTERN_WORD : PATTERN_POINTER;
		return parse_word(text, value, p, e);
	case 3:
		return parse_text(value, p);
	default:
		return parse_wide(text, value, i == 4 ? 2 : 4, p, e);
	}
}

int pattern_parse(const char *text, struct pattern *ret, struct error *e)
{
	const char *colon = strchr(text, ':');
	struct pattern p = {.kind = PATTERN_BYTES, .word_bytes = 8};
	int err;

	if (!colon)
		return refuse(e, text, "it does not say what it is");
	if (strlen(colon) > PATTERN_MAX)
		return refuse(e, text, "it is too long");
	err = parse_value(text, text, (size_t)(colon - text), colon + 1, &p, e);
	if (err == 0 && p.kind == PATTERN_BYTES && p.len == 0)
		err = refuse(e, text, "there is nothing to search for");
	if (err < 0) {
		pattern_release(&p);
		return err;
	}
	choose_rarest(&p);
	*ret = p;
	return 0;
}

void pattern_release(struct pattern *p)
{
	if (!p)
		return;
	free(p->bytes);
	*p = (struct pattern){.kind = PATTERN_BYTES};
}

void pattern_set_words(struct pattern *p, unsigned int word_bytes, uint64_t low, uint64_t high)
{
	p->word_bytes = word_bytes;
	if (p->kind == PATTERN_POINTER) {
		p->low = low;
		p->high = high;
	}
}

size_t pattern_width(const struct pattern *p)
{
	return p->kind == PATTERN_BYTES ? p->len : p->word_bytes;
}

static bool find_bytes(const struct pattern *p, const uint8_t *memory, size_t len, size_t *pos)
{
	size_t last;

	if (p->len > len)
		return false;
	last = len - p->len;
	for (size_t at = *pos; at <= last; at++) {
		const uint8_t *hit =
			memchr(memory + at + p->rarest, p->bytes[p->rarest], last - at + 1);

		if (!hit)
			return false;
		at = (size_t)(hit - memory) - p->rarest;
		if (memcmp(memory + at, p->bytes, p->len) == 0) {
			*pos = at;
			return true;
		}
	}
	return false;
}

/*
 * Words a cache line at a time without branches, so that the compiler makes vector code of it; only
 * a line with a hit is looked at word by word.
 */
static bool find_words64(const struct pattern *p, const uint8_t *memory, size_t len, size_t *pos)
{
	const uint64_t span = p->high - p->low;
	size_t at = (*pos + 7) & ~(size_t)7;
	uint64_t words[8];

	for (; at + sizeof(words) <= len; at += sizeof(words)) {
		unsigned int any = 0;

		memcpy(words, memory + at, sizeof(words));
		for (unsigned int i = 0; i < 8; i++)
			any |= words[i] - p->low <= span;
		if (any)
			break;
	}
	for (; at + 8 <= len; at += 8) {
		memcpy(words, memory + at, 8);
		if (words[0] - p->low <= span) {
			*pos = at;
			return true;
		}
	}
	return false;
}

static bool find_words32(const struct pattern *p, const uint8_t *memory, size_t len, size_t *pos)
{
	uint32_t word;

	for (size_t at = (*pos + 3) & ~(size_t)3; at + 4 <= len; at += 4) {
		memcpy(&word, memory + at, 4);
		if (word >= p->low && word <= p->high) {
			*pos = at;
			return true;
		}
	}
	return false;
}

bool pattern_find(const struct pattern *p, const uint8_t *memory, size_t len, size_t *pos)
{
	if (p->kind == PATTERN_BYTES)
		return find_bytes(p, memory, len, pos);
	if (p->word_bytes == 4)
		return find_words32(p, memory, len, pos);
	return find_words64(p, memory, len, pos);
}
