/*
 * Where things lie in the register sets of cores, by machine: struct user_regs_struct inside
 * struct elf_prstatus. Sources: Linux arch/x86/include/asm/{elf,user_32,user_64,user32}.h,
 * arch/arm64/include/uapi/asm/ptrace.h, include/linux/elfcore{,-compat}.h. For reading and writing.
 */
#ifndef SEEP_TARGET_CORE_REGS_H
#define SEEP_TARGET_CORE_REGS_H

#include <stddef.h>
#include <stdint.h>

/* Offsets in bytes; words of word_bytes. */
struct core_regs {
	uint16_t machine;
	unsigned int word_bytes;
	size_t status_bytes;		/* of struct elf_prstatus */
	size_t status_pid, status_regs; /* in it; regs: regs_bytes, then int pr_fpvalid */
	size_t status_signal;		/* pr_cursig, a short */
	size_t regs_bytes;
	size_t pc, sp;		     /* in the registers */
	size_t tp;		     /* x86-64: fs_base; others: NO_OFFSET */
	size_t tls_selector;	     /* i386: gs; others: NO_OFFSET */
	size_t info_bytes;	     /* of struct elf_prpsinfo */
	size_t info_uid, id_bytes;   /* uid and gid, each id_bytes wide */
	size_t info_pid;	     /* pid, ppid, pgrp, sid: int each */
	size_t info_comm, info_args; /* 16 and 80 bytes */
};

#define CORE_NO_OFFSET SIZE_MAX
#define CORE_COMM_BYTES 16
#define CORE_ARGS_BYTES 80

/* NULL: cores of this machine are not known. */
const struct core_regs *core_regs_of(uint16_t machine);

#endif
