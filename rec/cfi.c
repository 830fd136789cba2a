/*
 * Interprets .eh_frame for one address: .eh_frame_hdr binary search, CIE, FDE, call frame
 * instructions; the resulting row becomes a 32-bit rule, or an entry of the table of complex rules.
 */
#include "bytes.h"
#include "cfi_row.h"

#define STATES_MAX 12 /* nesting of DW_CFA_remember_state */

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
	int i = cfi_reg_index(reg);

	if (i >= 0)
		s->now.regs[i] = (struct reg_rule){.how = how, .value = value};
}

static void set_expression(struct cfi_scratch *s, struct reader *r, uint8_t how)
{
	int i = cfi_reg_index(read_uleb(r));
	uint64_t len = read_uleb(r);

	if (i >= 0)
		s->now.regs[i] = (struct reg_rule){.how = how, .len = (uint32_t)len, .expr = r->p};
	r->p += len;
}

static void restore_rule(struct cfi_scratch *s, uint64_t reg)
{
	int i = cfi_reg_index(reg);

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
