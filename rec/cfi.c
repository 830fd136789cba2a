/*
 * Interprets .eh_frame for one address: .eh_frame_hdr binary search, CIE, FDE, call frame
 * instructions; the resulting row becomes a 32-bit rule, or an entry of the table of complex rules.
 */
#include "cfi.h"

#include "bytes.h"

#define STATES_MAX 12 /* nesting of DW_CFA_remember_state */
#define EXPR_MAX 24   /* bytes of an expression in a complex rule */
#define COMPLEX_MAX 1024

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

struct cfi_scratch {
	struct row now, initial, saved[STATES_MAX];
};

struct cie {
	uint64_t code_align;
	int64_t data_align;
	uint8_t pointer_enc, is_signal, has_z;
	const uint8_t *insns, *end;
};

struct fde {
	uint64_t low, high;
	const uint8_t *insns, *end;
	struct cie cie;
};

size_t cfi_scratch_bytes(void)
{
	return sizeof(struct cfi_scratch);
}

static int reg_index(uint64_t dwarf_reg)
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

static bool parse_cie(const uint8_t *p, struct cie *c)
{
	struct reader r = {.p = p, .end = p + 12};
	uint64_t len = read_length(&r);
	const uint8_t *aug, *aug_end = NULL;
	uint8_t version, enc;

	if (!len)
		return false;
	r.end = c->end = r.p + len;
	if (read_fixed(&r, 4) != 0)
		return false;
	version = (uint8_t)read_fixed(&r, 1);
	if (version != 1 && version != 3)
		return false;
	aug = r.p;
	while (r.p < r.end && *r.p)
		r.p++;
	r.p++;
	*c = (struct cie){.end = c->end};
	c->code_align = read_uleb(&r);
	c->data_align = read_sleb(&r);
	if (version == 1)
		read_fixed(&r, 1);
	else
		read_uleb(&r);
	if (*aug == 'z') {
		c->has_z = 1;
		aug++;
		len = read_uleb(&r);
		aug_end = r.p + len;
	}
	for (; *aug; aug++) {
		switch (*aug) {
		case 'R':
			c->pointer_enc = (uint8_t)read_fixed(&r, 1);
			break;
		case 'P':
			enc = (uint8_t)read_fixed(&r, 1);
			read_encoded(&r, enc & 0x7f, 0);
			break;
		case 'L':
			read_fixed(&r, 1);
			break;
		case 'S':
			c->is_signal = 1;
			break;
		case 'B':
			break;
		default:
			if (!aug_end)
				return false;
			goto done; /* the augmentation's length lets us skip what we don't know */
		}
	}
done:
	c->insns = aug_end ? aug_end : r.p;
	return !r.bad && c->insns <= c->end;
}

static bool parse_fde(const uint8_t *p, struct fde *f)
{
	struct reader r = {.p = p, .end = p + 12};
	uint64_t len = read_length(&r), back;
	const uint8_t *at;

	if (!len)
		return false;
	r.end = f->end = r.p + len;
	at = r.p;
	back = read_fixed(&r, 4);
	if (!back || !parse_cie(at - back, &f->cie))
		return false;
	f->low = read_encoded(&r, f->cie.pointer_enc, 0);
	f->high = f->low + read_encoded(&r, f->cie.pointer_enc & 15, 0);
	if (f->cie.has_z) {
		len = read_uleb(&r);
		r.p += len;
	}
	f->insns = r.p;
	return !r.bad && f->insns <= f->end;
}

static void set_rule(struct cfi_scratch *s, uint64_t reg, uint8_t how, int64_t value)
{
	int i = reg_index(reg);

	if (i >= 0)
		s->now.regs[i] = (struct reg_rule){.how = how, .value = value};
}

static void set_expression(struct cfi_scratch *s, struct reader *r, uint8_t how)
{
	int i = reg_index(read_uleb(r));
	uint64_t len = read_uleb(r);

	if (i >= 0)
		s->now.regs[i] = (struct reg_rule){.how = how, .len = (uint32_t)len, .expr = r->p};
	r->p += len;
}

