/*
 * All threads of a process at a standstill, by ptrace: seized, interrupted all first and then
 * awaited one by one, so that the standstill begins within a fraction of a millisecond.
 *
 * Signals that arrive meanwhile are delivered as if nobody watched; a process that was stopped
 * (SIGSTOP, Ctrl-Z) stays so. All functions are for the thread that called freeze_init(); when that
 * thread ends, the kernel releases whatever is still held.
 */
#ifndef SEEP_TARGET_FREEZE_H
#define SEEP_TARGET_FREEZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum frozen_state {
	FROZEN_SEIZED,	/* asked to stop, has not yet */
	FROZEN_STOPPED, /* stands still, where it would also have taken a signal */
	FROZEN_KERNEL, /* sleeps inside the kernel, where nothing wakes it; runs none of its code */
	FROZEN_GONE,
};

struct frozen_thread {
	int32_t tid;
	enum frozen_state state;
	bool group_stopped; /* by SIGSTOP or the like, which will hold when we are gone */
};

struct freeze {
	int32_t pid;
	int dir; /* of /proc/PID */
	struct frozen_thread *threads;
	size_t nr, cap, nr_sorted; /* the first nr_sorted ascend by tid */
	uint64_t began_ns;	   /* first interruption; 0: none yet */
	uint64_t paused_ns;	   /* from there to the last release */
};

/* Takes over dir. */
void freeze_init(struct freeze *f, int32_t pid, int dir);
/*
 * 0, or negative errno with nothing left stopped. -EPERM: tracing is not permitted; -ESRCH: the
 * process has ended; -ETIMEDOUT: a thread could not be stopped.
 */
int freeze_stop(struct freeze *f);
/*
 * Takes over the only thread of a process, which the calling thread holds at the end of its exec
 * (catch_exec.h): it runs none of its code. From then on it is held as after freeze_stop(). As that
 * returns.
 */
int freeze_adopt(struct freeze *f);
/*
 * Stops only one thread of a process, the next of its list after *at (begin with 0); *at moves on.
 * -ENOENT: there is none any more.
 */
int freeze_stop_one(struct freeze *f, size_t *at, int32_t *ret_tid);
/* How long it stands still by now, or has stood. */
uint64_t freeze_pause_ns(const struct freeze *f);
/* Lets all threads go on. */
void freeze_go(struct freeze *f);
/*
 * Collects threads that have ended while we held them; context: a struct freeze, of which only pid
 * and dir are read. For another thread than the one that holds them (wait() is for all of ours):
 * exec() waits in the kernel for the end of the other threads to be noticed, with a mutex that
 * PTRACE_SEIZE of the next thread waits for, so that the holding thread could never do it itself.
 */
void freeze_collect_ended(void *context);
void freeze_release(struct freeze *f);

/*
 * Waits for a tracee to report, at most until the deadline (freeze_now_ns() time). 0, -ETIMEDOUT,
 * or -ESRCH when it is no longer ours. The end of a process that we have started stays to be
 * collected, by who has started it.
 */
int freeze_wait(pid_t tid, uint64_t deadline_ns, int *ret_status);
uint64_t freeze_now_ns(void);
/* State letter of a thread, as in /proc/PID/stat; 0: not there. */
char freeze_thread_state(int dir, int32_t tid);
/* Has a thread in this state ended? */
bool freeze_is_over(char state);

/* Where a thread that sleeps in the kernel will come back to. */
struct sleeper {
	long call; /* the system call; -1: it is in none (a page fault) */
	uint64_t sp, pc;
};

/* False: it does not sleep, or that may not be known. */
bool freeze_read_sleeper(int dir, int32_t tid, struct sleeper *ret);
/* Does it wait in vfork() for a child that runs in the process's memory, on its own stack? */
bool freeze_in_vfork(int dir, int32_t tid);

#endif
