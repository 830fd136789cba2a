/*
 * The fast path of an allocation: has this call site the same stack as last time? Then count it in
 * the record and enter the block into the live table. Everything else is cold.
 */
#ifndef SEEP_REC_RECORD_H
#define SEEP_REC_RECORD_H

#include "arch_x86_64.h"
#include "table.h"

/* Four words of a record's proof: at sp + offset stands value. */
struct word_group {
	uint64_t value[4];
	uint64_t offsets[2]; /* low halves: of values 0 and 2, high halves: of 1 and 3 */
};

/* In order, inner words first, leaving at the first difference: reads only what unwinding would
 * read. */
static inline bool record_holds(const struct wire_record *r, uint64_t sp)
{
	const struct word_group *g = (const struct word_group *)r->words, *end = g + r->words_nr;
	const char *s = (const char *)sp;

	do {
		uint64_t a = g->offsets[0], b = g->offsets[1];

		if (unlikely(*(const uint64_t *)(s + (uint32_t)a) != g->value[0]))
			return false;
		if (unlikely(*(const uint64_t *)(s + (a >> 32)) != g->value[1]))
			return false;
		if (unlikely(*(const uint64_t *)(s + (uint32_t)b) != g->value[2]))
			return false;
		if (unlikely(*(const uint64_t *)(s + (b >> 32)) != g->value[3]))
			return false;
	} while (++g < end);
	return true;
}

/*
 * A site that is reached with the same pc and sp from many places has many stacks, and its record
 * holds one of them. The others have records of their own, found by a hash of the words that stand
 * where the first one's words stand: a guess, like everything here checked afterwards. Only words
 * that are mapped for certain are read: behind a difference nothing says that the stack is as long
 * as it was.
 *
 * Returns the first of VARIANT_WAYS records that it may be in, and the tag that it then has; NULL:
 * this site's words do not lend themselves to it.
 */
#define VARIANT_WAYS_BITS 2
#define VARIANT_WAYS (1 << VARIANT_WAYS_BITS)

static inline struct wire_record *record_variants(struct wire_thread *w,
						  const struct wire_record *r, uint64_t sp,
						  uint16_t *ret_tag)
{
	const struct word_group *g = (const struct word_group *)r->words, *end = g + r->words_nr;
	const char *s = (const char *)sp;
	uint64_t room = stackmap_certain(sp) - sp, a = 0, b = 0;

	if (!r->is_shape)
		return NULL;
	/* Every other word: a call path differs in more than one, or soon will. */
	for (; g < end && (g->offsets[1] >> 32) + 8 <= room; g++) {
		a = a * 31 + *(const uint64_t *)(s + (uint32_t)g->offsets[0]);
		b = b * 31 + *(const uint64_t *)(s + (uint32_t)g->offsets[1]);
	}
	a = (a + b * 0x9e3779b97f4a7c15ull) ^ r->pc << 7 ^ sp;
	a *= 0x9e3779b97f4a7c15ull;
	*ret_tag = (uint16_t)(a >> 16);
	a >>= 64 - (WIRE_VARIANTS_BITS - VARIANT_WAYS_BITS);
	return &w->records[(1u << WIRE_SITES_BITS) + (a << VARIANT_WAYS_BITS)];
}

/* Is this record's stack the present one? */
static inline bool record_matches(const struct wire_record *r, uint32_t epoch, uint64_t pc,
				  uint64_t sp, uint64_t bp)
{
	return likely(((r->pc ^ pc) | (r->sp ^ sp) | (r->epoch ^ epoch)) == 0 &&
		      (!r->bp_live || r->bp == bp) && record_holds(r, sp));
}

/*
 * Notes that the block at p, of `size` requested bytes, was allocated by the call that returns to
 * pc with stack pointer sp (after the return) and frame pointer bp. Returns p, which may be NULL.
 */
void *rec_allocated(void *p, size_t size, uint64_t pc, uint64_t sp, uint64_t bp);
/* The same for a function that may have called another interposed one to get the block. */
void *rec_allocated_wrapper(void *p, size_t size, uint64_t pc, uint64_t sp, uint64_t bp);
/* Notes that p is about to be freed; p may be foreign, not NULL. */
void rec_freed(void *p);
/* The same for a function that may go on to call another interposed one with p. */
void rec_freed_wrapper(void *p);

/* One more free, for finding those of unknown blocks. The caller is inside a hook. */
void record_free_counted(struct wire_header *h, struct wire_thread *w);

#ifdef REC_CHECK
/* Compares the stack just recorded with libgcc's unwinder, frame by frame. */
void check_stack(struct wire_header *h, uint64_t pc, uint32_t node);
#endif

#endif
