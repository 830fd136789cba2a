/* What lies in a block, in a few words; see content.h. */
#include "model/content.h"

#include <string.h>

#include "base/str.h"
#include "base/text.h"
#include "model/text_runs.h"

#define TEXT_DEFAULT 60
/* A text that begins the block is believed when it is this long, one within it when longer. */
#define LEAD_CHARS 3
#define INNER_CHARS 6

/* Back to the beginning of a character. */
static size_t cut_at(const char *text, size_t len, size_t cap)
{
	if (len <= cap)
		return len;
	while (cap && ((unsigned char)text[cap] & 0xc0) == 0x80)
		cap--;
	return cap;
}

void content_quote(const char *prefix, const char *text, size_t len, size_t cap, struct str *out)
{
	size_t part = cut_at(text, len, cap), done = 0;

	str_printf(out, "%s\"", prefix);
	for (size_t i = 0; i < part; i++) {
		const char *escape = text[i] == '\n'   ? "\\n"
				     : text[i] == '\t' ? "\\t"
				     : text[i] == '\r' ? "\\r"
				     : text[i] == '"'  ? "\\\""
				     : text[i] == '\\' ? "\\\\"
						       : NULL;

		if (!escape)
			continue;
		text_printable(out, text + done, i - done);
		str_add(out, escape);
		done = i + 1;
	}
	text_printable(out, text + done, part - done);
	str_add_char(out, '"');
	if (part < len)
		str_add(out, "…");
}

static const char *prefix_of(unsigned int width)
{
	return width == 1 ? "" : width == 2 ? "u" : "U";
}

/* The text to be shown: one that begins the block, or else the longest. */
struct choice {
	struct text_run run;
	bool found;
};

static void choose(void *context, const struct text_run *run)
{
	struct choice *c = context;
	size_t chars = run->len / run->width;

	if (run->offset && chars < INNER_CHARS)
		return;
	if (c->found && (c->run.offset == 0 || (run->offset && chars <= c->run.len / c->run.width)))
		return;
	c->run = *run;
	c->found = true;
}

static void add_text(const struct choice *c, size_t cap, struct str *out)
{
	struct str text = STR_INIT;

	text_run_decode(&c->run, &text);
	content_quote(prefix_of(c->run.width), text.data, text.len, cap, out);
	str_release(&text);
	if (c->run.offset)
		str_printf(out, " at %zu", c->run.offset);
}

static uint64_t word_at(const uint8_t *bytes, unsigned int width)
{
	uint64_t word = 0;

	memcpy(&word, bytes, width);
	return word;
}

/* Zeros at the end of the shown words say nothing. */
static size_t words_to_show(const uint8_t *bytes, size_t len, const struct content_options *o)
{
	size_t nr = len / o->word_bytes;

	if (nr > CONTENT_WORDS)
		nr = CONTENT_WORDS;
	while (nr > 1 && word_at(bytes + (nr - 1) * o->word_bytes, o->word_bytes) == 0)
		nr--;
	return nr;
}

static void add_words(const uint8_t *bytes, size_t len, const struct content_options *o,
		      struct str *out)
{
	size_t nr = words_to_show(bytes, len, o);

	for (size_t i = 0; i < nr; i++) {
		uint64_t word = word_at(bytes + i * o->word_bytes, o->word_bytes);

		if (i)
			str_add(out, ", ");
		if (o->name && o->name(o->context, word, out))
			continue;
		str_printf(out, word < 0x10000 ? "%llu" : "0x%llx", (unsigned long long)word);
	}
	if (nr == 0) {
		for (size_t i = 0; i < len; i++)
			str_printf(out, "%s%02x", i ? " " : "", bytes[i]);
	}
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

void content_preview(const uint8_t *bytes, size_t len, bool whole, const struct content_options *o,
		     struct str *out)
{
	size_t cap = o->text_bytes ? o->text_bytes : TEXT_DEFAULT;
	struct choice c = {.found = false};

	if (len == 0)
		return;
	if (all_zero(bytes, len)) {
		str_add(out, whole ? "zeros" : "zeros at the beginning");
		return;
	}
	text_runs_find(bytes, len, true, LEAD_CHARS, choose, &c);
	if (c.found && c.run.offset == 0) {
		add_text(&c, cap, out);
		return;
	}
	add_words(bytes, len, o, out);
	if (c.found) {
		str_add(out, " · ");
		add_text(&c, cap, out);
	}
}
