/*
 * Where the entries of an allocator's functions lead to when the recorder has been injected.
 *
 * malloc and free of allocators that have them plain are written out, as in entry_x86_64.S, and read
 * from memory where the real ones are. All the others have the real function in r11, `new` in r10
 * the one that does not throw (neither register means anything at a function's entry: System V
 * AMD64, 3.2.1, figure 3.4; r10 is for nested functions), and hand their arguments on in memory.
 * There is a frame of ours in the stack then; while an exception may pass, only one that unwinders
 * can be told of.
 */
#include <cet.h>

#include "entry_macros_x86_64.h"
#include "wire/blob_offsets.h"

	/* struct hook_call, whose last word is the return address; the thunk has put two into it */
	.macro	KEEP_CALL
	sub	$16, %rsp
	.cfi_adjust_cfa_offset 16
	SAVE	%rax
	SAVE	%rax
	SAVE	%r11
	SAVE	%r10
	SAVE	%rbp
	SAVE	%r9
	SAVE	%r8
	SAVE	%rcx
	SAVE	%rdx
	SAVE	%rsi
	SAVE	%rdi
	mov	%rsp, %rdi
	.endm

	/* A call's arguments, as KEEP_CALL has put them into memory */
	.macro	ARGUMENTS_AT base
	mov	(\base), %rdi
	mov	8(\base), %rsi
	mov	16(\base), %rdx
	mov	24(\base), %rcx
	mov	32(\base), %r8
	mov	40(\base), %r9
	.endm

	/*
	 * A compiler that sees both the allocator and who calls it (gcc -fipa-ra) keeps things in
	 * registers that this function leaves alone, whatever the ABI says. So all but the result
	 * are given back.
	 */
	.macro	GIVE_BACK
	RESTORE	%rdi
	RESTORE	%rsi
	RESTORE	%rdx
	RESTORE	%rcx
	RESTORE	%r8
	RESTORE	%r9
	add	$40, %rsp
	.cfi_adjust_cfa_offset -40
	RESTORE	%r10
	RESTORE	%r11
	.endm

	.macro	CALL_HOOK name
	lea	hook_\name(%rip), %rsi
	call	call_hook
	.endm

	.macro	HOOK name
	FUNCTION blob_\name
	KEEP_CALL
	CALL_HOOK \name
	GIVE_BACK
	ret
	END	blob_\name
	.endm

	.macro	KEEP_VECTORS
	movaps	%xmm0, 0(%rsp)
	movaps	%xmm1, 16(%rsp)
	movaps	%xmm2, 32(%rsp)
	movaps	%xmm3, 48(%rsp)
	movaps	%xmm4, 64(%rsp)
	movaps	%xmm5, 80(%rsp)
	movaps	%xmm6, 96(%rsp)
	movaps	%xmm7, 112(%rsp)
	movaps	%xmm8, 128(%rsp)
	movaps	%xmm9, 144(%rsp)
	movaps	%xmm10, 160(%rsp)
	movaps	%xmm11, 176(%rsp)
	movaps	%xmm12, 192(%rsp)
	movaps	%xmm13, 208(%rsp)
	movaps	%xmm14, 224(%rsp)
	movaps	%xmm15, 240(%rsp)
	.endm

	.macro	GIVE_BACK_VECTORS
	movaps	0(%rsp), %xmm0
	movaps	16(%rsp), %xmm1
	movaps	32(%rsp), %xmm2
	movaps	48(%rsp), %xmm3
	movaps	64(%rsp), %xmm4
	movaps	80(%rsp), %xmm5
	movaps	96(%rsp), %xmm6
	movaps	112(%rsp), %xmm7
	movaps	128(%rsp), %xmm8
	movaps	144(%rsp), %xmm9
	movaps	160(%rsp), %xmm10
	movaps	176(%rsp), %xmm11
	movaps	192(%rsp), %xmm12
	movaps	208(%rsp), %xmm13
	movaps	224(%rsp), %xmm14
	movaps	240(%rsp), %xmm15
	.endm

	/* The return address that the call has left below the stack is wiped; see blob_out(). */
	.macro	RETURNED label
	.globl	\label
	.hidden	\label
\label:
	movq	$0, -8(%rsp)
	.endm

	.text
	/*
	 * %rsi: a hook; %rdi: its struct hook_call. What it does to vector registers is undone where
	 * the caller may look at that; who looks may also know that the function needs no aligned
	 * stack.
	 */
	FUNCTION call_hook
	mov	WIRE_BLOB_CALL_PC(%rdi), %rax
	sub	rec_blob+WIRE_BLOB_KEEPS_START(%rip), %rax
	cmp	rec_blob+WIRE_BLOB_KEEPS_BYTES(%rip), %rax
	jb	1f
	jmp	*%rsi
