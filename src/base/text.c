/* Small services on text; see text.h. */
#include "base/text.h"

#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"

#define WORD_MAX_LEN 63

static unsigned int min3(unsigned int a, unsigned int b, unsigned int c)
{
	unsigned int m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment; three rows of the table are enough. */
unsigned int text_distance(const char *a, const char *b)
{
	unsigned int rows[3][WORD_MAX_LEN + 1];
	unsigned int *before = rows[0], *last = rows[1], *now = rows[2];
	size_t la = strnlen(a, WORD_MAX_LEN), lb = strnlen(b, WORD_MAX_LEN);

	for (size_t j = 0; j <= lb; j++)
		last[j] = (unsigned int)j;
	for (size_t i = 1; i <= la; i++) {
		unsigned int *spare = before;

		now[0] = (unsigned int)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned int differ = a[i - 1] != b[j - 1];

			now[j] = min3(last[j] + 1, now[j - 1] + 1, last[j - 1] + differ);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		before = last;
		last = now;
		now = spare;
	}
	return last[lb];
}

const char *text_nearest(const char *word, const char *const *candidates)
{
	const char *best = NULL;
	size_t len = strlen(word);
	unsigned int best_distance = UINT_MAX;

	for (; *candidates; candidates++) {
		unsigned int d = text_distance(word, *candidates);

		if (len >= 2 && text_starts_with(*candidates, word))
			d = 1;
		if (d < best_distance) {
			best_distance = d;
			best = *candidates;
		}
	}
	return best_distance <= (len + 2) / 3 ? best : NULL;
}

void text_quote(struct str *out, const char *word)
{
	static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "_-+=./:,@%^";

	if (*word && strspn(word, safe) == strlen(word)) {
		str_add(out, word);
		return;
	}
	str_add_char(out, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			str_add(out, "'\\''");
		else
			str_add_char(out, *word);
	}
	str_add_char(out, '\'');
}

static void break_line(struct str *out, unsigned int indent, unsigned int *column)
{
	str_add_char(out, '\n');
	for (unsigned int i = 0; i < indent; i++)
		str_add_char(out, ' ');
	*column = indent;
}

void text_wrap(struct str *out, const char *text, unsigned int column, unsigned int indent,
	       unsigned int width)
{
	bool fresh = true; /* nothing of the text on this line yet */

	while (*text) {
		size_t len = strcspn(text, " \n");

		if (!fresh && column + 1 + len > width) {
			break_line(out, indent, &column);
			fresh = true;
		}
		if (!fresh) {
			str_add_char(out, ' ');
			column++;
		}
		str_add_len(out, text, len);
		column += (unsigned int)len;
		fresh = false;
		text += len;
		if (*text == '\n') {
			break_line(out, indent, &column);
			fresh = true;
		}
		if (*text)
			text++;
	}
}

/* Length of the well-formed UTF-8 sequence at s that is no control character, or 0. */
static size_t printable_len(const unsigned char *s, size_t len)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : s[0] >= 0xc0 ? 2 : 0;
	uint32_t c;

	if (n == 1)
		return s[0] >= 0x20 && s[0] != 0x7f;
	if (!n || n > len || s[0] > 0xf4)
		return 0;
	c = s[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < lowest[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	/* C1 controls; marks that reorder the text of a line. */
	if (c < 0xa0 || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
		return 0;
	return n;
}

/* How many bytes of ASCII there are that need no care. */
static size_t plain_len(const unsigned char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] >= 0x20 && s[n] < 0x7f)
		n++;
	return n;
}

void text_printable(struct str *out, const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;

	while (len) {
		size_t n = plain_len(s, len);

		n = n ? n : printable_len(s, len);
		if (n)
			str_add_len(out, (const char *)s, n);
		else
			str_printf(out, "\\x%02x", *s);
		n = n ? n : 1;
		s += n;
		len -= n;
	}
}

size_t text_characters(const char *text)
{
	size_t nr = 0;

	for (; *text; text++)
		nr += ((unsigned char)*text & 0xc0) != 0x80;
	return nr;
}

const char *text_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

bool text_starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}
