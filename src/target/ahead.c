/* See ahead.h. Linux: both calls are about the calling thread only. */
#include "target/ahead.h"

void ahead_begin(struct ahead *a)
{
	const struct sched_param least = {.sched_priority = 1};

	a->changed = false;
	a->policy = sched_getscheduler(0);
	/* Who is of such a class already has chosen it. */
	if (a->policy < 0 || (a->policy & ~SCHED_RESET_ON_FORK) != SCHED_OTHER ||
	    sched_getparam(0, &a->param) < 0)
		return;
	a->changed = !sched_setscheduler(0, SCHED_FIFO | (a->policy & SCHED_RESET_ON_FORK), &least);
}

void ahead_end(const struct ahead *a)
{
	if (a->changed)
		sched_setscheduler(0, a->policy, &a->param);
}