1:	SAVE	%rbp
	.cfi_rel_offset %rbp, 0
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	and	$-16, %rsp
	sub	$256, %rsp
	KEEP_VECTORS
	call	*%rsi
	GIVE_BACK_VECTORS
	leave
	.cfi_def_cfa %rsp, 8
	ret
	END	call_hook

	FUNCTION blob_out
	sub	$8, %rsp
	.cfi_adjust_cfa_offset 8
	mov	%rsi, %rax
	mov	%rdi, %r10
	ARGUMENTS_AT %r10
	call	*%rax
	RETURNED blob_out_return
	add	$8, %rsp
	.cfi_adjust_cfa_offset -8
	ret
	END	blob_out

	/*
	 * rax: a thread's address; then its struct blob_self, or nobody's. All other registers are
	 * kept. Slots are looked through from the first one on, until an empty one.
	 */
	FUNCTION blob_self_look
	SAVE	%rcx
	SAVE	%rdx
	SAVE	%rsi
	SAVE	%rdi
	lea	blob_selves(%rip), %rdi
	movabs	$0x9e3779b97f4a7c15, %rcx
	imul	%rax, %rcx
	shr	$(64 - WIRE_BLOB_SELVES_BITS), %rcx
	mov	$(1 << WIRE_BLOB_SELVES_BITS), %edx
1:	mov	%rcx, %rsi
	shl	$6, %rsi
	add	%rdi, %rsi
	cmp	%rax, (%rsi)
	je	3f
	cmpq	$0, (%rsi)
	je	2f
	xor	$1, %rax
	cmp	%rax, (%rsi)
	je	4f
	xor	$1, %rax
	inc	%rcx
	and	$((1 << WIRE_BLOB_SELVES_BITS) - 1), %rcx
	dec	%edx
	jnz	1b
2:	lea	blob_self_nobody(%rip), %rsi
3:	mov	%rsi, %rax
	RESTORE	%rdi
	RESTORE	%rsi
	RESTORE	%rdx
	RESTORE	%rcx
	ret
	/* In a scope: nobody's, where the thread is no longer the one that has begun it. */
	.cfi_adjust_cfa_offset 32
4:	mov	WIRE_BLOB_SELF_TID_AT(%rsi), %rdx
	test	%rdx, %rdx
	je	6f
	mov	(%rdx), %edx
5:	cmp	%edx, WIRE_BLOB_SELF_TID(%rsi)
	je	3b
	jmp	2b
6:	SAVE	%r11
	mov	$SYS_gettid, %eax
	syscall
	RESTORE	%r11
	mov	%eax, %edx
	jmp	5b
	END	blob_self_look

	.macro	MALLOC name, real
	FUNCTION blob_\name
	SAVE	%rdi
	call	*rec_blob+\real(%rip)
	RETURNED blob_\name\()_return
	RESTORE	%rsi
	mov	%rax, %rdi
	mov	(%rsp), %rdx
	lea	8(%rsp), %rcx
	mov	%rbp, %r8
	jmp	rec_allocated
	END	blob_\name
	.endm

	MALLOC	malloc, WIRE_BLOB_REAL_MALLOC
	MALLOC	malloc_2, WIRE_BLOB_REAL_MALLOC_2

	.macro	FREE_BODY real
	test	%rdi, %rdi
	je	1f
	SAVE	%rdi
	call	rec_freed
	RESTORE	%rdi
	jmp	*rec_blob+\real(%rip)
1:	ret
	.endm

	FUNCTION blob_free
	FREE_BODY WIRE_BLOB_REAL_FREE
	END	blob_free

	FUNCTION blob_free_2
	FREE_BODY WIRE_BLOB_REAL_FREE_2
	END	blob_free_2

	FUNCTION blob_glibc_free
	mov	(%rsp), %rax
	sub	rec_blob+WIRE_BLOB_QUIET_START(%rip), %rax
	cmp	rec_blob+WIRE_BLOB_QUIET_BYTES(%rip), %rax
	jb	2f
	FREE_BODY WIRE_BLOB_REAL_GLIBC_FREE
2:	test	%rdi, %rdi
	je	1b
	mov	rec_blob+WIRE_BLOB_REAL_GLIBC_FREE(%rip), %r11
	KEEP_CALL
	CALL_HOOK frees_quietly
	GIVE_BACK
	ret
	END	blob_glibc_free

	/*
	 * An exception may pass through this frame; see blob_new.c. Otherwise, and where memory is
	 * short, the one that throws is left to do so with our frame gone.
	 */
	FUNCTION blob_new_1
	.cfi_personality 0x1b, blob_new_personality
	KEEP_CALL
	CALL_HOOK new_begin
	test	%rax, %rax
	je	2f
	ARGUMENTS_AT %rsp
	call	*%rax
	RETURNED blob_new_return
	mov	%rax, 72(%rsp)	/* fill */
	mov	%rsp, %rdi
	CALL_HOOK new_end
	GIVE_BACK
	ret
	.cfi_adjust_cfa_offset 104
