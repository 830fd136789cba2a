/* What else is done by way of a thread that ptrace has stopped. */
#ifndef SEEP_TARGET_TRACING_H
#define SEEP_TARGET_TRACING_H

#include <stddef.h>
#include <stdint.h>

/*
 * While we trace it, the thread's seccomp filters are not asked (needs CAP_SYS_ADMIN and a kernel
 * with CONFIG_CHECKPOINT_RESTORE). 0 or negative errno.
 */
int tracing_suspend_seccomp(int32_t tid);
/*
 * Writes into its process's memory, whatever is protected there: also where the kernel forbids that
 * to who writes /proc/PID/mem (proc_mem.force_override, Linux 6.12). At most 8 bytes of one page,
 * all at once. 0 or negative errno.
 */
int tracing_write(int32_t tid, uint64_t addr, const void *bytes, size_t len);

#endif
