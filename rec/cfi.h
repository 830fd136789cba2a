/*
 * Call frame information: from .eh_frame to one rule for one return address.
 *
 * A simple rule is 32 bits: kind:3 | (CFA offset / 8):16 | (-offset of saved bp from CFA / 8):13.
 * It covers 98.5 % of Debian's code. The rest are complex rules, kept in a table by content.
 * Sources: DWARF 5 section 6.4; LSB 5.0 "Exception Frames"; System V ABI AMD64 section 3.7.
 */
#ifndef SEEP_REC_CFI_H
#define SEEP_REC_CFI_H

#include "arch_x86_64.h"
#include "rec.h"

enum rule_kind {
	RULE_SP = 0,	/* CFA = sp + offset */
	RULE_SP_BP = 1, /* … and bp was saved */
	RULE_BP = 2,	/* CFA = bp + offset */
	RULE_BP_BP = 3,
	RULE_END = 4,	  /* outermost frame: the return address is undefined */
	RULE_COMPLEX = 5, /* rule >> 3: index for cfi_step_complex */
	RULE_NONE = 6,	  /* no unwind information for this address */
	RULE_BAD = 7,	  /* information that is not understood, or a read outside the stack */
};
#define RULE_KIND(r) ((r)&7)
#define RULE_CFA(r) ((uint64_t)(((r) >> 3) & 0xffff) * 8)
#define RULE_BP_BELOW(r) ((uint64_t)((r) >> 19) * 8)

/* Derives the rule for the call that returns to pc. Pure; uses only *scratch. */
uint32_t cfi_rule(const uint8_t *eh_frame_hdr, uint64_t pc, struct cfi_scratch *scratch);
size_t cfi_scratch_bytes(void);

/* State of an unwinding walk and, for complex steps, the words it read. */
struct walk {
	uint64_t pc, sp, bp;
	struct word *extra;
	uint32_t extra_nr, extra_cap;
	struct thread *thread;
};
/* 0: stepped; 1: that was the outermost frame; -1: cannot go on. */
int cfi_step_complex(uint32_t rule, struct walk *w);

/* ---- rules.c: remembered rules ---- */

#define RULES_BITS 16
extern uint64_t rules_table[1u << RULES_BITS];

static inline uint32_t rules_index(uint64_t pc)
{
	return (uint32_t)(pc ^ (pc >> 17)) & ((1u << RULES_BITS) - 1);
}

static inline uint32_t rules_tag(uint64_t pc)
{
	return (uint32_t)(pc >> RULES_BITS);
}

uint32_t rules_miss(struct thread *t, struct wire_header *h, uint64_t pc, int level);

/* The rule of a return address; level 0, or 1 for a hook inside a hook. */
static inline uint32_t rules_find(struct thread *t, struct wire_header *h, uint64_t pc, int level)
{
	uint64_t e = __atomic_load_n(&rules_table[rules_index(pc)], __ATOMIC_RELAXED);

	if (likely((uint32_t)(e >> 32) == rules_tag(pc)))
		return (uint32_t)e;
	return rules_miss(t, h, pc, level);
}

uint32_t rules_find_uncached(struct thread *t, struct wire_header *h, uint64_t pc, int level);
void rules_flush(void);

#endif