2:	mov	%rsp, %rdi
	CALL_HOOK new_1
	test	%rax, %rax
	je	1f
	GIVE_BACK
	ret
	.cfi_adjust_cfa_offset 104
1:	mov	64(%rsp), %rax	/* real */
	GIVE_BACK
	jmp	*%rax
	END	blob_new_1

	/* The callback may throw: our frame is there only if it is wanted. */
	FUNCTION blob_iterates_1_2
	KEEP_CALL
	CALL_HOOK iterates_1_2
	test	%rax, %rax
	je	1f
	mov	72(%rsp), %rax	/* fill */
	GIVE_BACK
	ret
	.cfi_adjust_cfa_offset 104
1:	mov	64(%rsp), %rax	/* real */
	GIVE_BACK
	jmp	*%rax
	END	blob_iterates_1_2

	FUNCTION blob_system_calls
	UNLESS_FORK 1f
	jmp	blob_forks
1:	jmp	*%r11
	END	blob_system_calls

	HOOK	allocates_1
	HOOK	allocates_2
	HOOK	allocates_12
	HOOK	allocates_23
	HOOK	allocates_string
	HOOK	fills_1_3
	HOOK	frees_1
	HOOK	reallocs_1_2
	HOOK	reallocs_1_23
	HOOK	reallocs_2_3
	HOOK	reallocs_2_34
	HOOK	reallocs_or_frees_1_2
	HOOK	reallocs_or_frees_2_3
	HOOK	replaces_1_23
	HOOK	resizes_1_2
	HOOK	closes_1
	HOOK	locks
	HOOK	forks
	HOOK	finds_object

	/*
	 * r11: a function of ours, r10: its first argument; rax and rbp become its second and third.
	 * All other registers are kept.
	 */
	FUNCTION call_kept
	SAVE	%rax
	SAVE	%rcx
	SAVE	%rdx
	SAVE	%rsi
	SAVE	%rdi
	SAVE	%r8
	SAVE	%r9
	SAVE	%rbp
	.cfi_rel_offset %rbp, 0
	mov	%r10, %rdi
	mov	%rax, %rsi
	mov	%rbp, %rdx
	mov	%rsp, %rbp
	.cfi_def_cfa_register %rbp
	and	$-16, %rsp
	sub	$256, %rsp
	KEEP_VECTORS
	call	*%r11
	GIVE_BACK_VECTORS
	mov	%rbp, %rsp
	.cfi_def_cfa_register %rsp
	RESTORE	%rbp
	.cfi_restore %rbp
	RESTORE	%r9
	RESTORE	%r8
	RESTORE	%rdi
	RESTORE	%rsi
	RESTORE	%rdx
	RESTORE	%rcx
	RESTORE	%rax
	ret
	END	call_kept

	/* struct pair_call; the thunk has put its last two words but one into it */
	.macro	KEEP_PAIR
	sub	$WIRE_PAIR_FRAME, %rsp
	.cfi_adjust_cfa_offset WIRE_PAIR_FRAME
	mov	%rdi, 120(%rsp)
	mov	%rsi, 128(%rsp)
	mov	%rdx, 136(%rsp)
	mov	%rcx, 144(%rsp)
	mov	%r8, 152(%rsp)
	mov	%r9, 160(%rsp)
	mov	%r10, 168(%rsp)
	mov	%r11, 176(%rsp)
	.endm

	.macro	CALL_KEPT function
	lea	\function(%rip), %r11
	mov	%rsp, %r10
	call	call_kept
	mov	200(%rsp), %r10
	mov	208(%rsp), %r11
	.endm

	FUNCTION blob_acquires
	KEEP_PAIR
	CALL_KEPT pair_begins
	call	*176(%rsp)
	RETURNED blob_acquires_return
	mov	%r10, 200(%rsp)
	mov	%r11, 208(%rsp)
	CALL_KEPT pair_acquired
	add	$WIRE_PAIR_FRAME, %rsp
	.cfi_adjust_cfa_offset -WIRE_PAIR_FRAME
	ret
	END	blob_acquires

	/* What is below the stack stays for a moment: signals leave 128 bytes alone. */
	FUNCTION blob_releases
	KEEP_PAIR
	CALL_KEPT pair_releases
	add	$WIRE_PAIR_FRAME, %rsp
	.cfi_adjust_cfa_offset -WIRE_PAIR_FRAME
	jmp	*(176 - WIRE_PAIR_FRAME)(%rsp)
	END	blob_releases

	.section .note.GNU-stack, "", @progbits