static void restore_rule(struct cfi_scratch *s, uint64_t reg)
{
	int i = reg_index(reg);

	if (i >= 0)
		s->now.regs[i] = s->initial.regs[i];
}

/* One instruction below 0x40 that does not advance the location. False: not understood. */
static bool run_extended(struct cfi_scratch *s, struct reader *r, uint8_t op, int64_t daf,
			 int *depth)
{
	struct row *now = &s->now;
	uint64_t reg;

	switch (op) {
	case 0x00: /* nop */
	case 0x2d: /* GNU_window_save: not on x86 */
		return true;
	case 0x05: /* offset_extended */
		reg = read_uleb(r);
		set_rule(s, reg, OFFSET, (int64_t)read_uleb(r) * daf);
		return true;
	case 0x06:
		restore_rule(s, read_uleb(r));
		return true;
	case 0x07:
		set_rule(s, read_uleb(r), UNDEFINED, 0);
		return true;
	case 0x08:
		set_rule(s, read_uleb(r), SAME, 0);
		return true;
	case 0x09: /* register */
		reg = read_uleb(r);
		set_rule(s, reg, REGISTER, (int64_t)read_uleb(r));
		return true;
	case 0x0a:
		if (*depth >= STATES_MAX)
			return false;
		s->saved[(*depth)++] = *now;
		return true;
	case 0x0b:
		if (*depth <= 0)
			return false;
		*now = s->saved[--*depth];
		return true;
	case 0x0c: /* def_cfa */
		now->cfa_is_expr = 0;
		now->cfa_reg = read_uleb(r);
		now->cfa_offset = (int64_t)read_uleb(r);
		return true;
	case 0x0d:
		now->cfa_is_expr = 0;
		now->cfa_reg = read_uleb(r);
		return true;
	case 0x0e:
		now->cfa_offset = (int64_t)read_uleb(r);
		return true;
	case 0x0f: /* def_cfa_expression */
		now->cfa_is_expr = 1;
		now->cfa_len = (uint32_t)read_uleb(r);
		now->cfa_expr = r->p;
		r->p += now->cfa_len;
		return true;
	case 0x10:
		set_expression(s, r, EXPRESSION);
		return true;
	case 0x16:
		set_expression(s, r, VAL_EXPRESSION);
		return true;
	case 0x11: /* offset_extended_sf */
		reg = read_uleb(r);
		set_rule(s, reg, OFFSET, read_sleb(r) * daf);
		return true;
	case 0x12: /* def_cfa_sf */
		now->cfa_is_expr = 0;
		now->cfa_reg = read_uleb(r);
		now->cfa_offset = read_sleb(r) * daf;
		return true;
	case 0x13:
		now->cfa_offset = read_sleb(r) * daf;
		return true;
	case 0x14: /* val_offset */
		reg = read_uleb(r);
		set_rule(s, reg, VAL_OFFSET, (int64_t)read_uleb(r) * daf);
		return true;
	case 0x15:
		reg = read_uleb(r);
		set_rule(s, reg, VAL_OFFSET, read_sleb(r) * daf);
		return true;
	case 0x2e: /* GNU_args_size */
		read_uleb(r);
		return true;
	}
	return false;
}

/* Runs one instruction stream up to pc. False: not understood. *loc advances. */
static bool run_insns(struct cfi_scratch *s, const struct fde *f, const uint8_t *insns,
		      const uint8_t *end, uint64_t pc, uint64_t *loc)
{
	struct reader r = {.p = insns, .end = end};
	int depth = 0;

	while (r.p < r.end && !r.bad) {
		uint8_t op = *r.p++, low = op & 63;
		uint64_t next;

		switch (op >> 6) {
		case 1:
			next = *loc + low * f->cie.code_align;
			break;
		case 2:
			set_rule(s, low, OFFSET, (int64_t)read_uleb(&r) * f->cie.data_align);
			continue;
		case 3:
			restore_rule(s, low);
			continue;
		default:
			if (op == 1)
				next = read_encoded(&r, f->cie.pointer_enc, 0);
			else if (op >= 2 && op <= 4)
				next = *loc + read_fixed(&r, 1u << (op - 2)) * f->cie.code_align;
			else if (run_extended(s, &r, op, f->cie.data_align, &depth))
				continue;
			else
				return false;
		}
		if (next > pc)
			return !r.bad;
		*loc = next;
	}
	return !r.bad;
}

