/*
 * Opening a target for who wants the graph of its blocks: with the recorder's where an allocator
 * cannot be walked.
 */
#ifndef SEEP_CMD_UNWALKED_H
#define SEEP_CMD_UNWALKED_H

#include "cmd/blocks_source.h"
#include "heap/extra_blocks.h"

struct error;

/*
 * As blocks_open(). The recorder's tables are as of the moment they are read, while a clone is of
 * an earlier one; so where they are all that is known of blocks, the process is held still instead.
 * -ENOTSUP: no block is known at all. *ret_extra is to be released.
 */
int unwalked_open(struct blocks_source *s, const char *operand, const struct look_options *o,
		  const struct blocks_wants *wants, struct extra_blocks *ret_extra,
		  struct error *e);

#endif
