/*
 * What must be known of a process before it is made to clone itself: everything that could harm it,
 * or make the clone's memory differ from its own. Looked up before it is stopped.
 */
#ifndef SEEP_TARGET_HAZARDS_H
#define SEEP_TARGET_HAZARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maps;
struct patches;
struct process_info;

struct hazards {
	/* Why it must not be cloned: "it has a seccomp filter"; "" when it may. */
	char why[256];
	bool stands_still; /* it is stopped already (SIGSTOP) */
	bool userfault;	   /* memory that the process supplies page by page: userfaultfd(2) */
	bool filtered;	   /* a seccomp filter: whether it lets our calls pass is to be asked */
};

/* Never fails: what cannot be looked up is told as a reason not to clone. dir: of /proc/PID. */
void hazards_check(int dir, const struct process_info *p, const struct maps *maps,
		   struct hazards *ret);
/*
 * Is this thread's own state a reason? The same is true of each thread alone, so this is for the
 * one that will make the calls, once it is stopped. False and *why filled when it is.
 */
bool hazards_thread_may_call(int dir, int32_t tid, char *why, size_t why_bytes);
/*
 * Ranges of a userfaultfd, and (of_fork) those that a forked child would not have (MADV_DONTFORK)
 * or have empty (MADV_WIPEONFORK): as patches that say so. From smaps, which takes some 10 ms per
 * GiB that is resident, and hinders the process in making and removing mappings meanwhile.
 */
int hazards_find_ranges(int dir, bool of_fork, struct patches *ret);

#endif
