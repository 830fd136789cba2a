/*
 * The recorder taken out of a process again, whichever seep has put it there, and whether that had
 * ended its work.
 *
 *   all stand still   entries are themselves again; is any thread inside the recorder?
 *   they go on        … and are asked again 2 ms later, until none is
 *   all stand still   one thread unmaps everything, 1.5 ms at a time
 */
#ifndef SEEP_INJECT_DETACH_H
#define SEEP_INJECT_DETACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct calls;
struct error;
struct hold;
struct target;

struct detach {
	uint64_t pause_ns;   /* how long it stood still in all */
	uint64_t longest_ns; /* … and at a time */
	size_t tries;	     /* how often it was stopped */
	size_t entries_nr;   /* that were put back */
	size_t left_nr;	     /* that another tool has changed since: those are as it left them */
};

/* t: live. -ENOENT with *e: there is nothing to take out. */
int detach_run(struct target *t, bool suspend_seccomp, struct detach *ret, struct error *e);
/*
 * The same where an attach has failed: blob is the address of its struct wire_blob, 0: it is not
 * there yet. 0: nothing is left.
 */
int detach_leftovers(struct hold *h, struct calls *c, uint64_t blob, struct error *e);

#endif
