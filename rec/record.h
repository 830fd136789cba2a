/*
 * The fast path of an allocation: has this call site the same stack as last time? Then count it in
 * the record and enter the block into the live table. Everything else is cold.
 */
#ifndef SEEP_REC_RECORD_H
#define SEEP_REC_RECORD_H

#include "arch_x86_64.h"
#include "table.h"

/*
 * Four words of a record's proof: at sp + offset stands value. Loads are what it costs to compare
 * them, so two offsets come in one: low half of offsets[i], then high half, go with value[2 * i]
 * and value[2 * i + 1]. In the order of unwinding they are lows first: value[0], [2], [1], [3].
 */
struct word_group {
	_Alignas(16) uint64_t value[4];
	uint64_t offsets[2];
};

/* What lies in front of a record's groups. */
struct words_head {
	uint64_t bp; /* counts only where it is live */
	uint32_t cap_bytes, pad;
};

static inline uint64_t word_at(uint64_t sp, uint32_t offset)
{
	return *(const uint64_t *)(sp + offset);
}

/* In order, inner words first, leaving at the first difference: reads only what unwinding would
 * read. */
static inline bool groups_hold(const struct word_group *g, const struct word_group *end,
			       uint64_t sp)
{
	for (; g < end; g++) {
		uint64_t a = g->offsets[0], b = g->offsets[1];

		if (unlikely(word_at(sp, (uint32_t)a) != g->value[0]) ||
		    unlikely(word_at(sp, (uint32_t)b) != g->value[2]) ||
		    unlikely(word_at(sp, (uint32_t)(a >> 32)) != g->value[1]) ||
		    unlikely(word_at(sp, (uint32_t)(b >> 32)) != g->value[3]))
			return false;
	}
	return true;
}

/* Does the stack hold what proves that it is this record's? */
static inline bool record_holds(const struct wire_record *r, uint64_t sp)
{
	const struct word_group *g = (const struct word_group *)r->words;

	return groups_hold(g, (const void *)((const char *)g + r->words_bytes), sp);
}

/* The same, better where the record is cold, for one of which all words are certainly mapped. */
static inline bool record_holds_sure(const struct wire_record *r, uint64_t sp)
{
	const struct word_group *g = (const struct word_group *)r->words;
	const struct word_group *end = (const void *)((const char *)g + r->words_bytes);
	struct arch_differences d = arch_no_differences();

	do
		arch_compare(&d, sp, g->offsets, g->value);
	while (++g < end);
	return !arch_differs(&d);
}

static inline bool record_bp_differs(const struct wire_record *r, uint64_t bp)
{
	return unlikely(r->flags & WIRE_RECORD_BP) &&
	       ((const struct words_head *)r->words)[-1].bp != bp;
}

/*
 * Where a thread's records are. A call site (pc, sp) has one record. A site that is reached from
 * many places has many stacks, though, and its record holds one of them; the others have records of
 * their own, found by a hash of the words that stand where the first one's words stand: a guess,
 * like everything here checked afterwards. Only words that are mapped for certain are hashed:
 * behind a difference nothing says that the stack is as long as it was. And only those groups of
 * words in which the site's stacks were ever seen to differ.
 *
 * Records are given out one after the other, so that few of them are few cache lines and pages; the
 * index has their offsets from the first one, which stays empty. A way of a set without a record
 * has seen a stack with its tag once.
 */
#define SET_WAYS 4
#define SETS_BITS (WIRE_VARIANTS_BITS - 2)

struct record_set {
	_Alignas(16) uint32_t tag[SET_WAYS];
	uint32_t record[SET_WAYS];
};

struct record_index {
	struct record_set sets[1u << SETS_BITS];
	uint32_t sites[1u << WIRE_SITES_BITS];
};

static inline struct wire_record *record_at(struct wire_thread *w, uint32_t offset)
{
	return (struct wire_record *)((char *)w->records + offset);
}

static inline uint32_t *record_site(struct record_index *x, uint64_t pc, uint64_t sp)
{
	return &x->sites[((uint32_t)pc + (uint32_t)sp * 9) * 0x9e3779b1u >> (32 - WIRE_SITES_BITS)];
}

/* The set in which another stack of this site has its record, and the tag that it has there. */
static inline struct record_set *record_find_set(struct record_index *x,
						 const struct wire_record *site, uint64_t sp,
						 uint32_t *ret_tag)
{
	const struct word_group *g = (const struct word_group *)site->words;
	const struct word_group *end = (const void *)((const char *)g + site->hash_bytes);
	uint64_t a = site->shape, b = 0;

	/* Every other word: a call path differs in more than one, or soon will. */
	do {
		uint64_t offsets = g->offsets[0];

		a = a * 0x2545f491 + word_at(sp, (uint32_t)offsets);
		b = b * 0x2545f491 + word_at(sp, (uint32_t)(offsets >> 32));
	} while (++g < end);
	a = (a + b * 0x3c6ef373) * 0x9e3779b97f4a7c15ull;
	*ret_tag = (uint32_t)a;
	return &x->sets[a >> (64 - SETS_BITS)];
}

/* remember.c: the stack at (pc, sp, bp) has just been walked, and ends in this node. */
void remember_stack(struct thread *t, struct wire_header *h, uint64_t pc, uint64_t sp, uint64_t bp,
		    uint32_t node);

/* None of the other stacks in x is known any more; what they have counted stays with them. */
void remember_no_shapes(struct thread *t, struct record_index *x);

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

/* More frees, for finding those of unknown blocks. The caller is inside a hook. */
void record_frees_counted(struct wire_header *h, struct wire_thread *w, uint64_t nr);
static inline void record_free_counted(struct wire_header *h, struct wire_thread *w)
{
	record_frees_counted(h, w, 1);
}
/*
 * Counts one more block of this node. While a snapshot is taken, counters stand still and its
 * reader adds what the log says afterwards.
 */
void record_count(struct wire_header *h, uint32_t node, uint64_t size);

/*
 * moving.c: brackets a change of the tables that is not part of rec_allocated or rec_freed, maybe
 * inside another hook, which has decided for itself whether it is noted.
 */
struct hook {
	struct wire_header *h;
	struct wire_thread *w;
	bool outer_logs;
	uint32_t outer;	    /* hooks around this one */
	uint64_t inside_sp; /* for told_begin() and told_end(): see blob_self.h */
};
bool hook_begin(struct hook *k, uint64_t sp); /* false: not recording */
void hook_end(struct hook *k);

/* As table_resize(); with events, what has changed is told. */
bool record_resize(struct wire_header *h, struct wire_thread *w, uint64_t addr, size_t size);

#ifdef REC_CHECK
/* Compares the stack just recorded with libgcc's unwinder, frame by frame. */
void check_stack(struct wire_header *h, uint64_t pc, uint32_t node);
#endif

#endif
