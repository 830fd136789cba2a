/* LeakSanitizer's suppression files: reading, and matching stacks. */
#include "model/suppress.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "model/lines.h"
#include "model/suppress_valgrind.h"

/* First place at or after text where the piece stands; with `anchored` only at text itself. */
static const char *find_piece(const char *text, const char *piece, size_t len, bool anchored)
{
	if (anchored)
		return strncmp(text, piece, len) == 0 ? text : NULL;
	return memmem(text, strlen(text), piece, len);
}

/*
 * Pieces between '*' are looked for from left to right, each as early as possible; the last one of
 * an end-anchored pattern must be what the text ends with.
 */
bool suppression_matches(const char *pattern, const char *text)
{
	size_t pattern_len = strlen(pattern);
	const char *end = pattern + pattern_len;
	bool anchored = pattern[0] == '^', to_the_end;

	if (text[0] == 0)
		return false;
	if (anchored)
		pattern++;
	to_the_end = end > pattern && end[-1] == '$';
	if (to_the_end)
		end--;
	for (;;) {
		const char *star = memchr(pattern, '*', (size_t)(end - pattern));
		size_t len = (size_t)((star ? star : end) - pattern);

		if (!star && to_the_end) {
			size_t left = strlen(text);

			return left >= len && (!anchored || left == len) &&
			       memcmp(text + left - len, pattern, len) == 0;
		}
		text = find_piece(text, pattern, len, anchored);
		if (!text)
			return false;
		if (!star)
			return true;
		text += len;
		pattern = star + 1;
		anchored = false;
	}
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static int add_rule(struct suppressions *s, const char *text, size_t len, unsigned int number,
		    const char *name, struct error *e)
{
	struct suppression rule = {.line = number};

	while (len && blank(text[0])) {
		text++;
		len--;
	}
	while (len && blank(text[len - 1]))
		len--;
	if (len == 0 || text[0] == '#')
		return 0;
	if (len <= strlen("leak:") || strncmp(text, "leak:", strlen("leak:")) != 0) {
		error_set(e, -EINVAL, EXIT_FILE, "cannot read suppressions '%s': line %u: '%.*s'",
			  name, number, len > 200 ? 200 : (int)len, text);
		error_hint(e, "each line is 'leak:PATTERN' or a '# comment'");
		return -EINVAL;
	}
	rule.pattern = mem_strndup(text + strlen("leak:"), len - strlen("leak:"));
	ARRAY_PUSH(s->items, s->nr, s->cap, rule);
	return 0;
}

int suppressions_parse(const char *text, const char *name, struct suppressions *ret,
		       struct error *e)
{
	struct suppressions s = {0};
	int rc;

	for (unsigned int number = 1; *text; number++) {
		size_t len = strcspn(text, "\n");

		if (text[strspn(text, " \t")] == '{') {
			struct suppression rule;

			text += len + (text[len] == '\n');
			if (valgrind_parse_block(&text, &number, name, &rule, &rc, e))
				ARRAY_PUSH(s.items, s.nr, s.cap, rule);
			if (rc < 0) {
				suppressions_release(&s);
				return rc;
			}
			continue;
		}
		rc = add_rule(&s, text, len, number, name, e);
		if (rc < 0) {
			suppressions_release(&s);
			return rc;
		}
		text += len;
		if (*text)
			text++;
	}
	*ret = s;
	return 0;
}

void suppressions_release(struct suppressions *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nr; i++) {
		free(s->items[i].pattern);
		suppression_release_frames(&s->items[i]);
	}
	free(s->items);
	memset(s, 0, sizeof(*s));
}

static bool line_matches(const char *pattern, const struct line *line)
{
	return suppression_matches(pattern, line->module) ||
	       suppression_matches(pattern, line->function) ||
	       suppression_matches(pattern, line->file);
}

struct suppression *suppressions_find(const struct suppressions *s, const struct lines *lines)
{
	for (size_t i = 0; i < s->nr; i++) {
		if (s->items[i].frames && valgrind_matches(&s->items[i], lines))
			return &s->items[i];
		for (size_t j = 0; !s->items[i].frames && j < lines->nr; j++) {
			if (line_matches(s->items[i].pattern, &lines->items[j]))
				return &s->items[i];
		}
	}
	return NULL;
}
