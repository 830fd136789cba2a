/*
 * The site of a stack: the innermost line that is not an allocator function. Where that line
 * belongs to a library, the first line of the program's own code is put forward as what to look at.
 *
 *   malloc · strdup · config_set · main      site: strdup, put forward: config_set
 */
#ifndef SEEP_MODEL_SITE_H
#define SEEP_MODEL_SITE_H

#include <stddef.h>

struct lines;
struct str;

struct site {
	size_t inner; /* index into lines: the site itself */
	size_t lead; /* the line put forward: first own line from there outwards; inner when none */
	size_t host; /* what lead was inlined into; lead when it was not inlined */
};

struct site site_of(const struct lines *l);

/*
 * Appends a text that is equal for two stacks when they have the same line put forward, also across
 * two snapshots: module, function, file and line, or module and offset where nothing more is known.
 */
void site_key(const struct lines *l, const struct site *site, struct str *out);

#endif
