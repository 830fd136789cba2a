/*
 * What changed between two snapshots, stack by stack. Stacks are matched by what they are (see
 * stack_ids.h), never by the numbers that a recording gave them.
 */
#ifndef SEEP_MODEL_DIFF_H
#define SEEP_MODEL_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snapshot;

struct counters {
	uint64_t live_blocks, live_bytes;
	uint64_t total_blocks, total_bytes; /* ever allocated since recording began */
	uint64_t temporary_blocks;
	uint64_t live_samples, total_samples; /* not 0: estimates, made of so many samples */
};

/* One stack in both snapshots; where it is missing, the counters are 0. */
struct change {
	struct counters before, after;
	const struct snapshot *snapshot; /* where `node` is: the newer one that has the stack */
	uint32_t node;
	uint32_t id; /* the recorder's id there */
};

struct changes {
	struct change *items; /* in the order of the new snapshot, then what only the old one has */
	size_t nr, cap;
	uint32_t *of_after; /* by index of the new snapshot's stacks: their change */
	/* Between the two instants; 0: unknown (another boot, or only one snapshot). */
	uint64_t elapsed_ns;
};

/* before NULL: as if compared with a snapshot in which nothing had been allocated. */
void changes_of(const struct snapshot *before, const struct snapshot *after, struct changes *ret);
void changes_release(struct changes *c);

void counters_add(struct counters *sum, const struct counters *c);
/* after - before as a signed number; clamped, so hostile counters cannot overflow. */
int64_t delta_of(uint64_t before, uint64_t after);
int64_t change_bytes(const struct counters *before, const struct counters *after);
int64_t change_blocks(const struct counters *before, const struct counters *after);

#endif
