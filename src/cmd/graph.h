/*
 * The graph of a TARGET's blocks and what holds them: from the memory of a process or core, or from
 * a snapshot that was taken with references.
 */
#ifndef SEEP_CMD_GRAPH_H
#define SEEP_CMD_GRAPH_H

#include <stdbool.h>

#include "cmd/blocks_source.h"
#include "heap/extra_blocks.h"
#include "heap/reachable.h"

struct error;
struct sheet;

struct graph {
	struct blocks_source source;
	struct extra_blocks extra; /* that only the recorder knows */
	struct roots roots;	   /* empty where memory is not at hand */
	/* Where roots were found; of a snapshot `where` is the number of the root's row. */
	struct root_hits hits;
	struct reach *reach; /* NULL until graph_find() */
	struct reachable_account account;
	bool has_registers, has_kernel;
	size_t nr_other; /* roots that GRAPH_NO_OTHER_ROOTS left out: pieces of memory, or owners */
};

enum graph_options {
	GRAPH_HITS = 1 << 0,	       /* hits and roots stay for who asks where they are */
	GRAPH_NO_OTHER_ROOTS = 1 << 1, /* ROOT_MEMORY holds nothing */
};

/*
 * Opens the target, with stacks and classes. The recorder's tables are as of the moment they are
 * read, while a clone is of an earlier one; so where they are all that is known of blocks, the
 * process is held still instead. -ENOTSUP: no block is known at all. -ENODATA: a snapshot without
 * references. *g is valid, and to be closed, only on success.
 */
int graph_open(struct graph *g, const char *operand, const struct look_options *o, struct error *e);
/*
 * The same of a look that has been taken, which belongs to *g afterwards, or is released. -EAGAIN:
 * it is a clone, and the process must be held still.
 */
int graph_adopt(struct graph *g, struct look *look, struct error *e);
/* Is memory at hand, or all that is known a snapshot's rows? */
bool graph_has_memory(const struct graph *g);
/* Is all of it of one instant? */
bool graph_is_consistent(const struct graph *g);
/* Notes: how it was looked at, and what is wrong with a snapshot. */
void graph_note_how(const struct graph *g, struct sheet *sheet);
/* Finds and marks it. */
int graph_find(struct graph *g, unsigned int options, struct error *e);
void graph_close(struct graph *g);

#endif
