/*
 * The interposed functions, System V AMD64.
 *
 * ALLOCATES calls the real function first, keeping only the requested size, then leaves through
 * rec_allocated(p, size, pc, sp, bp) by a jump: pc, sp and bp are those of the caller, exactly as they
 * will be after the return, and no frame of ours is in the stack. All registers that the caller may
 * count on are the real function's affair, then a C function's.
 *
 * Each real_* pointer starts at a boot stub that resolves all of them and begins the recording.
 */
#include <cet.h>

#include "entry_macros_x86_64.h"

	/*
	 * Takes the place of a real function that no module has yet: a C program may load C++
	 * plugins later, and then the function is looked for as that caller would find it.
	 */
	.macro	LATE name
	.section .rodata.str, "aMS", @progbits, 1
rec_name_\name:
	.asciz	"\name"
	.text
	.globl	rec_late_\name
	.hidden	rec_late_\name
	.type	rec_late_\name, @function
	.p2align 4
rec_late_\name:
	.cfi_startproc
	_CET_ENDBR
	SAVE_ARGUMENTS
	SAVE	%rax	/* for alignment */
	lea	rec_name_\name(%rip), %rdi
	mov	56(%rsp), %rsi	/* the caller */
	call	rec_resolve_late
	RESTORE	%rcx
	RESTORE_ARGUMENTS
	jmp	*%rax
	.cfi_endproc
	.size	rec_late_\name, . - rec_late_\name
	.endm

	/* rec_real_NAME, pointing at its boot stub until rec_start() has run */
	.macro	REAL name
	.section .data.rel, "aw", @progbits
	.p2align 3
	.globl	rec_real_\name
	.hidden	rec_real_\name
	.type	rec_real_\name, @object
	.size	rec_real_\name, 8
rec_real_\name:
	.quad	rec_boot_\name
	.text
	.type	rec_boot_\name, @function
	.p2align 4
rec_boot_\name:
	.cfi_startproc
	_CET_ENDBR
	SAVE_ARGUMENTS
	SAVE	%rax	/* for alignment */
	call	rec_start
	RESTORE	%rcx
	RESTORE_ARGUMENTS
	jmp	*rec_real_\name(%rip)
	.cfi_endproc
	.size	rec_boot_\name, . - rec_boot_\name
	LATE	\name
	.endm

	/* size: register that holds the requested bytes; %rax after computing a product */
	.macro	ALLOCATES_BODY name, size, then
	SAVE	\size
	call	*rec_real_\name(%rip)
	RESTORE	%rsi
	mov	%rax, %rdi
	mov	(%rsp), %rdx
	lea	8(%rsp), %rcx
	mov	%rbp, %r8
	jmp	\then
	.endm

	.macro	ALLOCATES name, size, then
	REAL	\name
	FUNCTION \name
	ALLOCATES_BODY \name, \size, \then
	END	\name
	.endm

	/* operator new, where there was one when the program started: else the late one is found */
	.macro	NEW name
	REAL	\name
	FUNCTION \name
	cmpb	$0, rec_new_records(%rip)
	je	1f
	ALLOCATES_BODY \name, %rdi, rec_allocated_wrapper
1:	jmp	*rec_real_\name(%rip)
	END	\name
	.endm

	/* A copy of a string: by the C library, which calls malloc, or by the allocator itself */
	.macro	COPIES name
	REAL	\name
	FUNCTION \name
	cmpb	$0, rec_strings_record(%rip)
	je	1f
	sub	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	*rec_real_\name(%rip)
	mov	%rax, (%rsp)
	mov	%rax, %rdi
	call	rec_string_bytes
	RESTORE	%rdi
	mov	%rax, %rsi
	mov	(%rsp), %rdx
	lea	8(%rsp), %rcx
	mov	%rbp, %r8
	jmp	rec_allocated_wrapper
1:	jmp	*rec_real_\name(%rip)
	END	\name
	.endm

	.macro	FREES_BODY name, then
	test	%rdi, %rdi
	je	2f
	SAVE	%rdi
	SAVE	%rsi
	SAVE	%rdx
	call	\then
	RESTORE	%rdx
	RESTORE	%rsi
	RESTORE	%rdi
