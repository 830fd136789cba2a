/*
 * Moving the first instructions of a function; see moved.h.
 *
 * Instruction by instruction: what refers to nothing is copied; a displacement from the instruction
 * pointer is corrected; jumps get their long form; a call becomes a push of the address behind it
 * and a jump, so that nobody ever returns to the moved code.
 */
#include "inject/moved.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "inject/insn.h"

#define JUMP_BYTES 5	  /* e9 rel32 */
#define CALL_PUSH_BYTES 6 /* ff 35 disp32 */

struct mover {
	struct moved *m;
	uint64_t at, to;
	const char *why;
	int err;
	/* Of a call, the last of the instructions: where its return address is pushed from. */
	size_t push_at; /* offset in code of the push's displacement; 0: there is none */
	bool ended;	/* the last instruction does not go on to the next */
};

static int refuse(struct mover *v, const char *why)
{
	v->why = why;
	v->err = -ENOTSUP;
	return v->err;
}

static int put(struct mover *v, const void *bytes, size_t nr)
{
	struct moved *m = v->m;

	if (m->code_nr + nr > sizeof(m->code))
		return refuse(v, "its first instructions are too many");
	memcpy(m->code + m->code_nr, bytes, nr);
	m->code_nr = (uint8_t)(m->code_nr + nr);
	return 0;
}

static int put_byte(struct mover *v, uint8_t byte)
{
	return put(v, &byte, 1);
}

/* A 32-bit distance to `target` from the end of the instruction, `behind` bytes after it. */
static int put_distance(struct mover *v, uint64_t target, size_t behind)
{
	uint64_t from = v->to + v->m->code_nr + sizeof(int32_t) + behind;
	int64_t distance = (int64_t)(target - from);
	int32_t value = (int32_t)distance;

	if (distance != value) {
		v->why = "what it refers to is too far away";
		v->err = -ERANGE;
		return v->err;
	}
	return put(v, &value, sizeof(value));
}

static int put_jump(struct mover *v, uint64_t target)
{
	return put_byte(v, 0xe9) ? v->err : put_distance(v, target, 0);
}

/* Copies it; with a displacement from rip that still means the same address. */
static int copy(struct mover *v, const struct insn *i)
{
	size_t at = i->z.raw.disp.offset;
	uint64_t target = insn_operand(i);

	if (!insn_refers_to_rip(i))
		return put(v, i->bytes, i->len);
	if (i->z.attributes & ZYDIS_ATTRIB_HAS_ADDRESSSIZE)
		return refuse(v, "one of its first instructions refers to 32-bit addresses");
	if (put(v, i->bytes, at) || put_distance(v, target, i->len - at - sizeof(int32_t)))
		return v->err;
	at += sizeof(int32_t);
	return put(v, i->bytes + at, i->len - at);
}

/* jrcxz, loop and the like know short distances only: over a jump, or into it. */
static int move_short_branch(struct mover *v, const struct insn *i)
{
	static const uint8_t around[] = {2, 0xeb, JUMP_BYTES};

	if (put(v, i->bytes, i->z.raw.imm[0].offset) || put(v, around, sizeof(around)))
		return v->err;
	return put_jump(v, insn_branch_target(i));
}

/* jcc of either length: 7x rel8, 0f 8x rel32. */
static int move_condition(struct mover *v, const struct insn *i)
{
	uint8_t condition = i->z.opcode & 0x0f;

	if (i->z.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT && (i->z.opcode & 0xf0) != 0x70)
		return move_short_branch(v, i);
	if (put_byte(v, 0x0f) || put_byte(v, 0x80 | condition))
		return v->err;
	return put_distance(v, insn_branch_target(i), 0);
}

/* The address behind the call, pushed from a word at the end of the code, which is put there later.
 */
static int push_return(struct mover *v)
{
	static const uint8_t push[CALL_PUSH_BYTES] = {0xff, 0x35};

	if (put(v, push, sizeof(push)))
		return v->err;
	v->push_at = v->m->code_nr - sizeof(int32_t);
	return 0;
}

/* call r/m: ff /2; jmp r/m: ff /4. */
static int move_indirect_call(struct mover *v, const struct insn *i)
{
	struct insn jump = *i;
	uint8_t bytes[ZYDIS_MAX_INSTRUCTION_LENGTH];
	uint8_t base = i->z.raw.modrm.rm;

	/* rm 4 is a base and an index, which may be the stack pointer; that the push moves. */
	if (i->z.raw.modrm.mod != 3 && base == 4)
		return refuse(v, "its first instructions call through the stack");
	if (i->z.raw.modrm.mod == 3 && base == 4 && !(i->z.raw.rex.B))
		return refuse(v, "its first instructions call through the stack");
	memcpy(bytes, i->bytes, i->len);
	bytes[i->z.raw.modrm.offset] = (uint8_t)((bytes[i->z.raw.modrm.offset] & ~0x38) | 4 << 3);
	jump.bytes = bytes;
	return push_return(v) ? v->err : copy(v, &jump);
}

