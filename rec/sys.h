/*
 * Raw system calls: no errno, no cancellation points, no libc. Each returns what the kernel does,
 * a negative errno on failure.
 */
#ifndef SEEP_REC_SYS_H
#define SEEP_REC_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "arch_x86_64.h"

static inline long sys0(long nr)
{
	return arch_syscall6(nr, 0, 0, 0, 0, 0, 0);
}

static inline long sys1(long nr, long a)
{
	return arch_syscall6(nr, a, 0, 0, 0, 0, 0);
}

static inline long sys2(long nr, long a, long b)
{
	return arch_syscall6(nr, a, b, 0, 0, 0, 0);
}

static inline long sys3(long nr, long a, long b, long c)
{
	return arch_syscall6(nr, a, b, c, 0, 0, 0);
}

static inline void *sys_mmap(size_t bytes, int prot, int flags, int fd)
{
	return (void *)arch_syscall6(SYS_mmap, 0, (long)bytes, prot, flags, fd, 0);
}

/* True for the addresses the kernel returns as errors. */
static inline int sys_failed(const void *p)
{
	return (uintptr_t)p >= (uintptr_t)-4095;
}

static inline long sys_open_read(const char *path)
{
	return arch_syscall6(SYS_openat, -100 /* AT_FDCWD */, (long)path, 02000000 /* O_CLOEXEC */,
			     0, 0, 0);
}

#endif
