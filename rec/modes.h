/*
 * Which blocks are entered when not all of them are: modes off and sample (enum wire_mode).
 *
 * In these modes a block that the table does not know is the usual case, at its birth as at its
 * end; telling that is what has to be quick. The table answers (table_known()), and what it knows
 * leaves it: a block that ends, and one whose end went by unseen, when its address is given out
 * again. So it never holds a block that is gone, whatever the mode is changed to next.
 */
#ifndef SEEP_REC_MODES_H
#define SEEP_REC_MODES_H

#include "table.h"

enum mode_answer {
	MODE_PASS,   /* not to be entered */
	MODE_ENTER,  /* as usual */
	MODE_SAMPLE, /* as one that stands for others */
};

/* Takes out what the table has at this address, which is being given out again. */
void mode_clear_stale(struct wire_header *h, uint64_t addr, uint64_t *slot);

/*
 * What becomes of a new block, decided once for it. The thread's hook is under way; *ret_bits: of a
 * sample, log2 of the mean in force when it was drawn.
 */
enum mode_answer mode_decide(struct wire_header *h, struct wire_thread *w, size_t size,
			     uint32_t *ret_bits);

/* The end of a block: is it counted as one of a block that should be known? */
bool mode_counts_free(struct wire_header *h, struct wire_thread *w, uint64_t addr, bool known);

static inline uint32_t mode_of(const struct wire_header *h)
{
	return __atomic_load_n(&h->slow, __ATOMIC_RELAXED) & ~(uint32_t)WIRE_SLOW_FREES;
}

/* A new block that is not entered. A hook of an outer function may follow: it must know it. */
static inline void mode_passed(struct wire_header *h, struct wire_thread *w, uint64_t addr)
{
	uint64_t *slot = table_known(h, addr);

	if (unlikely(slot))
		mode_clear_stale(h, addr, slot);
	w->last_temps = (uint64_t)&thread_private(w)->scratch_temps;
	w->last_block = addr;
}

/*
 * A new block, where nothing but its mode is special: is it passed over? Then that has been done.
 * False: mode_decide() has to be asked.
 */
static inline bool mode_passes_over(struct wire_header *h, struct wire_thread *w, uint64_t addr,
				    size_t size)
{
	struct thread *t = thread_private(w);
	uint32_t mode = mode_of(h);

	if (mode == WIRE_SLOW_SAMPLE) {
		size_t counted = size ? size : 1;

		if (t->sample_bits != h->sample_bits || t->sample_left <= counted)
			return false;
		t->sample_left -= counted;
	} else if (mode == WIRE_SLOW_OFF) {
		w->unseen[0].blocks++;
		w->unseen[0].bytes += size;
	} else {
		return false;
	}
	mode_passed(h, w, addr);
	return true;
}

/* The end of a block that the table does not know, likewise. */
static inline bool mode_passes_free(struct wire_header *h, struct wire_thread *w, uint64_t addr)
{
	uint32_t mode = mode_of(h);

	if ((mode != WIRE_SLOW_SAMPLE && mode != WIRE_SLOW_OFF) || table_known(h, addr))
		return false;
	if (mode == WIRE_SLOW_OFF)
		mode_counts_free(h, w, addr, false);
	w->last_block = 0;
	return true;
}

#endif