static int move_call(struct mover *v, const struct insn *i, size_t need)
{
	if (i->addr + i->len < v->at + need)
		return refuse(v, "a call is among its first bytes");
	v->ended = true; /* the callee returns behind it, to the function itself */
	if (insn_is_relative_branch(i))
		return push_return(v) ? v->err : put_jump(v, insn_branch_target(i));
	if (i->z.opcode == 0xff && i->z.raw.modrm.reg == 2)
		return move_indirect_call(v, i);
	return refuse(v, "a far call is among its first bytes");
}

static int move_jump(struct mover *v, const struct insn *i)
{
	v->ended = true;
	if (insn_is_relative_branch(i))
		return put_jump(v, insn_branch_target(i));
	if (i->z.opcode == 0xff && i->z.raw.modrm.reg == 4)
		return copy(v, i);
	return refuse(v, "a far jump is among its first bytes");
}

static int move(struct mover *v, const struct insn *i, size_t need)
{
	/* AMD's processors cut such a branch to 16 bits, Intel's do not. */
	if (insn_is_relative_branch(i) && (i->z.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) &&
	    !i->z.raw.rex.W)
		return refuse(v, "a 16-bit jump is among its first bytes");
	switch (i->z.meta.category) {
	case ZYDIS_CATEGORY_COND_BR:
		if (!insn_is_relative_branch(i))
			break;
		return i->z.mnemonic == ZYDIS_MNEMONIC_XBEGIN
			       ? refuse(v, "a transaction begins in its first bytes")
			       : move_condition(v, i);
	case ZYDIS_CATEGORY_UNCOND_BR:
		return move_jump(v, i);
	case ZYDIS_CATEGORY_CALL:
		return move_call(v, i, need);
	case ZYDIS_CATEGORY_RET:
		v->ended = true;
		return copy(v, i);
	case ZYDIS_CATEGORY_INTERRUPT:
		return refuse(v, "a breakpoint or interrupt is among its first bytes");
	case ZYDIS_CATEGORY_SYSCALL:
		return refuse(v, "a system call is among its first bytes");
	case ZYDIS_CATEGORY_SYSTEM:
	case ZYDIS_CATEGORY_SYSRET:
		return refuse(v, "an instruction of the system's is among its first bytes");
	default:
		if (i->z.mnemonic == ZYDIS_MNEMONIC_UD2)
			v->ended = true;
		if (!insn_is_relative_branch(i))
			return copy(v, i);
	}
	return refuse(v, "one of its first instructions is of an unknown kind");
}

static int add_step(struct mover *v, size_t from)
{
	struct moved *m = v->m;

	if (m->nr_steps == MOVED_STEPS_MAX)
		return refuse(v, "its first instructions are too many");
	m->steps[m->nr_steps].from = (uint8_t)from;
	m->steps[m->nr_steps++].to = m->code_nr;
	return 0;
}

static int take(struct mover *v, const uint8_t *bytes, size_t nr, size_t need)
{
	size_t at = 0;

	while (at < need) {
		struct insn i;

		if (v->ended)
			return refuse(v, "it is too short");
		if (at >= nr || !insn_decode(bytes + at, nr - at, v->at + at, &i))
			return refuse(v, at >= nr ? "it is too short"
						  : "its first bytes are no known instructions");
		if (add_step(v, at) || move(v, &i, need))
			return v->err;
		at += i.len;
	}
	v->m->taken = (uint8_t)at;
	return 0;
}

/* The way back; and behind it the word that a call pushes. */
static int finish(struct mover *v)
{
	uint64_t back = v->at + v->m->taken;
	int32_t distance;

	if (add_step(v, v->m->taken) || put_jump(v, back))
		return v->err;
	if (!v->push_at)
		return 0;
	distance = (int32_t)(v->m->code_nr - (v->push_at + sizeof(distance)));
	memcpy(v->m->code + v->push_at, &distance, sizeof(distance));
	return put(v, &back, sizeof(back));
}

/*
 * Does anything jump behind the entry, into what will be overwritten? To the entry itself is fine:
 * that is a call. Bytes that are no instruction are stepped over one by one; then what follows may
 * be read wrongly for a while, and at worst a function is refused.
 */
static bool is_jumped_into(const struct mover *v, const uint8_t *bytes, size_t nr)
{
	uint64_t target;
	struct insn i;

	for (size_t at = 0; at < nr; at += i.len) {
		if (!insn_decode(bytes + at, nr - at, v->at + at, &i)) {
			i.len = 1;
			continue;
		}
		if (!insn_is_relative_branch(&i))
			continue;
		target = insn_branch_target(&i);
		if (target > v->at && target < v->at + v->m->taken)
			return true;
		/* From what is moved itself it would be a call to the hook. */
		if (target == v->at && at < v->m->taken)
			return true;
	}
	return false;
}

int moved_make(const uint8_t *bytes, size_t nr, uint64_t at, uint64_t to, size_t need,
	       struct moved *ret, const char **ret_why)
{
	struct moved m = {0};
	struct mover v = {.m = &m, .at = at, .to = to};

	if (!take(&v, bytes, nr, need) && !finish(&v) && is_jumped_into(&v, bytes, nr))
		refuse(&v, "its own code jumps into its first bytes");
	if (v.err) {
		*ret_why = v.why;
		return v.err;
	}
	*ret = m;
	return 0;
}
