/* Components and which of them nothing points to; see leak_cycles.h. */
#include "model/leak_cycles.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/leak_graph.h"

/* A node whose edges are being followed. */
struct step {
	uint32_t node;
	bool is_root;	     /* no edge has led to an earlier node so far */
	uint64_t edge, last; /* the next to follow, and the first that is not its own */
};

struct search {
	const struct leak_graph *g;
	/*
	 * While a node is on the way: when it was met, or the earliest that it can reach; 0: not
	 * yet. Once its component is complete: that component's number, from the greatest
	 * downwards, which is above every time.
	 */
	uint32_t *index;
	uint32_t next_index, next_component;
	uint32_t *done; /* nodes that are finished but whose component is not */
	size_t nr_done, cap_done;
	struct step *steps;
	size_t nr, cap;
};

#define FIRST_COMPONENT (LEAK_NO_CYCLE - 1)

/* The node has no edges left: it heads a component, or waits for the one that does. */
static void finish(struct search *s, const struct step *step)
{
	uint32_t node = step->node;

	if (!step->is_root) {
		ARRAY_PUSH(s->done, s->nr_done, s->cap_done, node);
		return;
	}
	s->next_index--;
	while (s->nr_done && s->index[s->done[s->nr_done - 1]] >= s->index[node]) {
		s->index[s->done[--s->nr_done]] = s->next_component;
		s->next_index--;
	}
	s->index[node] = s->next_component--;
}

static void enter(struct search *s, uint32_t node)
{
	struct step step = {.node = node,
			    .is_root = true,
			    .edge = leak_graph_offset(s->g, node),
			    .last = leak_graph_offset(s->g, node + 1)};

	s->index[node] = s->next_index++;
	ARRAY_PUSH(s->steps, s->nr, s->cap, step);
}

/* Afterwards all that the node reaches is in complete components. */
static void search_from(struct search *s, uint32_t start)
{
	enter(s, start);
	while (s->nr) {
		struct step *top = &s->steps[s->nr - 1];
		uint32_t to;

		if (top->edge == top->last) {
			finish(s, top);
			s->nr--;
			continue;
		}
		to = s->g->edges[top->edge];
		if (s->index[to] == 0) {
			/* The edge is looked at again when that node is finished. */
			enter(s, to);
			continue;
		}
		top->edge++;
		if (s->index[to] < s->index[top->node]) {
			s->index[top->node] = s->index[to];
			top->is_root = false;
		}
	}
}

static void find_components(struct search *s, const uint64_t *left)
{
	/* The others are as if complete: an edge to them means nothing. */
	for (uint32_t node = 0; node < s->g->nr; node++)
		s->index[node] = bit_get(left, node) ? 0 : LEAK_NO_CYCLE;
	s->next_index = 1;
	s->next_component = FIRST_COMPONENT;
	for (uint32_t node = 0; node < s->g->nr; node++) {
		if (s->index[node] == 0)
			search_from(s, node);
	}
	free(s->done);
	free(s->steps);
}

/* Bits of components that a node of another component points to. */
static uint64_t *find_pointed_to(const struct search *s, uint32_t nr)
{
	uint64_t *pointed = mem_alloc_array((size_t)nr / 64 + 1, sizeof(*pointed));

	for (uint32_t node = 0; node < s->g->nr; node++) {
		uint64_t end = leak_graph_offset(s->g, node + 1);

		if (s->index[node] == LEAK_NO_CYCLE)
			continue;
		for (uint64_t i = leak_graph_offset(s->g, node); i < end; i++) {
			uint32_t to = s->index[s->g->edges[i]];

			if (to != LEAK_NO_CYCLE && to != s->index[node])
				bit_set(pointed, FIRST_COMPONENT - to);
		}
	}
	return pointed;
}

uint32_t *leak_cycles_find(const struct leak_graph *g, const uint64_t *left, uint32_t *ret_numbers)
{
	struct search s = {.g = g};
	uint64_t *pointed;
	uint32_t nr;

	s.index = mem_alloc_array(g->nr, sizeof(*s.index));
	find_components(&s, left);
	nr = FIRST_COMPONENT - s.next_component;
	pointed = find_pointed_to(&s, nr);
	for (uint32_t node = 0; node < g->nr; node++) {
		uint32_t component = FIRST_COMPONENT - s.index[node];

		if (s.index[node] == LEAK_NO_CYCLE)
			continue;
		s.index[node] = bit_get(pointed, component) ? LEAK_NO_CYCLE : component;
	}
	free(pointed);
	*ret_numbers = nr;
	return s.index;
}
