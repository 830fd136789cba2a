/*
 * A process that stands at the end of exec, before its first instruction: what the kernel has put
 * on its new stack, and two more variables for its environment. One file a processor; see
 * exec_stack_x86_64.c.
 */
#ifndef SEEP_TARGET_EXEC_STACK_H
#define SEEP_TARGET_EXEC_STACK_H

#include <stdbool.h>
#include <stdint.h>

/* Has a stopped tracee not run any instruction of its new program yet? */
bool exec_stack_is_fresh(int32_t pid);
/*
 * May nothing be put into a tracee stopped by PTRACE_EVENT_EXEC, as it has privileges of its own
 * (AT_SECURE)? 0: it may; -EPERM: so it is; another negative errno: its stack is not as expected.
 */
int exec_stack_check(int32_t pid);
/*
 * For a tracee stopped by PTRACE_EVENT_EXEC: puts the recorder in front of its LD_PRELOAD, and
 * session ("SEEP_REC=…") into its environment. 0; -EPERM: it has privileges of its own (AT_SECURE);
 * another negative errno: its stack is not as expected. Nothing is changed then.
 */
int exec_stack_add(int32_t pid, const char *recorder, const char *session);

#endif
