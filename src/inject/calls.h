/*
 * System calls made by one thread of a process, while its others stand still or go on. Each is
 * harmless should seep be killed in the middle; see target/remote_call.h. For jobs of the hold's
 * tracer.
 */
#ifndef SEEP_INJECT_CALLS_H
#define SEEP_INJECT_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "target/maps.h"
#include "target/remote_call.h"

struct hold;

struct calls {
	struct hold *hold;
	struct maps maps; /* of when it was opened: code and stacks */
	struct remote_places places;
	bool suspend_seccomp; /* set by the caller: filters are not to see our calls */
	int mem;	      /* of the process */
	int32_t tid;	      /* the thread that makes them; 0: none is chosen */
};

#define CALLS_INIT                                                                                 \
	{                                                                                          \
		.mem = -1                                                                          \
	}

/* Reads what is needed; nothing is stopped. 0 or negative errno. */
int calls_open(struct calls *c, struct hold *hold);
void calls_close(struct calls *c);

/*
 * With all threads stopped, which they stay: chooses one that is fit for it. -EAGAIN: none is at
 * present.
 */
int calls_choose(struct calls *c);

/*
 * With all threads stopped: makes those calls that a seep which was killed has sent threads into,
 * and that they have not made yet. 0: there were none; -ESTALE: there were, so that nothing is as
 * it was read before; or another negative errno.
 */
int calls_finish(const struct calls *c);

/* What the call returned; or negative errno, as a call that failed does, when it was not made. */
int64_t calls_make(struct calls *c, uint64_t nr, uint64_t a, uint64_t b, uint64_t d, uint64_t e,
		   uint64_t f, uint64_t g);
/* The same of a call that takes a name and a number. */
int64_t calls_make_named(struct calls *c, uint64_t nr, const char *name, uint64_t b);

#endif
