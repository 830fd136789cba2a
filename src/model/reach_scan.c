/*
 * From the contents of memory to a graph; see reach.h.
 *
 * Three steps, none of which waits for the one before: which words can be pointers at all, of which
 * blocks they are and which line of the index they need, and what they point to.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/reach.h"
#include "model/reach_private.h"

#define RUN 256	  /* words looked through at once */
#define BATCH 128 /* words that may be pointers, resolved at once */

/* Words that may be pointers, on their way through the index. */
struct batch {
	uint64_t word[BATCH + RUN];
	uint32_t source[BATCH + RUN]; /* the block it is in */
	const struct reach_span *span[BATCH + RUN];
	const struct reach_span *last; /* that a word pointed into; NULL: none yet */
	unsigned int nr;
};

static uint64_t load_word(const uint8_t *p, unsigned int word_bytes)
{
	uint64_t wide;
	uint32_t half;

	if (word_bytes == 8) {
		memcpy(&wide, p, 8);
		return wide;
	}
	memcpy(&half, p, 4);
	return half;
}

/*
 * A pointer to a block's start holds it, also with a tag in its lowest bits; so does one to its
 * second or third word, which is where a base class, the elements behind an array's count, or the
 * object in a shared_ptr's block begin. Anything deeper is weak, and so is a pointer with something
 * else in the bits that no address needs: a counter, a kind, or chance. What lies in a gap resolves
 * to the gap: looking that up here would be another line of memory, and a gap has no edges.
 */
static uint32_t resolve(const struct reach *r, const struct reach_span *s, uint64_t word)
{
	uint64_t addr = word & r->address_mask, granule = (addr - s->start) >> s->shift;
	const struct reach_cell *cell = &s->cells[granule / 64];
	uint64_t below = cell->starts << (63 - granule % 64);
	uint32_t id = cell->rank + bits_count(below) - 1;
	uint64_t offset;

	if (below == 0) {
		/* It begins in an earlier cell; only in the one before can it be near. */
		granule -= granule % 64 + 1;
		below = cell[-1].starts;
		if (below == 0)
			return id | REACH_WEAK;
	}
	offset = addr - s->start - ((granule - (unsigned int)__builtin_clzll(below)) << s->shift);
	if (addr == word && (offset <= r->word_bytes || offset == 2 * r->word_bytes))
		return id;
	return id | REACH_WEAK;
}

/* All ids up to this one begin their edges here. */
static void set_offsets(struct reach *r, uint32_t until)
{
	for (; r->scanned <= until; r->scanned++)
		reach_offsets_set(&r->offsets, r->scanned, r->nr_edges);
}

static void push_edges(struct reach *r, struct batch *b)
{
	if (r->cap_edges - r->nr_edges < BATCH + RUN) {
		r->cap_edges = r->cap_edges ? r->cap_edges + r->cap_edges / 2 : 1 << 16;
		r->edges = mem_realloc(r->edges, (size_t)r->cap_edges * sizeof(*r->edges));
	}
	for (unsigned int i = 0; i < b->nr; i++) {
		if (b->source[i] >= r->scanned)
			set_offsets(r, b->source[i]);
		r->edges[r->nr_edges++] = resolve(r, b->span[i], b->word[i]);
	}
	b->nr = 0;
}

/*
 * Which of the words can point to a span: their indices. No branch on what a word is, for which are
 * pointers cannot be foreseen. Where spans lie as low as small numbers do, these are told by being
 * lower still.
 */
static inline __attribute__((always_inline)) unsigned int choose_words(const struct reach *r,
								       const uint8_t *p,
								       size_t nr_words,
								       unsigned int word_bytes,
								       bool has_low, uint16_t *ret)
{
	const uint8_t *places = r->places;
	uint64_t low = r->low;
	unsigned int nr = 0;

	for (size_t i = 0; i < nr_words; i++) {
		uint64_t word = load_word(p + i * word_bytes, word_bytes);
		unsigned int chosen = places[reach_place(word, word_bytes)];

		if (has_low)
			chosen &= word >= low;
		if (word_bytes == 8)
			chosen |= reach_is_mangled(r, word);
		ret[nr] = (uint16_t)i;
		nr += chosen;
	}
	return nr;
}

static unsigned int choose(const struct reach *r, const uint8_t *p, size_t nr_words, uint16_t *ret)
{
	if (r->word_bytes == 4)
		return choose_words(r, p, nr_words, 4, true, ret);
	if (r->places[0])
		return choose_words(r, p, nr_words, 8, true, ret);
	return choose_words(r, p, nr_words, 8, false, ret);
}

