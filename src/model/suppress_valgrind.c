/* Valgrind's suppressions; see suppress_valgrind.h. */
#include "model/suppress_valgrind.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/lines.h"
#include "model/suppress.h"

#define FRAMES_MAX 64
#define NAME_MAX_BYTES 1024 /* of a function, when its parameters are left out */

/* One line without blanks around it; "" at the end of the text too. */
static char *take_line(const char **text, unsigned int *number)
{
	size_t len = strcspn(*text, "\n"), skip = strspn(*text, " \t\r");
	char *line;

	if (skip > len)
		skip = len;
	line = mem_strndup(*text + skip, len - skip);
	*text += len + ((*text)[len] == '\n');
	++*number;
	len = strlen(line);
	while (len && strchr(" \t\r", line[len - 1]))
		line[--len] = '\0';
	return line;
}

static bool parse_frame(const char *line, struct frame_rule *ret)
{
	static const struct {
		const char *prefix;
		enum frame_rule_kind kind;
	} kinds[] = {{"fun:", FRAME_RULE_FUNCTION},
		     {"obj:", FRAME_RULE_OBJECT},
		     {"src:", FRAME_RULE_SOURCE}};

	if (strcmp(line, "...") == 0) {
		*ret = (struct frame_rule){FRAME_RULE_ANY, NULL};
		return true;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (text_starts_with(line, kinds[i].prefix)) {
			*ret = (struct frame_rule){kinds[i].kind, mem_strdup(line + 4)};
			return true;
		}
	}
	return false;
}

static int bad_line(const char *name, unsigned int number, const char *line, struct error *e)
{
	error_set(e, -EINVAL, EXIT_FILE, "cannot read suppressions '%s': line %u: '%.100s'", name,
		  number, line);
	error_hint(e, "in braces: a name, 'Memcheck:Leak', then 'fun:', 'obj:', 'src:' or '...'");
	return -EINVAL;
}

bool valgrind_parse_block(const char **text, unsigned int *number, const char *name,
			  struct suppression *ret, int *ret_err, struct error *e)
{
	struct suppression rule = {.line = *number};
	struct frame_rule frame;
	bool is_leak = false, closed = false;

	*ret_err = 0;
	rule.pattern = take_line(text, number);
	for (unsigned int i = 0; *text[0] && !closed && *ret_err == 0; i++) {
		char *line = take_line(text, number);

		if (strcmp(line, "}") == 0)
			closed = true;
		else if (i == 0)
			is_leak = strcmp(line, "Memcheck:Leak") == 0;
		else if (*line == '\0' || *line == '#' ||
			 text_starts_with(line, "match-leak-kinds:"))
			;
		else if (rule.nr_frames < FRAMES_MAX && parse_frame(line, &frame))
			ARRAY_PUSH(rule.frames, rule.nr_frames, rule.cap_frames, frame);
		else if (is_leak)
			*ret_err = bad_line(name, *number, line, e);
		free(line);
	}
	if (*ret_err == 0 && !closed)
		*ret_err = bad_line(name, *number, rule.pattern, e);
	if (*ret_err == 0 && is_leak && rule.nr_frames) {
		*ret = rule;
		return true;
	}
	free(rule.pattern);
	suppression_release_frames(&rule);
	return false;
}

void suppression_release_frames(struct suppression *s)
{
	for (size_t i = 0; i < s->nr_frames; i++)
		free(s->frames[i].pattern);
	free(s->frames);
	s->frames = NULL;
	s->nr_frames = s->cap_frames = 0;
}

static bool matches_function(const char *pattern, const char *function)
{
	char bare[NAME_MAX_BYTES];
	size_t len = strcspn(function, "(");

	if (fnmatch(pattern, function, 0) == 0)
		return true;
	if (len == 0 || len >= sizeof(bare))
		return false;
	memcpy(bare, function, len);
	bare[len] = '\0';
	return fnmatch(pattern, bare, 0) == 0;
}

static bool matches_line(const struct frame_rule *rule, const struct line *line)
{
	switch (rule->kind) {
	case FRAME_RULE_FUNCTION:
		return *line->function && matches_function(rule->pattern, line->function);
	case FRAME_RULE_OBJECT:
		return *line->module && fnmatch(rule->pattern, line->module, 0) == 0;
	case FRAME_RULE_SOURCE:
		return *line->file && (fnmatch(rule->pattern, line->file, 0) == 0 ||
				       fnmatch(rule->pattern, text_base_name(line->file), 0) == 0);
	case FRAME_RULE_ANY:
		break;
	}
	return true;
}

/*
 * The rules from `rule` on match the lines from `line` on. With "..." the earliest place is tried
 * first; where it fails the next one, as with '*' in a pattern.
 */
static bool matches_from(const struct suppression *s, const struct lines *lines, size_t rule,
			 size_t line)
{
	size_t again_rule = SIZE_MAX, again_line = 0;

	for (;;) {
		if (rule == s->nr_frames)
			return true;
		if (s->frames[rule].kind == FRAME_RULE_ANY) {
			again_rule = ++rule;
			again_line = line;
			continue;
		}
		if (line < lines->nr && matches_line(&s->frames[rule], &lines->items[line])) {
			rule++;
			line++;
			continue;
		}
		if (again_rule == SIZE_MAX || again_line >= lines->nr)
			return false;
		rule = again_rule;
		line = ++again_line;
	}
}

/* Valgrind's innermost frame is its replacement of the allocator; a stack here may begin below. */
static bool is_allocator_rule(const struct frame_rule *rule)
{
	static const char *const names[] = {
		"malloc",	 "calloc", "realloc", "reallocarray",  "memalign", "posix_memalign",
		"aligned_alloc", "valloc", "pvalloc", "operator new*", "_Znw*",	   "_Zna*",
	};

	for (size_t i = 0;
	     rule->kind == FRAME_RULE_FUNCTION && i < sizeof(names) / sizeof(names[0]); i++) {
		if (fnmatch(names[i], rule->pattern, 0) == 0)
			return true;
	}
	return false;
}

bool valgrind_matches(const struct suppression *s, const struct lines *lines)
{
	size_t rule = 0, line = 0;

	while (rule < s->nr_frames && is_allocator_rule(&s->frames[rule]))
		rule++;
	while (line < lines->nr && (lines->items[line].kind == LINE_RECORDER ||
				    lines->items[line].kind == LINE_ALLOCATOR))
		line++;
	return matches_from(s, lines, rule, line);
}
