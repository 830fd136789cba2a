/* A row of the call frame table: how a frame's CFA and registers are found at one address. */
#ifndef SEEP_REC_CFI_ROW_H
#define SEEP_REC_CFI_ROW_H

#include "cfi.h"

enum how { SAME = 0, OFFSET, VAL_OFFSET, REGISTER, EXPRESSION, VAL_EXPRESSION, UNDEFINED };

struct reg_rule {
	uint8_t how;
	uint32_t len;
	int64_t value; /* offset, register */
	const uint8_t *expr;
};

/* Only the registers that a walk can follow: bp, sp, return address. */
enum reg { REG_BP, REG_SP, REG_RA, REG_NR };

struct row {
	uint8_t cfa_is_expr;
	uint64_t cfa_reg;
	int64_t cfa_offset;
	const uint8_t *cfa_expr;
	uint32_t cfa_len;
	struct reg_rule regs[REG_NR];
};

/* Index of a DWARF register that a walk follows, or -1. */
static inline int cfi_reg_index(uint64_t dwarf_reg)
{
	switch (dwarf_reg) {
	case ARCH_DWARF_BP:
		return REG_BP;
	case ARCH_DWARF_SP:
		return REG_SP;
	case ARCH_DWARF_RA:
		return REG_RA;
	}
	return -1;
}

/* complex.c: the row as a complex rule, or RULE_BAD when it cannot be one. */
uint32_t complex_rule(const struct row *s, uint8_t is_signal);

#endif