static bool find_row(struct cfi_scratch *s, const struct fde *f, uint64_t pc)
{
	uint64_t loc = f->low;

	bytes_zero(&s->now, sizeof(s->now));
	if (!run_insns(s, f, f->cie.insns, f->cie.end, ~0ull, &loc))
		return false;
	s->initial = s->now;
	loc = f->low;
	return run_insns(s, f, f->insns, f->end, pc, &loc);
}

/* The FDE that may cover pc, by the sorted table of .eh_frame_hdr. */
static const uint8_t *search_hdr(const uint8_t *hdr, uint64_t pc)
{
	struct reader r = {.p = hdr + 4, .end = hdr + 64};
	const int32_t *table;
	int64_t delta = (int64_t)pc - (int64_t)hdr;
	size_t low = 0, high;

	if (hdr[0] != 1 || hdr[3] != 0x3b) /* version; table of sdata4, relative to hdr */
		return NULL;
	read_encoded(&r, hdr[1], (uint64_t)hdr);
	high = read_encoded(&r, hdr[2], (uint64_t)hdr);
	table = (const int32_t *)r.p;
	if (r.bad || !high || delta < table[0])
		return NULL;
	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (table[2 * middle] <= delta)
			low = middle;
		else
			high = middle;
	}
	return hdr + table[2 * low + 1];
}

/* ---- complex rules: by content, so a handful serve a whole program ---- */

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

static uint32_t complex_rule(const struct row *s, uint8_t is_signal)
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
		if (reg_index(s->cfa_reg) != REG_SP && reg_index(s->cfa_reg) != REG_BP)
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

static uint32_t simple_rule(const struct row *s, uint8_t is_signal)
{
	const struct reg_rule *ra = &s->regs[REG_RA], *bp = &s->regs[REG_BP];
	uint32_t kind, below = 0;

	if (ra->how == UNDEFINED)
		return RULE_END;
	if (is_signal || s->cfa_is_expr || ra->how != OFFSET || ra->value != -8 ||
	    s->regs[REG_SP].how != SAME)
		return RULE_COMPLEX;
	if (s->cfa_reg != ARCH_DWARF_SP && s->cfa_reg != ARCH_DWARF_BP)
		return RULE_COMPLEX;
	if ((s->cfa_offset & 7) || s->cfa_offset <= 0 || s->cfa_offset / 8 > 0xffff)
		return RULE_COMPLEX;
	kind = s->cfa_reg == ARCH_DWARF_BP ? RULE_BP : RULE_SP;
	if (bp->how == OFFSET) {
		if (bp->value >= 0 || (bp->value & 7) || -bp->value / 8 > 0x1fff)
			return RULE_COMPLEX;
		kind |= 1;
		below = (uint32_t)(-bp->value / 8);
	} else if (bp->how != SAME && bp->how != UNDEFINED) {
		return RULE_COMPLEX;
	}
	return kind | (uint32_t)(s->cfa_offset / 8) << 3 | below << 19;
}

uint32_t cfi_rule(const uint8_t *eh_frame_hdr, uint64_t pc, struct cfi_scratch *scratch)
{
	uint64_t at = pc - 1; /* inside the call, not behind it */
	const uint8_t *found = search_hdr(eh_frame_hdr, at);
	struct fde f;
	uint32_t rule;

	if (!found || !parse_fde(found, &f) || at < f.low || at >= f.high)
		return RULE_NONE;
	if (!find_row(scratch, &f, at))
		return RULE_BAD;
	rule = simple_rule(&scratch->now, f.cie.is_signal);
	return rule == RULE_COMPLEX ? complex_rule(&scratch->now, f.cie.is_signal) : rule;
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
			if (reg_index(reg) < 0)
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
