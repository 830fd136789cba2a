/*
 * The recorder put into a running process.
 *
 *   before           everything is read and planned; nothing is stopped
 *   all stand still  one thread makes the system calls that map memory, and the recorder is written
 *                    there; then entries become jumps
 *
 * (If the other threads went on during the calls, they would keep the one that makes them waiting
 * for a processor at each: a hundred times as long where all are busy.)
 *
 * Killed at any moment, seep leaves a process that runs on: at worst with memory mapped that nobody
 * uses, or recorded as if seep had ended its work. seep detach clears away either.
 */
#ifndef SEEP_INJECT_ATTACH_H
#define SEEP_INJECT_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inject/blob_image.h"
#include "inject/frames.h"
#include "inject/plan.h"
#include "inject/slots.h"
#include "target/mode.h"

struct error;
struct launch_table;
struct preflight;
struct target;

/* What will be done, or was; valid until attach_release(). */
struct attach {
	const struct preflight *preflight;
	struct target *target; /* its target and entries */
	const struct entries *entries;
	struct mode mode;
	struct blob_image image;
	struct frames frames;
	struct slots slots;
	struct plan plan;
	struct launch_table *table; /* where its table goes when it is recorded; NULL: nowhere */
	/* Results of attach_run(). */
	uint64_t pause_ns; /* how long it stood still */
	size_t threads_nr;
};

/*
 * Plans it for a process that a preflight has found nothing against; that must outlive *ret.
 * Recording will begin in this mode. Nothing is stopped. Errors carry EXIT_TARGET.
 */
int attach_plan(const struct preflight *p, struct mode mode, struct attach *ret, struct error *e);
/* Does it. After a failure nothing is left in the process, or the message says what. */
int attach_run(struct attach *a, struct error *e);
void attach_release(struct attach *a);
/*
 * All of it for a static program that the calling thread holds at the end of its exec: it is
 * recorded from its first allocation on. Whatever comes of it, the thread may still hold it, and is
 * to let it go. *ret_table, unless NULL: its table, the caller's to release.
 */
int attach_at_start(int32_t pid, struct mode mode, struct launch_table *ret_table, struct error *e);

#endif
