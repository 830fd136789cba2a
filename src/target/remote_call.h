/*
 * One system call, made by a thread of another process that ptrace holds, which afterwards knows
 * nothing of it.
 *
 * We may be killed at any moment; then the kernel lets the thread go on with whatever registers it
 * has. So at no moment are these such that going on would harm: before the thread is sent into the
 * call, what the kernel's own signal handling would have left on its stack is written there, below
 * the part in use. Undisturbed, the thread makes the call, returns from a signal that never was,
 * and continues where it stood. A child that the call makes has a stack of its own there on which
 * it does nothing but end, with REMOTE_CALL_EXIT.
 *
 *      sp of the thread ──▶ ┌──────────────────────────────┐
 *                           │ 128 bytes, in use (red zone) │
 *                           ├──────────────────────────────┤
 *                           │ a name, if the call takes it │
 *                           ├──────────────────────────────┤
 *                           │ its vector registers         │
 *                           ├──────────────────────────────┤
 *                           │ registers for exit_group     │
 *         sp of a child ──▶ │ address of rt_sigreturn      │
 *                           ├──────────────────────────────┤
 *                           │ its registers, signal mask   │ restored by rt_sigreturn, which
 *        sp for the call ──▶│ address of rt_sigreturn      │ the call's instruction returns to
 *                           └──────────────────────────────┘
 *
 * What was below the stack is put back at the end.
 */
#ifndef SEEP_TARGET_REMOTE_CALL_H
#define SEEP_TARGET_REMOTE_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maps;

/* Exit status of a child of ours that ran although nobody held it. */
#define REMOTE_CALL_EXIT 0xb7

/* Instructions in the target's own code. */
struct remote_places {
	uint64_t call;	    /* syscall; ret */
	uint64_t sigreturn; /* mov $rt_sigreturn, %eax; syscall */
	bool short_form;    /* of sigreturn: 5 bytes for the mov, not 7 */
};

/* Reads code through mem, a descriptor of /proc/PID/mem. -ENOENT: not all are there. */
int remote_places_find(int mem, const struct maps *maps, struct remote_places *ret);

/* How well a stopped thread would do; the greatest is best. */
enum remote_fitness {
	REMOTE_UNFIT,	      /* 32-bit, inside a restartable sequence, no stack that we know */
	REMOTE_FOREIGN_STACK, /* its stack may lie in a heap (goroutine, coroutine) */
	REMOTE_TIMED, /* sleeps for a time: if we were killed, the sleep would be cut short */
	REMOTE_FIT,
};

enum remote_fitness remote_fitness(int32_t tid, const struct maps *maps);

/* A system call to make. */
struct remote_call {
	int32_t tid; /* stopped, by an interruption or a stop signal */
	int mem;     /* /proc/PID/mem, open for reading and writing */
	const struct remote_places *places;
	const struct maps *maps;
	uint64_t nr, args[6];
	const char *name; /* not NULL: args[0] is its address there */
	bool makes_child; /* args[1] (the child's stack) is filled in */
	/* Results. */
	int64_t result;	   /* as the system call returned it */
	int32_t child;	   /* its pid as we see it; 0 none */
	uint64_t dirtied;  /* where what was below the stack was, for a moment, not so */
	uint8_t *original; /* what was there; caller frees */
	size_t dirtied_bytes;
};

/*
 * 0: the call was made (whatever it returned) and the thread is as before. Negative errno: it was
 * not made, or the thread has ended (-ESRCH); -EBADMSG: the code is not where it was; -ETIMEDOUT:
 * the call was begun and has not ended, and the thread must be left to itself.
 */
int remote_call_run(struct remote_call *c);
/*
 * A stopped thread that was sent into a call by somebody killed since, and has not made it yet: it
 * would as soon as it goes on, whatever has become of the process's memory. It makes it now, and
 * stops behind it, on its way back. 1: so it was; 0: it stands elsewhere; negative errno as above.
 */
int remote_call_finish(int32_t tid, int mem, const struct remote_places *places);

#endif