2:	jmp	*rec_real_\name(%rip)
	.endm

	.macro	FREES name
	REAL	\name
	FUNCTION \name
	FREES_BODY \name, rec_freed
	END	\name
	.endm

	/* operator delete: only the allocator's own; others come down to free, which sees it */
	.macro	DELETE name
	REAL	\name
	FUNCTION \name
	cmpb	$0, rec_delete_records(%rip)
	je	2f
	FREES_BODY \name, rec_freed_wrapper
	END	\name
	.endm

	/* Written in C: pc, sp and bp of the caller as further arguments. */
	.macro	TRACED name, pc, sp, bp
	REAL	\name
	FUNCTION \name
	mov	(%rsp), \pc
	lea	8(%rsp), \sp
	mov	%rbp, \bp
	jmp	hook_\name
	END	\name
	.endm

	.macro	PLAIN name
	REAL	\name
	FUNCTION \name
	jmp	hook_\name
	END	\name
	.endm

	/* exit and quick_exit: a look may be wanted before anything of it is done */
	.macro	EXITS name
	REAL	\name
	FUNCTION \name
	SAVE	%rdi
	call	rec_before_exit
	RESTORE	%rdi
	jmp	*rec_real_\name(%rip)
	END	\name
	.endm

	.text
	ALLOCATES malloc, %rdi, rec_allocated
	ALLOCATES memalign, %rsi, rec_allocated_wrapper
	ALLOCATES aligned_alloc, %rsi, rec_allocated_wrapper
	ALLOCATES valloc, %rdi, rec_allocated_wrapper
	ALLOCATES pvalloc, %rdi, rec_allocated_wrapper

	REAL	calloc
	FUNCTION calloc
	mov	%rdi, %rax
	imul	%rsi, %rax	/* if it overflows, the real one returns NULL */
	ALLOCATES_BODY calloc, %rax, rec_allocated_wrapper
	END	calloc

	REAL	free
	FUNCTION free
	test	%rdi, %rdi
	je	1f
	SAVE	%rdi
	call	rec_freed
	RESTORE	%rdi
	jmp	*rec_real_free(%rip)
1:	ret
	END	free
	FREES	cfree
	FREES	free_sized
	FREES	free_aligned_sized

	TRACED	realloc, %rdx, %rcx, %r8
	TRACED	reallocarray, %rcx, %r8, %r9
	TRACED	posix_memalign, %rcx, %r8, %r9

	COPIES	strdup
	COPIES	strndup

	PLAIN	dlclose
	PLAIN	iconv_close
	PLAIN	mlockall
	PLAIN	fork
	PLAIN	_Fork

	REAL	syscall
	FUNCTION syscall
	UNLESS_FORK 1f
	jmp	hook_syscall
1:	jmp	*rec_real_syscall(%rip)
	END	syscall
	EXITS	exit
	EXITS	quick_exit

	/* (main, argc, argv, init, fini, rtld_fini, stack_end): the last one stays on the stack */
	REAL	__libc_start_main
	FUNCTION __libc_start_main
	SAVE	%rsi
	SAVE	%rdx
	SAVE	%rcx
	SAVE	%r8
	SAVE	%r9
	call	rec_main_for
	mov	%rax, %rdi
	RESTORE	%r9
	RESTORE	%r8
	RESTORE	%rcx
	RESTORE	%rdx
	RESTORE	%rsi
	jmp	*rec_real___libc_start_main(%rip)
	END	__libc_start_main

	NEW	_Znwm
	NEW	_Znam
	NEW	_ZnwmRKSt9nothrow_t
	NEW	_ZnamRKSt9nothrow_t
	NEW	_ZnwmSt11align_val_t
	NEW	_ZnamSt11align_val_t
	NEW	_ZnwmSt11align_val_tRKSt9nothrow_t
	NEW	_ZnamSt11align_val_tRKSt9nothrow_t
	DELETE	_ZdlPv
	DELETE	_ZdaPv
	DELETE	_ZdlPvm
	DELETE	_ZdaPvm
	DELETE	_ZdlPvRKSt9nothrow_t
	DELETE	_ZdaPvRKSt9nothrow_t
	DELETE	_ZdlPvSt11align_val_t
	DELETE	_ZdaPvSt11align_val_t
	DELETE	_ZdlPvmSt11align_val_t
	DELETE	_ZdaPvmSt11align_val_t
	DELETE	_ZdlPvSt11align_val_tRKSt9nothrow_t
	DELETE	_ZdaPvSt11align_val_tRKSt9nothrow_t

	/* Stands in for a function that does not exist anywhere: NULL, or nothing done. */
	.globl	rec_missing
	.hidden	rec_missing
	FUNCTION rec_missing
	xor	%eax, %eax
	ret
	END	rec_missing

	.section .note.GNU-stack, "", @progbits
