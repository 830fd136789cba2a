/* Options of a thread that ptrace has stopped. */
#ifndef SEEP_TARGET_TRACING_H
#define SEEP_TARGET_TRACING_H

#include <stdint.h>

/*
 * While we trace it, the thread's seccomp filters are not asked (needs CAP_SYS_ADMIN and a kernel
 * with CONFIG_CHECKPOINT_RESTORE). 0 or negative errno.
 */
int tracing_suspend_seccomp(int32_t tid);

#endif
