/*
 * Registers of a thread that ptrace has stopped. One file a processor; see registers_x86_64.c.
 */
#ifndef SEEP_TARGET_REGISTERS_H
#define SEEP_TARGET_REGISTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target_thread;

/* To be called once before the others: what takes long and is the same for all threads. */
void registers_prepare(void);
/*
 * Fills pc, sp, tp and all register words of a stopped thread; only the thread's tracer may ask.
 * False: the kernel would not tell, nothing is filled.
 */
bool registers_read(int32_t tid, struct target_thread *thread);
/*
 * Did a wait without a time limit end with EINTR because of our stop, and nothing else? Then the
 * thread is made to wait again, so that it never knows. The waits that do not go on by themselves
 * after a stop: signal(7), "Interruption of system calls and library functions by stop signals".
 * Should a signal be on its way, it ends the wait all the same: the kernel decides that when the
 * thread goes on. For a thread stopped by PTRACE_INTERRUPT.
 */
void registers_hide_stop(int32_t tid);
/*
 * General registers of a thread by their numbers in DWARF, from 0 on, the address of the
 * instruction where the processor's ABI has a number for it. Returns how many; 0: they are not
 * known, or max is too small. *ret_stack: the stack pointer's number.
 */
size_t registers_by_dwarf(const struct target_thread *thread, uint64_t *ret, size_t max,
			  unsigned int *ret_stack);
/* Where a stopped thread is, for whoever needs no more than that. */
#define REGISTERS_GENERAL_NR 16
struct registers_place {
	uint64_t pc, sp, bp;
	uint64_t tp;				/* thread pointer, 0: it has none */
	uint64_t general[REGISTERS_GENERAL_NR]; /* all that may hold an address, in no order */
};

bool registers_get_place(int32_t tid, struct registers_place *ret);
/* The thread goes on there. It is not in a system call. */
bool registers_set_pc(int32_t tid, uint64_t pc);

#endif
