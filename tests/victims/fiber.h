/*
 * Coroutines switched by hand, as boost.context and many runtimes do it: the callee-saved registers
 * on the old stack, the stack pointer exchanged, the registers of the other from its stack.
 */
#ifndef SEEP_VICTIM_FIBER_H
#define SEEP_VICTIM_FIBER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FIBER_SAVED 6 /* r15 r14 r13 r12 rbx rbp, from the stack pointer up */

/* Saves the present point in *ret_from and continues at `to`; returns when somebody comes back. */
void fiber_switch(void **ret_from, void *to);

/* Where a new fiber starts: calls r12 with rbx as argument. Outermost frame, says its CFI. */
void fiber_start(void);

/* Lays out a new stack: the first switch to the result calls run(arg), which never returns. */
static inline void *fiber_new(void *stack, size_t size, void (*run)(void *), void *arg)
{
	uintptr_t *sp = (uintptr_t *)(((uintptr_t)stack + size) & ~(uintptr_t)15);

	*--sp = 0; /* room, and a wrong return address that stops a careless walk */
	*--sp = 0;
	*--sp = (uintptr_t)fiber_start;
	sp -= FIBER_SAVED;
	for (int i = 0; i < FIBER_SAVED; i++)
		sp[i] = 0;
	sp[3] = (uintptr_t)run;
	sp[4] = (uintptr_t)arg;
	return sp;
}

#ifdef __cplusplus
}
#endif

#endif
