/* See tracing.h. */
#include "target/tracing.h"

#include <errno.h>
#include <sys/ptrace.h>

#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif

int tracing_suspend_seccomp(int32_t tid)
{
	return ptrace(PTRACE_SETOPTIONS, tid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP)
		       ? -errno
		       : 0;
}
