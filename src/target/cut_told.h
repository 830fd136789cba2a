/*
 * The parts of a cut (table.h) that the program itself has told the recorder: its marks, the names
 * of its tags, and the blocks of its pools.
 */
#ifndef SEEP_TARGET_CUT_TOLD_H
#define SEEP_TARGET_CUT_TOLD_H

#include <stddef.h>
#include <stdint.h>

struct cut;
struct error;
struct table;
struct wire_block;
struct wire_pool_row;
struct wire_undo;

/* The table of pools as it stood when it was copied; rows are freed by the caller. */
struct pool_rows {
	struct wire_pool_row *rows;
	size_t nr;
};

int cut_read_pools(const struct table *t, struct pool_rows *ret, struct error *e);
/* Puts them back to the cut. */
void cut_undo_pools(const struct table *t, struct pool_rows *p, const struct wire_undo *undo,
		    size_t nr_undo);
/*
 * The handles of one kind at this moment, whatever is under way: {addr, size} as in struct cut;
 * ascending by addr, caller frees.
 */
int cut_read_handles(const struct table *t, uint32_t kind, struct wire_block **ret, size_t *ret_nr,
		     struct error *e);
/* Needs cut->nr_nodes. */
void cut_make_pool_blocks(const struct pool_rows *p, struct cut *cut);
/* Marks up to this code of the clock, and tags. */
int cut_read_names(const struct table *t, uint32_t time_code, struct cut *cut, struct error *e);

#endif
