/*
 * Return address → unwinding rule, remembered in one direct-mapped table for all threads.
 *
 * An entry is one 8-byte word {tag:32, rule:32}, read and written whole. With 16 index bits and the
 * tag pc >> 16, index and tag together are the address, so a hit is exact: index ^ f(tag) gives
 * back the low bits. Addresses have 48 bits at most.
 */
#include "cfi.h"
#include "modules.h"

uint64_t rules_table[1u << RULES_BITS] __attribute__((aligned(64)));

uint32_t rules_find_uncached(struct thread *t, struct wire_header *h, uint64_t pc, int level)
{
	struct cfi_scratch *s =
		(void *)((uint8_t *)t->scratch + (size_t)level * cfi_scratch_bytes());
	const uint8_t *hdr;

	if (pc >> WIRE_PC_BITS)
		return RULE_BAD;
	hdr = modules_unwind_info(h, pc - 1);
	return hdr ? cfi_rule(hdr, pc, s) : RULE_NONE;
}

COLD uint32_t rules_miss(struct thread *t, struct wire_header *h, uint64_t pc, int level)
{
	uint32_t rule = rules_find_uncached(t, h, pc, level);

	if (!(pc >> WIRE_PC_BITS) &&
	    !(__atomic_load_n(&h->slow, __ATOMIC_RELAXED) & WIRE_SLOW_UNLOAD))
		__atomic_store_n(&rules_table[rules_index(pc)],
				 (uint64_t)rules_tag(pc) << 32 | rule, __ATOMIC_RELAXED);
	return rule;
}

void rules_flush(void)
{
	for (uint32_t i = 0; i < 1u << RULES_BITS; i++)
		__atomic_store_n(&rules_table[i], 0, __ATOMIC_RELAXED);
}
