/* Whose frame a slot of a thread's stack is in: the function that keeps a block alive there. */
#ifndef SEEP_CMD_STACK_SLOTS_H
#define SEEP_CMD_STACK_SLOTS_H

#include <stdint.h>

struct snapshot;
struct str;
struct target;
struct variables;

struct stack_slots;

/* All must outlive the result. */
struct stack_slots *stack_slots_new(const struct snapshot *s, struct target *t,
				    struct variables *v);
void stack_slots_free(struct stack_slots *s);
/*
 * Appends ", in holder+0x1c (holder.c:42)", or the module where no function is known; nothing where
 * the frame is not known. A thread's calls are found when it is first asked for.
 */
void stack_slots_describe(struct stack_slots *s, int32_t tid, uint64_t addr, struct str *out);

#endif
