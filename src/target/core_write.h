/*
 * Writing a target as an ELF core that debuggers read. The file appears under its name only when it
 * is complete; memory that was never touched, and pages of zeros, are holes in it.
 */
#ifndef SEEP_TARGET_CORE_WRITE_H
#define SEEP_TARGET_CORE_WRITE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct progress;
struct str;
struct target;

struct core_write_options {
	bool everything;		   /* see core_plan_make() */
	const volatile sig_atomic_t *stop; /* not 0: give up (-EINTR), nothing left; NULL: never */
	struct progress *progress;	   /* NULL: none */
};

struct core_written {
	uint64_t memory_bytes;	 /* of the process that the core covers */
	uint64_t stored_bytes;	 /* written; the others are holes */
	uint64_t unread_bytes;	 /* should be in it and could not be read: missing in it */
	uint64_t assumed_bytes;	 /* of shared memory, taken as zeros: not touched by the process */
	uint64_t left_out_bytes; /* on purpose */
	size_t nr_threads, nr_without_registers; /* these are not in it */
};

/*
 * path "-": standard output, zeros written out. Thaws the target as soon as all is read. 0, or
 * negative errno with *e; nothing is left then. *ret is filled only on success.
 */
int core_write(struct target *t, const char *path, const struct core_write_options *o,
	       struct core_written *ret, struct error *e);

/* All notes of a core of t, as they stand in the file. */
void core_write_notes(struct target *t, struct str *out, struct core_written *w);

#endif
