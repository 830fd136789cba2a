/*
 * From the contents of blocks to a graph, and the walk over it; see reach.h.
 *
 * Both are bound by memory that is not in the cache: so words are looked up in batches, and blocks
 * wait in a queue, between asking for their cache line and using it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/reach.h"
#include "model/reach_private.h"

#define BATCH 128 /* words looked up at once */
#define RUN 64	  /* words scanned between looking whether the batch is full */
#define QUEUE 64  /* a power of two */

/* Words that may be pointers, on their way through the index. */
struct batch {
	uint64_t word[BATCH + RUN];
	uint32_t source[BATCH + RUN]; /* the block it is in */
	const struct reach_span *span[BATCH + RUN];
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
 * object in a shared_ptr's block begin. Anything deeper is weak. What lies in a gap resolves to the
 * gap: looking that up here would be another line of memory, and a gap has no edges.
 */
static uint32_t resolve(const struct reach *r, const struct reach_span *s, uint64_t word)
{
	uint64_t granule = (word - s->start) >> s->shift;
	const struct reach_cell *cell = &s->cells[granule / 64];
	uint64_t below = cell->starts << (63 - granule % 64);
	uint32_t id = cell->rank + bits_count(below) - 1;
	uint64_t begin;

	if (below == 0) {
		/* It begins in an earlier cell; only in the one before can it be near. */
		granule -= granule % 64 + 1;
		below = cell[-1].starts;
		if (below == 0)
			return id | REACH_WEAK;
	}
	begin = s->start + ((granule - (unsigned int)__builtin_clzll(below)) << s->shift);
	return word - begin <= r->word_bytes || word - begin == 2 * r->word_bytes ? id
										  : id | REACH_WEAK;
}

static void fetch(const struct reach *r, struct batch *b)
{
	const struct reach_span *s = NULL;

	for (unsigned int i = 0; i < b->nr; i++) {
		uint64_t word = b->word[i];

		if (!s || word < s->start || word >= s->end)
			s = reach_span_of(r, word);
		b->span[i] = s;
		if (s)
			__builtin_prefetch(&s->cells[((word - s->start) >> s->shift) / 64]);
	}
}

/* All ids up to this one begin their edges here. */
static void set_offsets(struct reach *r, uint32_t until)
{
	for (; r->scanned <= until; r->scanned++) {
		if (r->scanned % (1u << REACH_GROUP_SHIFT) == 0)
			r->group_base[r->scanned >> REACH_GROUP_SHIFT] = r->nr_edges;
		r->offsets[r->scanned] =
			(uint32_t)(r->nr_edges - r->group_base[r->scanned >> REACH_GROUP_SHIFT]);
	}
}

static void push_edges(struct reach *r, struct batch *b)
{
	fetch(r, b);
	if (r->cap_edges - r->nr_edges < BATCH + RUN) {
		r->cap_edges = r->cap_edges ? r->cap_edges + r->cap_edges / 2 : 1 << 16;
		r->edges = mem_realloc(r->edges, (size_t)r->cap_edges * sizeof(*r->edges));
	}
	for (unsigned int i = 0; i < b->nr; i++) {
		uint32_t target = b->span[i] ? resolve(r, b->span[i], b->word[i]) : REACH_NONE;

		if (target == REACH_NONE)
			continue;
		if (b->source[i] >= r->scanned)
			set_offsets(r, b->source[i]);
		r->edges[r->nr_edges++] = target;
	}
	b->nr = 0;
}

/* Words of one block, or of a part of one. */
static void scan_block(struct reach *r, struct batch *b, uint32_t id, const uint8_t *p, size_t len)
{
	uint64_t low = r->low, width = r->high - r->low;
	unsigned int step = r->word_bytes;
	size_t words = len / step;

	while (words) {
		size_t run = words < RUN ? words : RUN;
		unsigned int nr = b->nr;

		/* No branch on what a word is: which are pointers cannot be foreseen. */
		for (size_t i = 0; i < run; i++, p += step) {
			uint64_t word = load_word(p, step);

			b->word[nr] = word;
			b->source[nr] = id;
			nr += word - low < width;
		}
		b->nr = nr;
		if (nr >= BATCH)
			push_edges(r, b);
		words -= run;
	}
}

/* The part of a piece that lies in one span. */
static void scan_span(struct reach *r, const struct reach_span *s, uint64_t addr,
		      const uint8_t *bytes, size_t len)
{
	uint64_t granule = (addr - s->start) >> s->shift, end = addr + len;
	size_t cell = (size_t)(granule / 64);
	uint64_t below = s->cells[cell].starts << (63 - granule % 64);
	uint32_t id = s->cells[cell].rank + bits_count(below) - 1;
	/* Starts that come after addr's own granule. */
	uint64_t left = granule % 64 == 63 ? 0 : s->cells[cell].starts & (~1ull << (granule % 64));
	struct batch b = {.nr = 0};

	while (addr < end) {
		uint64_t next = s->end;

		while (!left && cell + 1 < s->nr_cells)
			left = s->cells[++cell].starts;
		if (left)
			next = s->start +
			       ((uint64_t)(cell * 64 + (unsigned int)__builtin_ctzll(left))
				<< s->shift);
		left &= left - 1;
		if (next > end)
			next = end;
		if (!bit_get(r->gaps, id))
			scan_block(r, &b, id, bytes, (size_t)(next - addr));
		bytes += next - addr;
		addr = next;
		id++;
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

const uint32_t *reach_edges(const struct reach *r, uint32_t id, size_t *ret_nr)
{
	uint64_t first = reach_offset(r, id);

	*ret_nr = (size_t)(reach_offset(r, id + 1) - first);
	return r->edges + first;
}

uint64_t reach_nr_edges(const struct reach *r)
{
	return r->nr_edges;
}

uint32_t reach_resolve(const struct reach *r, uint64_t word)
{
	const struct reach_span *s;
	uint32_t target;

	if (word - r->low >= r->high - r->low)
		return REACH_NONE;
	s = reach_span_of(r, word);
	target = s ? resolve(r, s, word) : REACH_NONE;
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

/*
 * Blocks on their way: those that have been marked wait on the stack, and before their edges are
 * followed they pass a short queue, so that the line with their offset has time to arrive. Weak
 * pointers met in the strong walk are put aside: the weak walk begins at them.
 */
struct walk {
	struct reach *r;
	uint64_t *marks;
	bool strong_only;
	uint32_t *stack;
	size_t nr, cap;
	uint32_t *aside;
	size_t nr_aside, cap_aside;
	uint32_t queue[QUEUE];
	size_t head, tail;
};

static void visit(struct walk *w, uint32_t edge)
{
	uint32_t id = edge & ~REACH_WEAK;

	if (bit_get(w->marks, id))
		return;
	if (w->strong_only && (edge & REACH_WEAK)) {
		ARRAY_PUSH(w->aside, w->nr_aside, w->cap_aside, id);
		return;
	}
	bit_set(w->marks, id);
	ARRAY_PUSH(w->stack, w->nr, w->cap, id);
}

static void follow(struct walk *w, uint32_t id)
{
	size_t nr;
	const uint32_t *edges = reach_edges(w->r, id, &nr);

	for (size_t i = 0; i < nr; i++)
		__builtin_prefetch(&w->marks[(edges[i] & ~REACH_WEAK) >> 6]);
	for (size_t i = 0; i < nr; i++)
		visit(w, edges[i]);
}

static void walk(struct walk *w)
{
	while (w->nr || w->head != w->tail) {
		while (w->nr && w->tail - w->head < QUEUE) {
			uint32_t id = w->stack[--w->nr];

			__builtin_prefetch(&w->r->offsets[id]);
			w->queue[w->tail++ % QUEUE] = id;
			/* Half-way through the queue the offset is there: ask for the edges. */
			if (w->tail - w->head > QUEUE / 2) {
				uint32_t half = w->queue[(w->tail - QUEUE / 2) % QUEUE];

				__builtin_prefetch(&w->r->edges[reach_offset(w->r, half)]);
			}
		}
		follow(w, w->queue[w->head++ % QUEUE]);
	}
}

void reach_mark(struct reach *r)
{
	size_t bytes = ((size_t)r->nr_ids / 64 + 1) * sizeof(*r->strong);
	struct walk w = {.r = r, .marks = r->strong, .strong_only = true};

	memset(r->strong, 0, bytes);
	for (size_t i = 0; i < r->nr_roots; i++)
		visit(&w, r->roots[i]);
	walk(&w);
	memcpy(r->weak, r->strong, bytes);
	w.marks = r->weak;
	w.strong_only = false;
	for (size_t i = 0; i < w.nr_aside; i++)
		visit(&w, w.aside[i]);
	walk(&w);
	free(w.stack);
	free(w.aside);
}

void reach_each_weakly_held(struct reach *r, void (*fn)(void *context, uint32_t id), void *context)
{
	for (size_t i = 0; i < r->nr_roots; i++) {
		uint32_t id = r->roots[i] & ~REACH_WEAK;

		if ((r->roots[i] & REACH_WEAK) && reach_state(r, id) == REACH_POSSIBLE)
			fn(context, id);
	}
	for (uint32_t from = 0; from < r->nr_ids; from++) {
		size_t nr;
		const uint32_t *edges;

		if (!bit_get(r->strong, from))
			continue;
		edges = reach_edges(r, from, &nr);
		for (size_t i = 0; i < nr; i++) {
			uint32_t id = edges[i] & ~REACH_WEAK;

			if ((edges[i] & REACH_WEAK) && !bit_get(r->gaps, id) &&
			    reach_state(r, id) == REACH_POSSIBLE)
				fn(context, id);
		}
	}
}

void reach_hold(struct reach *r, uint32_t id)
{
	ARRAY_PUSH(r->roots, r->nr_roots, r->cap_roots, id);
}

const uint32_t *reach_roots(const struct reach *r, size_t *ret_nr)
{
	*ret_nr = r->nr_roots;
	return r->roots;
}

enum reach_state reach_state(const struct reach *r, uint32_t id)
{
	if (bit_get(r->strong, id))
		return REACH_HELD;
	return bit_get(r->weak, id) ? REACH_POSSIBLE : REACH_LEAKED;
}
