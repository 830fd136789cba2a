/*
 * Texts that stay where they are until the pool is released, each kept once. Names and paths of
 * symbols repeat a lot, and callers of sym.h hold on to the pointers.
 */
#ifndef SEEP_SYM_NAMES_H
#define SEEP_SYM_NAMES_H

#include <stddef.h>

#include "base/map.h"

struct names {
	struct map by_hash; /* hash of the text -> index + 1 of the newest name with that hash */
	struct name *items; /* index + 1 = handle */
	size_t nr, cap;
};

void names_init(struct names *n);
void names_release(struct names *n);
/* Never NULL; NULL as text reads as "". */
const char *names_add(struct names *n, const char *text);
/*
 * The same for a source file as debug information names it: a relative path is put under `folder`
 * (the compilation's; NULL or "" unknown), and "/./", "//" and "x/../" are taken out.
 */
const char *names_add_path(struct names *n, const char *folder, const char *path);

#endif
