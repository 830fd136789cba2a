/*
 * Fuzzing heap walkers: a sound image of an allocator, into which the input writes words here and
 * there; then the account must still close. Each 12 bytes of input are a place and a word.
 */
#ifndef FUZZ_POKES_H
#define FUZZ_POKES_H

#include <string.h>

#include "../tools/fake_target.h"
#include "driver.h"
#include "heap/heaps.h"

#define POKE_BYTES 12u
#define POKES_MAX 64u

struct poke_area {
	uint64_t start, bytes;
};

/* Words are put back in reverse, so that one image serves for all inputs. */
struct pokes {
	struct target *t;
	const struct poke_area *areas;
	size_t nr_areas;
	uint64_t at[POKES_MAX], old[POKES_MAX];
	size_t nr;
};

static inline uint64_t poke_place(const struct pokes *p, uint32_t place)
{
	const struct poke_area *a = &p->areas[place % p->nr_areas];

	return a->start + (uint64_t)(place / p->nr_areas) * 4 % (a->bytes - 4);
}

static inline void pokes_apply(struct pokes *p, const uint8_t *data, size_t size)
{
	for (; size >= POKE_BYTES && p->nr < POKES_MAX; size -= POKE_BYTES, data += POKE_BYTES) {
		uint32_t place;
		uint8_t *at;

		memcpy(&place, data, 4);
		p->at[p->nr] = poke_place(p, place);
		at = fake_target_at(p->t, p->at[p->nr]);
		memcpy(&p->old[p->nr++], at, 8);
		memcpy(at, data + 4, 8);
	}
}

static inline void pokes_undo(struct pokes *p)
{
	while (p->nr) {
		p->nr--;
		memcpy(fake_target_at(p->t, p->at[p->nr]), &p->old[p->nr], 8);
	}
}

/* Words that may do harm: addresses of the image, small numbers, all bits, anything. */
static inline size_t pokes_make(const struct pokes *p, uint8_t *data, size_t max, uint64_t state)
{
	size_t nr = 1 + fuzz_random(&state) % 6, size = 0;

	for (; nr && size + POKE_BYTES <= max; nr--, size += POKE_BYTES) {
		uint64_t r = fuzz_random(&state), word = fuzz_random(&state);
		uint32_t place = (uint32_t)fuzz_random(&state);

		if (r % 8 < 4)
			word = poke_place(p, (uint32_t)word) & ~(uint64_t)(r >> 8 & 63);
		else if (r % 8 == 4)
			word %= 4096;
		else if (r % 8 == 5)
			word = ~0ull >> (word % 64);
		else if (r % 8 == 6)
			word &= 0xffff7fffffffffull;
		memcpy(data + size, &place, 4);
		memcpy(data + size + 4, &word, 8);
	}
	return size;
}

#define POKE_BLOCKS 64u

/* A walk, and some of its blocks: what is odd, and every now and then one that is not. */
struct poke_walk {
	struct heaps *h;
	size_t nr;
	struct heap_block some[POKE_BLOCKS];
	size_t nr_some;
};

static inline int poke_see(void *context, const struct heap_block *b)
{
	struct poke_walk *w = context;
	const struct heap *heap = heaps_get(w->h, b->heap);

	if ((b->what || w->nr++ % 16 == 0) && w->nr_some < POKE_BLOCKS)
		w->some[w->nr_some++] = *b;
	FUZZ_MUST(b->total && b->start + b->total > b->start && b->state < BLOCK_STATES);
	for (size_t i = 0; i < heap->nr_spans; i++)
		if (b->start >= heap->spans[i].start &&
		    b->start + b->total <= heap->spans[i].committed_end)
			return 0;
	FUZZ_MUST(!"a block lies outside its heap");
	return 0;
}

/* Whatever the bytes are: it ends, and every committed byte is accounted for once. */
static inline void pokes_walk(struct target *t, const struct heap_ops *ops)
{
	const struct heap_ops *const only[] = {ops, NULL};
	struct poke_walk w = {.nr = 0};
	struct str text = STR_INIT;
	struct heap_block b;

	if (heaps_find_with(t, only, &w.h, NULL) < 0)
		return;
	FUZZ_MUST(heaps_walk(w.h, HEAP_ALL, poke_see, &w, NULL) == 0);
	for (size_t i = 0; i < heaps_nr(w.h); i++) {
		const struct heap_figures *f = &heaps_get(w.h, i)->figures;

		FUZZ_MUST(f->committed_bytes ==
			  f->busy_bytes + f->cached_bytes + f->free_bytes + f->overhead_bytes);
		FUZZ_MUST(f->internal_bytes <= f->busy_bytes);
	}
	for (size_t i = 0; i < w.nr_some; i++) {
		heaps_describe(w.h, &w.some[i], &text);
		if (i < 4)
			FUZZ_MUST(heaps_find_block(w.h, w.some[i].start, &b) == 0);
	}
	str_release(&text);
	heaps_free(w.h);
}

#endif
