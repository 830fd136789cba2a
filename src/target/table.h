/*
 * The recorder's table of a process (wire/wire.h), and a consistent copy of it at one instant.
 *
 * Nothing is stopped for the copy. The recorder is told to note every change together with what was
 * there before; once no call that began earlier is under way, that instant is the cut. The tables
 * are then read at leisure and the noted changes undone. doc/snapshots.md argues why that is exact.
 *
 * The table is written by the target and hostile: every offset, count and index is checked.
 */
#ifndef SEEP_TARGET_TABLE_H
#define SEEP_TARGET_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct error;

struct table {
	int fd;
	int32_t pid;		    /* as we see it; 0: as the header has it */
	struct wire_header *header; /* mapped shared, writable: control fields */
	struct wire_header layout;  /* checked copy of the configuration */
};

/* Of a live process. Errors: not recorded, its launcher gone and no permission, another's process.
 */
int table_open_pid(int32_t pid, struct table *ret, struct error *e);
/* From the launcher's own descriptor, which stays the caller's; who knows it sets ret->pid. */
int table_open_fd(int fd, struct table *ret, struct error *e);
void table_close(struct table *t);

/* A copy; all arrays are the cut's own. */
struct cut {
	struct wire_header header; /* as it was: losses, state, allocator */
	uint64_t taken_monotonic_ns, took_ns;
	bool torn; /* no consistent instant: see struct losses in model/snapshot.h */

	struct wire_node *nodes; /* parent < own index, checked */
	uint64_t *node_blocks, *node_bytes, *node_temps;
	/*
	 * Per node: sampled blocks, and what they stand for, which is not in the three arrays
	 * above; blocks and temps in units of 1 / WIRE_WEIGHT_ONE. All NULL: none were sampled. A
	 * block is of the node of its stack, sampled or not.
	 */
	uint64_t *node_samples, *sample_blocks, *sample_bytes, *sample_temps;
	size_t nr_nodes;
	uint64_t frees; /* all frees, where the recorder counts them (see struct wire_thread) */
	struct wire_unseen unseen; /* while the recording was off */
	struct wire_block *blocks; /* live, ascending by file position; node < nr_nodes, checked */
	size_t nr_blocks;
	struct wire_block *pool_blocks; /* of the program's pools; maybe inside others */
	size_t nr_pool_blocks;
	/* Of resources: addr is the handle, if it has 47 bits or less; size tells it from others.
	 */
	struct wire_block *handles;
	size_t nr_handles;
	struct wire_mark *marks; /* that were there, ascending by code, names end */
	size_t nr_marks;
	struct wire_tag *tags; /* names end; "" where one is not known */
	size_t nr_tags;
	struct wire_module *modules;
	size_t nr_modules;
	uint64_t broken_rows; /* left out because they made no sense */
};

/* Reads an array that lies inside the file by the layout. Errors: -EIO. */
int table_read(struct table *t, void *to, size_t bytes, uint64_t offset, struct error *e);
/* Bytes of the table's file that locks are of. */
enum table_lock_byte { TABLE_LOCK_LOOK, TABLE_LOCK_DRAIN };

/* A lock that lets in one reader, or changer of the mode, at a time. Errors: -EBUSY. */
int table_lock(struct table *t, struct error *e);
void table_unlock(struct table *t);
/*
 * After a change of header->slow: waits until no call is under way that has not seen it. False: one
 * does not end (its thread is stopped).
 */
bool table_settle(struct table *t);

/* ended: the process is gone, nothing changes any more. 0 or negative errno with *e. */
int table_cut(struct table *t, bool ended, struct cut *ret, struct error *e);
void cut_release(struct cut *c);

#endif
