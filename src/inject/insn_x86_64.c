/* See insn.h. */
#include "inject/insn.h"

bool insn_decode(const uint8_t *bytes, size_t nr, uint64_t addr, struct insn *ret)
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	static ZydisDecoder decoder;
	static bool ready;

	if (!ready) {
		ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
		ready = true;
	}
	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, bytes, nr, &ret->z, operands)))
		return false;
	ret->bytes = bytes;
	ret->addr = addr;
	ret->len = ret->z.length;
	return true;
}

bool insn_refers_to_rip(const struct insn *i)
{
	return (i->z.attributes & ZYDIS_ATTRIB_HAS_MODRM) && i->z.raw.modrm.mod == 0 &&
	       i->z.raw.modrm.rm == 5 && i->z.raw.disp.size == 32;
}

uint64_t insn_operand(const struct insn *i)
{
	return i->addr + i->len + (uint64_t)i->z.raw.disp.value;
}

bool insn_is_relative_branch(const struct insn *i)
{
	return i->z.raw.imm[0].is_relative;
}

uint64_t insn_branch_target(const struct insn *i)
{
	return i->addr + i->len + (uint64_t)i->z.raw.imm[0].value.s;
}
