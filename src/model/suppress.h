/*
 * Known growth that is not to be reported, in LeakSanitizer's syntax (Valgrind's blocks in braces
 * may stand between, see suppress_valgrind.h):
 *
 *   # what and why
 *   leak:PATTERN
 *
 * PATTERN is searched in the function, file and module of every line of a stack. '*' stands for any
 * text, '^' at the beginning and '$' at the end anchor; otherwise it may be found anywhere.
 */
#ifndef SEEP_MODEL_SUPPRESS_H
#define SEEP_MODEL_SUPPRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct frame_rule;
struct lines;

struct suppression {
	char *pattern; /* as written, without "leak:"; with frames: the name of the rule; owned */
	struct frame_rule *frames; /* Valgrind's; NULL: a pattern */
	size_t nr_frames, cap_frames;
	unsigned int line;		/* in the file */
	uint64_t stacks, blocks, bytes; /* what it has hidden; the user of the list counts */
};

struct suppressions {
	struct suppression *items;
	size_t nr, cap;
};

/* name: of the file, for messages. *ret is valid only on success; -EINVAL, status EXIT_FILE. */
int suppressions_parse(const char *text, const char *name, struct suppressions *ret,
		       struct error *e);
void suppressions_release(struct suppressions *s);
/* The first rule that matches a line of the stack; NULL: none. */
struct suppression *suppressions_find(const struct suppressions *s, const struct lines *lines);
/* Does text match the pattern? An empty text matches nothing. */
bool suppression_matches(const char *pattern, const char *text);

#endif
