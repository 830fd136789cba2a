/*
 * Suppressions in Valgrind's syntax, of which the frames matter here:
 *
 *   {
 *      name
 *      Memcheck:Leak
 *      match-leak-kinds: definite
 *      fun:malloc
 *      ...
 *      obj:*libfoo.so*
 *   }
 *
 * Frames are compared from the innermost outwards; "..." stands for any number of them; what is not
 * said of outer frames does not matter. "fun:" is compared with the function's name with and
 * without its parameters, "src:" with its file, "obj:" with the module's path; '*' and '?' are
 * wildcards. C++ names are compared as people read them: Valgrind's files have them mangled, so a
 * suppression for a C++ function has to be written with "*" where it is to work here too.
 */
#ifndef SEEP_MODEL_SUPPRESS_VALGRIND_H
#define SEEP_MODEL_SUPPRESS_VALGRIND_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct lines;
struct suppression;

enum frame_rule_kind { FRAME_RULE_FUNCTION, FRAME_RULE_OBJECT, FRAME_RULE_SOURCE, FRAME_RULE_ANY };

struct frame_rule {
	enum frame_rule_kind kind;
	char *pattern; /* owned; NULL: FRAME_RULE_ANY */
};

/*
 * Reads the block after a line "{". *text is moved behind its "}", *number to that line. True: *ret
 * is a rule for leaks, to be released with suppression_release_frames(), its pattern the name.
 * False with e untouched: it is about other errors. *ret_err: 0 or -EINVAL with *e.
 */
bool valgrind_parse_block(const char **text, unsigned int *number, const char *name,
			  struct suppression *ret, int *ret_err, struct error *e);
void suppression_release_frames(struct suppression *s);
bool valgrind_matches(const struct suppression *s, const struct lines *lines);

#endif
