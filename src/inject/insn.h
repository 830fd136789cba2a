/* One machine instruction, as far as where it leads and what it refers to. Pure. x86-64. */
#ifndef SEEP_INJECT_INSN_H
#define SEEP_INJECT_INSN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <Zydis/Zydis.h>

struct insn {
	ZydisDecodedInstruction z;
	const uint8_t *bytes;
	uint64_t addr; /* where it stands */
	size_t len;
};

/* bytes: nr of them, the code at addr. False: they begin with no known instruction. */
bool insn_decode(const uint8_t *bytes, size_t nr, uint64_t addr, struct insn *ret);
/* Does an operand lie at a distance from the instruction's end? */
bool insn_refers_to_rip(const struct insn *i);
/* The address of that operand. */
uint64_t insn_operand(const struct insn *i);
/* A jump or call by a distance, conditional or not. */
bool insn_is_relative_branch(const struct insn *i);
uint64_t insn_branch_target(const struct insn *i);

#endif
