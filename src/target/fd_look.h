/*
 * The descriptors that the kernel knows compared with those that the recorder does. The process
 * goes on meanwhile, so both are asked in turn, several times: what came or went in between is
 * never taken for what one of them does not know.
 */
#ifndef SEEP_TARGET_FD_LOOK_H
#define SEEP_TARGET_FD_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cut;
struct table;

struct fd_look {
	bool known;	/* the following are; else they are not recorded, or the process is gone */
	uint64_t *gone; /* of the cut's handles, those that are closed; ascending */
	size_t nr_gone;
	uint64_t unseen; /* open, and not known to the recorder, whose own do not count */
};

#define FD_LOOK_INIT                                                                               \
	{                                                                                          \
		.known = false                                                                     \
	}

/* Shortly after the cut. */
void fd_look(struct fd_look *l, int32_t pid, const struct table *t, const struct cut *cut);
void fd_look_release(struct fd_look *l);

#endif
