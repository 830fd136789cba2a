/*
 * A module of which two are made, the same but for the size of their frames: instructions lie at the
 * same addresses. frame_return is where malloc returns to.
 */
	.text

	.macro enter bytes
	sub	$(\bytes), %rsp
	.cfi_adjust_cfa_offset (\bytes)
	.endm

	.macro leave_and_return bytes
	add	$(\bytes), %rsp
	.cfi_adjust_cfa_offset -(\bytes)
	ret
	.endm

	.type	allocate, @function
allocate:
	.cfi_startproc
	enter	FRAME_BYTES + 16
	mov	$32, %edi
	call	malloc@plt
	.globl	frame_return
frame_return:
	leave_and_return FRAME_BYTES + 16
	.cfi_endproc
	.size	allocate, . - allocate

	.globl	frame_allocate
	.type	frame_allocate, @function
frame_allocate:
	.cfi_startproc
	enter	FRAME_BYTES
	call	allocate
	leave_and_return FRAME_BYTES
	.cfi_endproc
	.size	frame_allocate, . - frame_allocate

	.section .note.GNU-stack, "", @progbits
