/*
 * The walk from the roots; see reach.h.
 *
 * It is bound by memory that is not in the cache: so blocks wait in a queue, between asking for
 * their cache line and using it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/reach.h"
#include "model/reach_private.h"

#define QUEUE 64 /* a power of two */

const uint32_t *reach_edges(const struct reach *r, uint32_t id, size_t *ret_nr)
{
	if (r->offsets.low)
		return reach_edges_of(r, id, ret_nr);
	*ret_nr = 0;
	return NULL;
}

uint64_t reach_nr_edges(const struct reach *r)
{
	return r->nr_edges;
}

void reach_drop_edges(struct reach *r)
{
	free(r->edges);
	r->edges = NULL;
	r->nr_edges = r->cap_edges = 0;
	reach_offsets_release(&r->offsets);
}

/*
 * On their way, each step with the next line of memory asked for at its begin and used at its end:
 *
 *   stack ──▶ queue ────────────▶ edges ──▶ pending ──▶ not marked yet: stack
 *             offset, then edges            mark
 *
 * Weak pointers met in the strong walk are put aside: the weak walk begins at them.
 */
struct walk {
	struct reach *r;
	uint64_t *marks;
	bool strong_only;
	uint32_t *stack;
	size_t nr, cap;
	uint32_t *aside;
	size_t nr_aside, cap_aside;
	uint32_t queue[QUEUE], pending[QUEUE];
	size_t head, tail, pending_head, pending_tail;
};

static inline void visit(struct walk *w, uint32_t edge)
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

static inline void take_pending(struct walk *w)
{
	visit(w, w->pending[w->pending_head++ % QUEUE]);
}

static void follow(struct walk *w, uint32_t id)
{
	size_t nr;
	const uint32_t *edges = reach_edges_of(w->r, id, &nr);

	for (size_t i = 0; i < nr; i++) {
		__builtin_prefetch(&w->marks[(edges[i] & ~REACH_WEAK) >> 6]);
		if (w->pending_tail - w->pending_head == QUEUE)
			take_pending(w);
		w->pending[w->pending_tail++ % QUEUE] = edges[i];
	}
}

static void fill_queue(struct walk *w)
{
	while (w->nr && w->tail - w->head < QUEUE) {
		uint32_t id = w->stack[--w->nr];

		__builtin_prefetch(&w->r->offsets.low[id]);
		w->queue[w->tail++ % QUEUE] = id;
		/* Half-way through the queue the offset is there: ask for the edges. */
		if (w->tail - w->head > QUEUE / 2) {
			uint32_t half = w->queue[(w->tail - QUEUE / 2) % QUEUE];

			__builtin_prefetch(&w->r->edges[reach_offset(w->r, half)]);
		}
	}
}

static void walk(struct walk *w)
{
	for (;;) {
		fill_queue(w);
		if (w->head != w->tail)
			follow(w, w->queue[w->head++ % QUEUE]);
		else if (w->pending_head != w->pending_tail)
			take_pending(w);
		else
			return;
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

/* Is any block held by weak pointers only? Mostly none is, and nothing is left to look for. */
static bool has_weakly_held(const struct reach *r)
{
	for (size_t w = 0; w < (size_t)r->nr_ids / 64 + 1; w++) {
		if (r->weak[w] & ~r->strong[w] & ~r->gaps[w])
			return true;
	}
	return false;
}

void reach_each_weakly_held(struct reach *r, void (*fn)(void *context, uint32_t id), void *context)
{
	if (!has_weakly_held(r))
		return;
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
		edges = reach_edges_of(r, from, &nr);
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
