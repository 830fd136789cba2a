/* Who points to a block, as a sheet: a row a pointer, and the part "path". */
#ifndef SEEP_MODEL_REFVIEW_H
#define SEEP_MODEL_REFVIEW_H

#include <stdbool.h>
#include <stdint.h>

struct sheet;

void refview_init(struct sheet *ret);
/*
 * from: "root" or "block"; address of the pointer, 0: it is not in memory; offset of it in its
 * block; into: how far behind the block's beginning it points.
 */
void refview_add(struct sheet *s, const char *from, uint64_t address, uint64_t offset,
		 bool has_offset, uint64_t into, const char *what);
/* The part, to be filled from the root onwards. */
struct sheet *refview_path(struct sheet *s);
void refview_path_add(struct sheet *part, const char *step, uint64_t address, const char *what);

#endif
