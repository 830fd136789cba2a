/*
 * /etc/ld.so.preload: the libraries that the dynamic loader puts into every program. One entry of
 * it is ours; everything else, comments and order included, stays as it is, to the byte.
 *
 * The format is glibc's (elf/rtld.c, do_preload): paths between blanks, tabs, line ends and colons;
 * '#' begins a comment.
 */
#ifndef SEEP_TARGET_PRELOAD_LIST_H
#define SEEP_TARGET_PRELOAD_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct str;

/* Is a library there whose last part is this name? */
bool preload_list_holds(const char *text, size_t len, const char *name);
/*
 * The same list, in which path (NULL: none) is the only library called `name`; appended to *out.
 * Added and taken away again, the text is as it was.
 */
void preload_list_set(const char *text, size_t len, const char *name, const char *path,
		      struct str *out);

/*
 * The file, replaced at once or not at all; written only if something changes, and removed when
 * nothing is left in it. 0, or negative errno with *e (EXIT_FILE).
 */
int preload_list_write(const char *file, const char *name, const char *path, struct error *e);

#endif
