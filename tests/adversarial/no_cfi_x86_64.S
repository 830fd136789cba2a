/* void no_cfi_asm(void (*callback)(size_t), size_t argument): hand-written, without any CFI. */
	.text
	.globl	no_cfi_asm
	.type	no_cfi_asm, @function
no_cfi_asm:
	pushq	%rbx
	subq	$48, %rsp
	movq	%rdi, %rax
	movq	%rsi, %rdi
	call	*%rax
	addq	$48, %rsp
	popq	%rbx
	ret
	.size	no_cfi_asm, . - no_cfi_asm

	.section .note.GNU-stack, "", @progbits
