/* Finding texts in memory; see text_runs.h. */
#include "model/text_runs.h"

#include <string.h>

#include "base/str.h"

/* Blanks of a text; other control characters end it. */
static inline bool is_plain(uint32_t c)
{
	return c - 0x20 < 0x5f || c == '\t' || c == '\n' || c == '\r';
}

/* Letters with marks, Greek, Cyrillic, Armenian, Hebrew, Arabic; quotes, dashes, the euro. */
static bool is_letter_beyond(uint32_t c)
{
	return (c >= 0xa0 && c < 0x250) || (c >= 0x370 && c < 0x700) ||
	       (c >= 0x1e00 && c < 0x2000) || (c >= 0x2010 && c < 0x2040) || c == 0x20ac;
}

/* Length of the well-formed character of several bytes at p, 0: none. */
static size_t utf8_length(const uint8_t *p, size_t len)
{
	size_t need = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;

	if (p[0] < 0xc2 || p[0] > 0xf4 || need > len)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Overlong forms, surrogates, beyond Unicode. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return need;
}

static uint32_t unit_at(const uint8_t *p, unsigned int width)
{
	uint16_t half;
	uint32_t whole;

	if (width == 2) {
		memcpy(&half, p, 2);
		return half;
	}
	memcpy(&whole, p, 4);
	return whole;
}

/* Bytes of the character at p, 0: none that belongs to a text. */
static size_t character(const uint8_t *p, size_t len, unsigned int width)
{
	uint32_t unit;

	if (width == 1)
		return is_plain(*p) ? 1 : *p < 0x80 ? 0 : utf8_length(p, len);
	if (len < width)
		return 0;
	unit = unit_at(p, width);
	return is_plain(unit) || is_letter_beyond(unit) ? width : 0;
}

/* May this unit be inside a text? Parts of a character in UTF-8 may. */
static bool may_be_text(const uint8_t *p, unsigned int width)
{
	return (width == 1 && *p >= 0x80) || character(p, width, width) != 0;
}

/*
 * Numbers look like letters too. So at least half of a wide text is plain, or all that is not is of
 * one alphabet, beyond Latin, and more than one letter.
 */
static bool is_believable(const uint8_t *p, size_t len, unsigned int width)
{
	size_t plain = 0, changes = 0, nr = len / width;
	uint32_t alphabet = 0, last = 0;
	bool one = true;

	if (width == 1)
		return true;
	for (size_t i = 0; i < nr; i++) {
		uint32_t unit = unit_at(p + i * width, width);

		changes += unit != last;
		last = unit;
		if (is_plain(unit)) {
			plain++;
			continue;
		}
		one = one && unit >= 0x300 && (alphabet == 0 || unit >> 8 == alphabet);
		alphabet = unit >> 8;
	}
	return plain * 2 >= nr || (one && changes > 2);
}

struct scan {
	const uint8_t *memory;
	size_t len;
	bool last;
	size_t min_chars;
	size_t stop; /* runs that begin here or later belong to the next piece */
	text_run_visit visit;
	void *context;
};

struct run_end {
	size_t at, chars;
	bool cut; /* it goes on, but is long enough */
};

/*
 * The end of the run that begins at `at`. A cut is between two characters, and where the next piece
 * may begin, so that memory in pieces gives what the whole gives.
 */
static struct run_end find_end(const struct scan *s, size_t at, unsigned int width)
{
	struct run_end end = {.at = at};
	size_t step;

	while (end.at < s->len) {
		if (end.at - at >= TEXT_RUN_MAX ||
		    (end.at - at >= TEXT_RUN_MAX - 16 && end.at % 4 == 0)) {
			end.cut = true;
			break;
		}
		step = character(s->memory + end.at, s->len - end.at, width);
		if (step == 0)
			break;
		end.at += step;
		end.chars++;
	}
	return end;
}

/*
 * All runs of one width. With `visit` they are told; without, the answer is where the first run
 * begins that may go on behind the end, or len.
 */
static size_t scan_width(const struct scan *s, unsigned int width, bool visit)
{
	const size_t ahead = (s->min_chars - 1) * width;
	size_t at = 0;

	while (at + width <= s->len && at < s->stop) {
		struct run_end end;

		/* No text that is long enough begins before a unit that is in none. */
		if (at + ahead + width <= s->len && !may_be_text(s->memory + at + ahead, width)) {
			at += ahead + width;
			continue;
		}
		end = find_end(s, at, width);
		if (end.chars == 0) {
			at += width;
			continue;
		}
		/* Within the last three bytes a character may be unfinished. */
		if (!s->last && !end.cut && s->len - end.at < 4)
			return at;
		if (visit && end.chars >= s->min_chars &&
		    is_believable(s->memory + at, end.at - at, width))
			s->visit(s->context,
				 &(struct text_run){s->memory + at, at, end.at - at, width});
		at = end.at;
	}
	return s->len;
}

/*
 * Where the earliest unfinished run begins, or len. It is at most TEXT_RUN_MAX bytes from the end;
 * the scan begins where no text is, so that it sees runs begin and cut where the visit does.
 */
static size_t find_stop(const struct scan *s)
{
	size_t stop = s->len;

	for (unsigned int width = 1; width <= 4; width *= 2) {
		size_t tail = s->len > TEXT_RUN_MAX ? (s->len - TEXT_RUN_MAX) & ~(size_t)3 : 0;
		struct scan end = *s;
		size_t begin;

		while (tail >= width && may_be_text(s->memory + tail - width, width))
			tail -= width;
		tail &= ~(size_t)3;
		end.memory += tail;
		end.len -= tail;
		end.stop = end.len;
		begin = tail + scan_width(&end, width, false);
		if (begin < stop)
			stop = begin;
	}
	return stop & ~(size_t)3;
}

size_t text_runs_find(const uint8_t *memory, size_t len, bool last, size_t min_chars,
		      text_run_visit visit, void *context)
{
	struct scan s = {.memory = memory,
			 .len = len,
			 .last = last,
			 .min_chars = min_chars < 2 ? 2 : min_chars,
			 .stop = len,
			 .visit = visit,
			 .context = context};

	if (!last)
		s.stop = find_stop(&s);
	for (unsigned int width = 1; width <= 4; width *= 2)
		scan_width(&s, width, true);
	return last ? len : s.stop;
}

static void add_utf8(struct str *out, uint32_t c)
{
	if (c < 0x80) {
		str_add_char(out, (char)c);
	} else if (c < 0x800) {
		str_add_char(out, (char)(0xc0 | c >> 6));
		str_add_char(out, (char)(0x80 | (c & 0x3f)));
	} else {
		str_add_char(out, (char)(0xe0 | c >> 12));
		str_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
		str_add_char(out, (char)(0x80 | (c & 0x3f)));
	}
}

void text_run_decode(const struct text_run *run, struct str *out)
{
	if (run->width == 1) {
		str_add_len(out, (const char *)run->bytes, run->len);
		return;
	}
	for (size_t at = 0; at + run->width <= run->len; at += run->width)
		add_utf8(out, unit_at(run->bytes + at, run->width));
}

const char *text_run_encoding(unsigned int width)
{
	return width == 1 ? "utf8" : width == 2 ? "utf16" : "utf32";
}
