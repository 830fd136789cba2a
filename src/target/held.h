/*
 * How many handles of each kind of resources a recorded process holds at this moment. The process
 * goes on meanwhile; a snapshot (fd_look.h) is of one instant and more exact.
 */
#ifndef SEEP_TARGET_HELD_H
#define SEEP_TARGET_HELD_H

#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct table;

struct held_kind {
	char name[sizeof(((struct wire_tag *)0)->name)]; /* "file descriptors" */
	uint64_t handles; /* recorded; of descriptors, those that are open still */
};

/*
 * Negative errno: it is not recorded, or that may not be read. Kinds belong to the caller; none:
 * nothing but memory is recorded.
 */
int held_read(int32_t pid, struct held_kind **ret, size_t *ret_nr);
/* The same from a table that is open. -EINVAL: what stands in it makes no sense. */
int held_in_table(struct table *t, struct held_kind **ret, size_t *ret_nr);

#endif
