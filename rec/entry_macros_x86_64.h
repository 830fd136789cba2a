/* What the entries of both recorders are written with: assembly, behind <cet.h>. System V AMD64. */
#ifndef SEEP_REC_ENTRY_MACROS_X86_64_H
#define SEEP_REC_ENTRY_MACROS_X86_64_H

#include <sys/syscall.h>

#define FORK_CLONE_VM 0x100 /* CLONE_VM of linux/sched.h, which is for C */

/* clang-format off */
	.macro	FUNCTION name
	.globl	\name
#ifdef REC_BLOB
	.hidden	\name
#endif
	.type	\name, @function
	.p2align 5
\name:
	.cfi_startproc
	_CET_ENDBR
	.endm

	.macro	END name
	.cfi_endproc
	.size	\name, . - \name
	.endm

	.macro	SAVE reg
	push	\reg
	.cfi_adjust_cfa_offset 8
	.endm

	.macro	RESTORE reg
	pop	\reg
	.cfi_adjust_cfa_offset -8
	.endm

	/* What a function may have been given in registers: 48 bytes of the stack. */
	.macro	SAVE_ARGUMENTS
	SAVE	%rdi
	SAVE	%rsi
	SAVE	%rdx
	SAVE	%rcx
	SAVE	%r8
	SAVE	%r9
	.endm

	.macro	RESTORE_ARGUMENTS
	RESTORE	%r9
	RESTORE	%r8
	RESTORE	%rcx
	RESTORE	%rdx
	RESTORE	%rsi
	RESTORE	%rdi
	.endm

	/*
	 * In syscall(number %edi, %rsi, %rdx, …): goes on if it makes a child that returns on a
	 * copy of this stack. Others are not to have a frame of ours on it: two may be about to
	 * use it.
	 */
	.macro	UNLESS_FORK otherwise
	cmp	$SYS_fork, %edi
	je	9f
	cmp	$SYS_clone, %edi
	jne	\otherwise
	test	$FORK_CLONE_VM, %esi
	jnz	\otherwise
	test	%rdx, %rdx	/* the child's stack */
	jnz	\otherwise
9:
	.endm
/* clang-format on */

#endif
