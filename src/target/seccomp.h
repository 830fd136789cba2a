/*
 * Would a thread's seccomp filters let our calls pass? The kernel shows a thread's filters to a
 * tracer with CAP_SYS_ADMIN that is not filtered itself; they are run here as the kernel runs them.
 */
#ifndef SEEP_TARGET_SECCOMP_H
#define SEEP_TARGET_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sock_filter;
struct seccomp_data;

/* False: asking is not permitted, so the answer would be no. */
bool seccomp_may_ask(void);
/* All calls of a remote call: clone, wait4, exit_group and rt_sigreturn. tid: stopped by us. */
bool seccomp_lets_calls_pass(int32_t tid);
/*
 * What the filters of a thread that is stopped by us say of calls: for each the action that the
 * kernel would take (SECCOMP_RET_…, without data), as the strictest filter has it. 0 or negative
 * errno: the filters cannot be seen.
 */
int seccomp_judge(int32_t tid, const struct seccomp_data *calls, size_t nr, uint32_t *ret_actions);
/*
 * Runs one filter: its verdict (SECCOMP_RET_…), or SECCOMP_RET_KILL_PROCESS for one that the kernel
 * would not have taken.
 */
uint32_t seccomp_run(const struct sock_filter *code, size_t nr, const struct seccomp_data *data);

#endif
