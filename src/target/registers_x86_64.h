/* What only code for x86 may know of registers. Header of src/target alone. */
#ifndef SEEP_TARGET_REGISTERS_X86_64_H
#define SEEP_TARGET_REGISTERS_X86_64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

/* AMX's tiles are the largest, 8 KiB. */
#define XSTATE_MAX 16384

union registers_any {
	struct user_regs_struct regs64;
	uint8_t bytes[256];
};

/* An XSAVE area in standard format. */
struct xstate {
	uint8_t bytes[XSTATE_MAX] __attribute__((aligned(64)));
	size_t len;
};

/* *ret_bytes tells 64-bit code (sizeof regs64) from 32-bit. False: not to be had. */
bool registers_get(int32_t tid, union registers_any *ret, size_t *ret_bytes);
bool registers_get_xstate(int32_t tid, struct xstate *ret);
/* Bytes up to the end of the last component that is in use; 0: not understood. */
size_t registers_xstate_used(const struct xstate *x);

#endif
