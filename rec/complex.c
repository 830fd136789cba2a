/*
 * Complex rules: what does not fit into 32 bits (PLT and signal frames, realigned stacks). They are
 * kept by content, so a handful serve a whole program, and outlive the module that they came from.
 */
#include "bytes.h"
#include "cfi_row.h"

#define EXPR_MAX 24 /* bytes of an expression in a complex rule */
#define COMPLEX_MAX 1024

struct complex_part {
	uint8_t how, len;
	int64_t value;
	uint8_t expr[EXPR_MAX];
};

struct complex {
	uint32_t state; /* 0 free, 1 being written, 2 ready */
	uint8_t is_signal;
	struct complex_part cfa,
		regs[REG_NR]; /* cfa.how: REGISTER with value = offset, reg in len */
};

static struct complex complex_table[COMPLEX_MAX];

static bool complex_part(struct complex_part *out, const struct reg_rule *r)
{
	out->how = r->how;
	if (r->how == EXPRESSION || r->how == VAL_EXPRESSION) {
		if (r->len > EXPR_MAX)
			return false;
		out->len = (uint8_t)r->len;
		bytes_copy(out->expr, r->expr, r->len);
	} else {
		out->value = r->value;
	}
	return true;
}

/* Index of a rule with this content, or -1 when the table is full. */
static int complex_intern(const struct complex *c)
{
	for (uint32_t i = 0; i < COMPLEX_MAX; i++) {
		struct complex *e = &complex_table[i];
		uint32_t state = __atomic_load_n(&e->state, __ATOMIC_ACQUIRE);

		if (state == 0 && __atomic_compare_exchange_n(&e->state, &state, 1, false,
							      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
			e->is_signal = c->is_signal;
			e->cfa = c->cfa;
			for (int k = 0; k < REG_NR; k++)
				e->regs[k] = c->regs[k];
			__atomic_store_n(&e->state, 2, __ATOMIC_RELEASE);
			return (int)i;
		}
		if (state == 2 && e->is_signal == c->is_signal &&
		    bytes_equal(&e->cfa, &c->cfa, sizeof(e->cfa)) &&
		    bytes_equal(e->regs, c->regs, sizeof(e->regs)))
			return (int)i;
	}
	return -1;
}

uint32_t complex_rule(const struct row *s, uint8_t is_signal)
{
	struct complex c;
	int i;

	bytes_zero(&c, sizeof(c));
	c.is_signal = is_signal;
	if (s->cfa_is_expr) {
		if (s->cfa_len > EXPR_MAX)
			return RULE_BAD;
		c.cfa.how = EXPRESSION;
		c.cfa.len = (uint8_t)s->cfa_len;
		bytes_copy(c.cfa.expr, s->cfa_expr, s->cfa_len);
	} else {
		if (cfi_reg_index(s->cfa_reg) != REG_SP && cfi_reg_index(s->cfa_reg) != REG_BP)
			return RULE_BAD;
		c.cfa.how = REGISTER;
		c.cfa.len = (uint8_t)s->cfa_reg;
		c.cfa.value = s->cfa_offset;
	}
	for (int k = 0; k < REG_NR; k++)
		if (!complex_part(&c.regs[k], &s->regs[k]))
			return RULE_BAD;
	i = complex_intern(&c);
	return i < 0 ? RULE_BAD : RULE_COMPLEX | (uint32_t)i << 3;
}

/* ---- stepping by a complex rule ---- */

static bool walk_read(struct walk *w, uint64_t addr, uint64_t *ret)
{
	if ((addr & 7) || w->extra_nr >= w->extra_cap)
		return false;
	if ((addr < w->thread->stack_low || addr + 8 > w->thread->stack_high) &&
	    !stackmap_find(w->thread, addr, addr + 8))
		return false;
	*ret = *(const uint64_t *)addr;
	w->extra[w->extra_nr++] = (struct word){addr, *ret};
	return true;
}

static bool binary_op(uint8_t op, uint64_t a, uint64_t b, uint64_t *ret)
{
	switch (op) {
	case 0x1a:
		*ret = a & b;
		return true;
	case 0x1c:
		*ret = a - b;
		return true;
	case 0x22:
		*ret = a + b;
		return true;
	case 0x24:
		*ret = b < 64 ? a << b : 0;
		return true;
	case 0x2a:
		*ret = (int64_t)a >= (int64_t)b;
		return true;
	}
	return false;
}

/* A DWARF expression over sp, bp and pc. initial: pushed first (the CFA), if has_initial. */
static bool evaluate(struct walk *w, const struct complex_part *part, bool has_initial,
		     uint64_t initial, uint64_t *ret)
{
	struct reader r = {.p = part->expr, .end = part->expr + part->len};
	uint64_t stack[12], value;
	int depth = 0;

	if (has_initial)
		stack[depth++] = initial;
	while (r.p < r.end && !r.bad) {
		uint8_t op = *r.p++;

		if (depth > 10)
			return false;
		if (op >= 0x30 && op <= 0x4f) { /* lit0 … lit31 */
			stack[depth++] = op - 0x30u;
		} else if (op >= 0x70 && op <= 0x8f) { /* breg0 … */
			uint8_t reg = op - 0x70;

			value = reg == ARCH_DWARF_SP   ? w->sp
				: reg == ARCH_DWARF_BP ? w->bp
				: reg == ARCH_DWARF_RA ? w->pc
						       : 0;
			if (cfi_reg_index(reg) < 0)
				return false;
			stack[depth++] = value + (uint64_t)read_sleb(&r);
		} else if (op == 0x06) { /* deref */
			if (depth < 1 || !walk_read(w, stack[depth - 1], &stack[depth - 1]))
				return false;
		} else if (op == 0x08 || op == 0x0a) { /* const1u, const2u */
			stack[depth++] = read_fixed(&r, op == 0x08 ? 1 : 2);
		} else if (op == 0x09) {
			stack[depth++] = (uint64_t)(int64_t)(int8_t)read_fixed(&r, 1);
		} else if (op == 0x0b) {
			stack[depth++] = (uint64_t)(int64_t)(int16_t)read_fixed(&r, 2);
		} else if (op == 0x10) {
			stack[depth++] = read_uleb(&r);
		} else if (op == 0x11) {
			stack[depth++] = (uint64_t)read_sleb(&r);
		} else if (op == 0x12) { /* dup */
			if (depth < 1)
				return false;
			stack[depth] = stack[depth - 1];
			depth++;
		} else if (op == 0x23) { /* plus_uconst */
			if (depth < 1)
				return false;
			stack[depth - 1] += read_uleb(&r);
		} else {
			if (depth < 2 ||
			    !binary_op(op, stack[depth - 2], stack[depth - 1], &stack[depth - 2]))
				return false;
			depth--;
		}
	}
	if (depth < 1 || r.bad)
		return false;
	*ret = stack[depth - 1];
	return true;
}

/* Value of a register in the caller. */
static bool recover(struct walk *w, const struct complex_part *part, uint64_t cfa, uint64_t same,
		    uint64_t *ret)
{
	uint64_t addr;

	switch (part->how) {
	case SAME:
	case UNDEFINED:
		*ret = same;
		return true;
	case OFFSET:
		return walk_read(w, cfa + (uint64_t)part->value, ret);
	case VAL_OFFSET:
		*ret = cfa + (uint64_t)part->value;
		return true;
	case EXPRESSION:
		return evaluate(w, part, true, cfa, &addr) && walk_read(w, addr, ret);
	case VAL_EXPRESSION:
		return evaluate(w, part, true, cfa, ret);
	}
	return false;
}

int cfi_step_complex(uint32_t rule, struct walk *w)
{
	const struct complex *c = &complex_table[(rule >> 3) & (COMPLEX_MAX - 1)];
	uint64_t cfa, ra, bp, sp;

	if (c->cfa.how == EXPRESSION) {
		if (!evaluate(w, &c->cfa, false, 0, &cfa))
			return -1;
	} else {
		cfa = (c->cfa.len == ARCH_DWARF_SP ? w->sp : w->bp) + (uint64_t)c->cfa.value;
	}
	if (c->regs[REG_RA].how == SAME || !recover(w, &c->regs[REG_RA], cfa, 0, &ra) ||
	    !recover(w, &c->regs[REG_BP], cfa, w->bp, &bp) ||
	    !recover(w, &c->regs[REG_SP], cfa, cfa, &sp))
		return -1;
	w->bp = bp;
	w->sp = sp;
	/* An interrupted instruction has not been executed: look up its own address, not pc - 1. */
	w->pc = c->is_signal ? ra + 1 : ra;
	return ra ? 0 : 1;
}
