/* Making a mark (wire/marks.h) in the recorder's table of a process, from outside. */
#ifndef SEEP_TARGET_TABLE_MARK_H
#define SEEP_TARGET_TABLE_MARK_H

#include <stdint.h>

#include "wire/wire.h"

struct error;
struct table;

#define TABLE_MARK_NAME_MAX WIRE_MARK_NAME_MAX /* the NUL included */

struct table_mark {
	uint32_t number; /* from 1 */
	uint64_t since_began_ns;
};

/*
 * The process goes on meanwhile: what other threads do at this instant is on either side. 0, or
 * negative errno with *e: -ENOSPC, there are as many as there can be.
 */
int table_mark(struct table *t, const char *name, struct table_mark *ret, struct error *e);

#endif
