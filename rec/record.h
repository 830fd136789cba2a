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

#ifdef REC_CHECK
/* Compares the stack just recorded with libgcc's unwinder, frame by frame. */
void check_stack(struct wire_header *h, uint64_t pc, uint32_t node);
#endif

#endif
