/*
 * A few system calls in a row that no other thread may come between: each of them wakes a thread of
 * the process that waits for the rest, and would run first, for as long as it likes.
 *
 * The calling thread is of a real-time class meanwhile (sched(7)), where that is permitted;
 * otherwise nothing is changed. Never around anything that waits: who is waited for might need the
 * same processor.
 */
#ifndef SEEP_TARGET_AHEAD_H
#define SEEP_TARGET_AHEAD_H

#include <sched.h>
#include <stdbool.h>

struct ahead {
	bool changed;
	int policy; /* before */
	struct sched_param param;
};

void ahead_begin(struct ahead *a);
void ahead_end(const struct ahead *a);

#endif
