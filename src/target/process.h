/*
 * One process as /proc shows it: who it is, what it uses now, its threads; and how to find it.
 *
 * A pid alone does not name a process, because pids are used again: pid, start_ticks and boot_id
 * together do. Functions with a `struct error *` fill it with a sentence and a hint, status
 * EXIT_TARGET; functions ending in _at take a descriptor from proc_open() and give only errno.
 * All names and command lines are chosen by the process: print them escaped.
 */
#ifndef SEEP_TARGET_PROCESS_H
#define SEEP_TARGET_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

struct process_info {
	int32_t pid;
	int32_t tgid; /* differs from pid when pid is only a thread of process tgid */
	int32_t ppid;
	int32_t ns_pid; /* what the process calls itself; differs from pid in a container */
	uint32_t uid, euid;
	uint64_t start_ticks; /* clock ticks after boot */
	char boot_id[40];     /* "" unknown; filled by process_read() only */
	char state;	      /* as in /proc/PID/stat: R S D T t Z X I */
	bool kernel_thread;
	char comm[64];	  /* at most 15 characters for a user's program */
	char *exe;	  /* path of the program without " (deleted)"; "" not permitted or none */
	bool exe_deleted; /* the file is gone or was replaced */
	char *argv0;	  /* "" none */
	char *command;	  /* arguments, joined by blanks; may hold secrets; "" none */
};

#define PROCESS_INFO_INIT                                                                          \
	{                                                                                          \
		.pid = 0                                                                           \
	}

/* *ret is valid, and to be released, only on success. What is not permitted is left empty. */
int process_read(int32_t pid, struct process_info *ret, struct error *e);
int process_read_at(int dir, int32_t pid, struct process_info *ret);
void process_info_release(struct process_info *p);
/*
 * What people call it: the last part of exe, or of argv[0] where it was started by another name, or
 * comm. Never NULL; belongs to p.
 */
const char *process_name(const struct process_info *p);
/* True once it has ended, whether or not its parent has collected it. */
bool process_is_zombie(const struct process_info *p);

/*
 * Is the process with this pid and start time still there? 0; -ESRCH: gone, or only a zombie is
 * left; -ESTALE: the pid belongs to another process now.
 */
int process_check(int32_t pid, uint64_t start_ticks);
int process_check_at(int dir, uint64_t start_ticks);
/* Where the heap that brk(2) moves begins, whether it has anything yet or not; 0: not known. */
uint64_t process_heap_start(int32_t pid);

/*
 * Says in *e why `what` ("memory map", "memory", "tables") of a process cannot be had after `err`:
 * gone, zombie, kernel thread, another user's, not dumpable, capability missing. Returns err.
 */
int process_explain(int32_t pid, int err, const char *what, struct error *e);

/* The same after tracing it failed: traced by another, forbidden by the system, no right to. */
int process_explain_trace(int32_t pid, int err, struct error *e);

struct process_thread {
	int32_t tid;
	char name[64];
};

/* All threads, ascending by tid; one that ends meanwhile is left out. Caller frees *ret. */
int process_threads(int32_t pid, struct process_thread **ret, size_t *ret_nr, struct error *e);

/* Has it this thread, by the number that its own pid namespace has for it? */
bool process_has_thread(int32_t pid, int32_t ns_tid);

/*
 * The process that TARGET means: a pid, or a name (comm, or last part of the program's path or of
 * argv[0]). Exactly one, never seep itself by name. Errors: none ("no such process: 4242", "no
 * process is called 'foo'" with near names in the hint), several (the hint lists their pids), a
 * thread's id (the hint names its process). An empty target is -EINVAL with EXIT_USAGE.
 */
int process_find_one(const char *target, int *ret_pid, struct error *e);

/* The same, but several matches are welcome; ascending, at least one; caller frees *ret_pids. */
int process_find_all(const char *target, int32_t **ret_pids, size_t *ret_nr, struct error *e);

#endif
