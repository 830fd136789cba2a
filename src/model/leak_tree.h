/* What hangs on a leak, as an indented list: each block once, under the first that points to it. */
#ifndef SEEP_MODEL_LEAK_TREE_H
#define SEEP_MODEL_LEAK_TREE_H

#include <stdint.h>

#include "model/leak_heads.h"

struct reach;
struct sheet;
struct str;

struct leak_tree_options {
	unsigned int depth;    /* levels below the head */
	unsigned int children; /* shown of one block; the rest is counted */
	void (*name)(void *context, uint64_t addr, uint64_t size, struct str *out);
	void *context;
};

/* The part "tree" of a sheet, to be filled. */
struct sheet *leak_tree_part(struct sheet *s);
/* head: id of a block that is a head. */
void leak_tree_add(struct sheet *part, const struct reach *r, const struct leak_heads *heads,
		   uint32_t head, const struct leak_tree_options *o);

#endif
