/* See tracing.h. */
#include "target/tracing.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>

#ifndef PTRACE_O_SUSPEND_SECCOMP
#define PTRACE_O_SUSPEND_SECCOMP (1 << 21)
#endif

#define PAGE UINT64_C(4096)

int tracing_suspend_seccomp(int32_t tid)
{
	return ptrace(PTRACE_SETOPTIONS, tid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP)
		       ? -errno
		       : 0;
}

int tracing_write(int32_t tid, uint64_t addr, const void *bytes, size_t len)
{
	uint64_t left = PAGE - addr % PAGE;
	uint64_t at = left < sizeof(long) ? addr - (sizeof(long) - left) : addr;
	long word;

	if (len > left || addr - at + len > sizeof(word))
		return -EINVAL;
	errno = 0;
	word = ptrace(PTRACE_PEEKDATA, tid, (void *)at, NULL);
	if (errno)
		return -errno;
	memcpy((char *)&word + (addr - at), bytes, len);
	return ptrace(PTRACE_POKEDATA, tid, (void *)at, (void *)word) ? -errno : 0;
}