/* The block, or the gap, that holds an address of the span. */
static uint32_t id_at(const struct reach_span *s, uint64_t addr)
{
	uint64_t granule = (addr - s->start) >> s->shift;
	const struct reach_cell *cell = &s->cells[granule / 64];

	return cell->rank + bits_count(cell->starts << (63 - granule % 64)) - 1;
}

static const struct reach_span *span_for(const struct reach *r, struct batch *b, uint64_t addr)
{
	const struct reach_span *s = b->last;

	if (s && addr >= s->start && addr < s->end)
		return s;
	s = reach_span_of(r, addr);
	if (s)
		b->last = s;
	return s;
}

/* A chosen word, which stands at `at` in span s. */
static void take_word(const struct reach *r, const struct reach_span *s, struct batch *b,
		      uint64_t at, uint64_t word)
{
	uint64_t addr = word & r->address_mask;
	const struct reach_span *to = span_for(r, b, addr);

	if (!to && reach_is_mangled(r, word)) {
		word = reach_unmangle(r, word);
		addr = word & r->address_mask;
		to = span_for(r, b, addr);
	}
	if (!to)
		return;
	b->word[b->nr] = word;
	b->span[b->nr] = to;
	b->source[b->nr] = id_at(s, at);
	__builtin_prefetch(&to->cells[((addr - to->start) >> to->shift) / 64]);
	b->nr += !bit_get(r->gaps, b->source[b->nr]);
}

/* The part of a piece that lies in one span. */
static void scan_span(struct reach *r, const struct reach_span *s, uint64_t addr,
		      const uint8_t *bytes, size_t len)
{
	unsigned int step = r->word_bytes;
	size_t words = len / step;
	struct batch b;

	b.nr = 0;
	b.last = NULL;
	while (words) {
		size_t run = words < RUN ? words : RUN;
		uint16_t chosen[RUN];
		unsigned int nr = choose(r, bytes, run, chosen);

		for (unsigned int i = 0; i < nr; i++)
			take_word(r, s, &b, addr + (uint64_t)chosen[i] * step,
				  load_word(bytes + (size_t)chosen[i] * step, step));
		if (b.nr >= BATCH)
			push_edges(r, &b);
		addr += run * step;
		bytes += run * step;
		words -= run;
	}
	push_edges(r, &b);
}

void reach_scan(struct reach *r, uint64_t addr, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len) {
		const struct reach_span *s = reach_span_of(r, addr);
		size_t piece = len;

		if (!s)
			return;
		if (s->end - addr < piece)
			piece = (size_t)(s->end - addr);
		scan_span(r, s, addr, p, piece);
		addr += piece;
		p += piece;
		len -= piece;
	}
}

void reach_scan_end(struct reach *r)
{
	set_offsets(r, r->nr_ids);
}

/* A word that is mangled is made one with a tag. NULL: it points to no span. */
static const struct reach_span *span_of_word(const struct reach *r, uint64_t *word)
{
	uint64_t addr = *word & r->address_mask;
	const struct reach_span *s = NULL;

	if (addr - r->low < r->high - r->low)
		s = reach_span_of(r, addr);
	if (s || !reach_is_mangled(r, *word))
		return s;
	*word = reach_unmangle(r, *word);
	return reach_span_of(r, *word & r->address_mask);
}

uint64_t reach_untagged(const struct reach *r, uint64_t word)
{
	span_of_word(r, &word);
	return word & r->address_mask;
}

uint32_t reach_resolve(const struct reach *r, uint64_t word)
{
	const struct reach_span *s = span_of_word(r, &word);
	uint32_t target = s ? resolve(r, s, word) : REACH_NONE;

	if (target == REACH_NONE || bit_get(r->gaps, target & ~REACH_WEAK))
		return REACH_NONE;
	return target;
}

uint32_t reach_root(struct reach *r, uint64_t word)
{
	uint32_t target = reach_resolve(r, word);

	if (target == REACH_NONE)
		return REACH_NONE;
	ARRAY_PUSH(r->roots, r->nr_roots, r->cap_roots, target);
	return target & ~REACH_WEAK;
}

void reach_root_bytes(struct reach *r, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i + r->word_bytes <= len; i += r->word_bytes)
		reach_root(r, load_word(p + i, r->word_bytes));
}
