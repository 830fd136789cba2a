/*
 * Which descriptors a process has while a snapshot is taken of it: the kernel is asked before and
 * after, and what came or went in between may be counted either way.
 */
#ifndef SEEP_TARGET_FD_LOOK_H
#define SEEP_TARGET_FD_LOOK_H

#include <stddef.h>
#include <stdint.h>

struct fd_look {
	int dir; /* of /proc/PID */
	int32_t *before;
	size_t nr_before;
	/* Ascending, the recorder's own left out; NULL: not known. */
	int32_t *open, *seen; /* both times; at least once */
	size_t nr_open, nr_seen;
};

#define FD_LOOK_INIT                                                                               \
	{                                                                                          \
		.dir = -1                                                                          \
	}

void fd_look_begin(struct fd_look *l, int32_t pid);
/* Fills open and seen, if it can be known. */
void fd_look_end(struct fd_look *l);
void fd_look_release(struct fd_look *l);

#endif
