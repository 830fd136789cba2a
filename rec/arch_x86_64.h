/* What depends on the processor: raw system calls, register numbers of DWARF, the thread pointer.
 */
#ifndef SEEP_REC_ARCH_X86_64_H
#define SEEP_REC_ARCH_X86_64_H

#include <stdint.h>

#define ARCH_DWARF_BP 6 /* System V ABI AMD64, figure 3.36 */
#define ARCH_DWARF_SP 7
#define ARCH_DWARF_RA 16
#define ARCH_DWARF_NR 17
#define ARCH_RELOC_JUMP_SLOT 7

static inline long arch_syscall6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

static inline uint64_t arch_thread_pointer(void)
{
	uint64_t tp;

	__asm__("mov %%fs:0, %0" : "=r"(tp));
	return tp;
}

/* rsp at this point; for telling a live frame from one that was jumped out of. */
static inline uint64_t arch_stack_pointer(void)
{
	uint64_t sp;

	__asm__ volatile("mov %%rsp, %0" : "=r"(sp));
	return sp;
}

#endif
