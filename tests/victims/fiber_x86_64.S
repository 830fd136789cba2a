/* The switch of fiber.h with exact CFI at every instruction. */
	.text

	.macro save reg
	pushq	%\reg
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset \reg, 0
	.endm

	.macro restore reg
	popq	%\reg
	.cfi_adjust_cfa_offset -8
	.cfi_restore \reg
	.endm

	.globl	fiber_switch
	.type	fiber_switch, @function
fiber_switch:
	.cfi_startproc
	save	rbp
	save	rbx
	save	r12
	save	r13
	save	r14
	save	r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	restore	r15
	restore	r14
	restore	r13
	restore	r12
	restore	rbx
	restore	rbp
	ret
	.cfi_endproc
	.size	fiber_switch, . - fiber_switch

/* Entered by the ret above, so it has no return address: an unwinder must stop here. */
	.globl	fiber_start
	.type	fiber_start, @function
fiber_start:
	.cfi_startproc
	.cfi_undefined rip
	movq	%rbx, %rdi
	xorl	%ebp, %ebp
	call	*%r12
	ud2
	.cfi_endproc
	.size	fiber_start, . - fiber_start

	.section .note.GNU-stack, "", @progbits
