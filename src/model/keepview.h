/* Who keeps how much (dominators.h), as a sheet: a row a keeper, and trees of what they keep. */
#ifndef SEEP_MODEL_KEEPVIEW_H
#define SEEP_MODEL_KEEPVIEW_H

#include <stddef.h>
#include <stdint.h>

struct dominators;
struct reach;
struct sheet;
struct str;

struct keepview_options {
	unsigned int depth;	     /* levels below the head of a tree */
	unsigned int children;	     /* shown of one node; the rest is summed up */
	unsigned int least_permille; /* of the head: what keeps less is summed up too */
	void (*name)(void *context, uint32_t n, struct str *out); /* n: number of a node */
	void *context;
};

/* The keepers that nothing else keeps, the largest first; limit 0: all. */
void keepview_init(struct sheet *ret, const struct reach *r, const struct dominators *d,
		   size_t limit, const struct keepview_options *o);
/* The part "tree", to be filled; valid until the next part is made. */
struct sheet *keepview_tree(struct sheet *s, const char *heading);
void keepview_tree_add(struct sheet *part, const struct reach *r, const struct dominators *d,
		       uint32_t head, const struct keepview_options *o);

#endif
