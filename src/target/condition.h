/*
 * What state a process is in, as far as it matters to whoever wants to stop it and have it make
 * calls: looked up from outside, without stopping it.
 */
#ifndef SEEP_TARGET_CONDITION_H
#define SEEP_TARGET_CONDITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct condition {
	size_t threads_nr;
	int32_t tracer;	      /* 0 none */
	char tracer_name[64]; /* as that process chose it: print it escaped */
	bool stopped;	      /* by SIGSTOP or the terminal */
	/*
	 * A thread that waits and cannot be interrupted, and has done so for some time; 0 none. A
	 * parent in vfork() is one: then its child uses its memory.
	 */
	int32_t waiting_tid;
	bool in_vfork;
	int32_t sharer;	      /* another process that uses the very same memory; 0 none was seen */
	unsigned int seccomp; /* greatest mode of any thread: 0, 1 strict, 2 filter */
	bool shadow_stack;    /* of any thread */
	bool catches_traps;   /* it has a handler for SIGTRAP */
	bool all_locked;      /* mlockall(): new mappings may be locked, too */
	uint64_t address_limit, address_used; /* RLIMIT_AS, UINT64_MAX: none; of that it has … */
	uint64_t data_limit, data_used;	      /* RLIMIT_DATA, likewise */
	uint64_t memory_room;		      /* of its control group; UINT64_MAX unlimited */
	char confined[64];		      /* label of a security module, or "" */
};

/*
 * 0, or negative errno (-ESRCH: it has gone). What lasts only a moment (vfork, waiting) is looked
 * at several times, for up to a tenth of a second.
 */
int condition_read(int32_t pid, struct condition *ret);

#endif
