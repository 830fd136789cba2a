/* Copies one state's part of the graph out; see leak_graph.h. */
#include "model/leak_graph.h"

#include <stdlib.h>

#include "base/mem.h"

static uint64_t *bits_new(uint32_t nr)
{
	return mem_alloc_array((size_t)nr / 64 + 1, sizeof(uint64_t));
}

static uint64_t bits_of_state(const struct reach *r, enum reach_state state, size_t w)
{
	switch (state) {
	case REACH_HELD:
		return r->strong[w] & ~r->gaps[w];
	case REACH_POSSIBLE:
		return r->weak[w] & ~r->strong[w] & ~r->gaps[w];
	case REACH_LEAKED:
		return ~(r->weak[w] | r->strong[w] | r->gaps[w]);
	}
	return 0;
}

static void choose_nodes(struct leak_graph *g, enum reach_state state)
{
	size_t words = (size_t)g->r->nr_ids / 64 + 1;

	g->bits = mem_alloc_array(words, sizeof(*g->bits));
	g->ranks = mem_alloc_array(words, sizeof(*g->ranks));
	for (size_t w = 0; w < words; w++) {
		uint64_t bits = bits_of_state(g->r, state, w);

		if (w == words - 1)
			bits &= (1ull << (g->r->nr_ids & 63)) - 1;
		g->bits[w] = bits;
		g->ranks[w] = g->nr;
		g->nr += bits_count(bits);
	}
}

/* Going over all nodes in ascending order. */
struct nodes {
	const struct leak_graph *g;
	size_t word;
	uint64_t left; /* bits of the word that are still to come */
	uint32_t node, id;
	const struct reach_span *span; /* that id lies in; NULL: there are none, see reach_size() */
};

static struct nodes nodes_begin(const struct leak_graph *g)
{
	return (struct nodes){.g = g, .left = g->bits[0], .node = UINT32_MAX, .span = g->r->spans};
}

static bool nodes_next(struct nodes *n)
{
	while (!n->left) {
		if (++n->word > n->g->r->nr_ids / 64)
			return false;
		n->left = n->g->bits[n->word];
	}
	n->id = (uint32_t)(n->word * 64 + (unsigned int)__builtin_ctzll(n->left));
	n->left &= n->left - 1;
	n->node++;
	while (n->span && n->id - n->span->first_id >= n->span->nr_ids)
		n->span++;
	return true;
}

static uint32_t size_of(const struct nodes *n)
{
	uint64_t size;

	if (n->span)
		return n->span->sizes[n->id - n->span->first_id];
	size = reach_size(n->g->r, n->id);
	return size < UINT32_MAX ? (uint32_t)size : UINT32_MAX;
}

/* Sizes, and edges that are still ids; returns their number. */
static uint64_t copy_edges(struct leak_graph *g)
{
	const struct reach *r = g->r;
	uint64_t nr = 0, cap = 0;

	for (struct nodes n = nodes_begin(g); nodes_next(&n);) {
		uint64_t first = reach_offset(r, n.id), end = reach_offset(r, n.id + 1);
		bool self = false;

		g->sizes[n.node] = size_of(&n);
		reach_offsets_set(&g->offsets, n.node, nr);
		if (cap - nr < end - first) {
			cap = cap + cap / 2 + (end - first) + (1 << 10);
			g->edges = mem_realloc(g->edges, (size_t)cap * sizeof(*g->edges));
		}
		/* No branch on where a pointer goes, which cannot be foreseen. */
		for (; first < end; first++) {
			uint32_t to = r->edges[first] & ~REACH_WEAK;

			self |= to == n.id;
			g->edges[nr] = to;
			nr += bit_get(g->bits, to) && to != n.id;
		}
		if (self)
			bit_set(g->selves, n.node);
	}
	reach_offsets_set(&g->offsets, g->nr, nr);
	return nr;
}

void leak_graph_init(struct leak_graph *g, const struct reach *r, enum reach_state state)
{
	uint64_t nr_edges;

	*g = (struct leak_graph){.r = r};
	choose_nodes(g, state);
	g->sizes = mem_alloc_array(g->nr, sizeof(*g->sizes));
	reach_offsets_init(&g->offsets, g->nr);
	g->pointed = bits_new(g->nr);
	g->selves = bits_new(g->nr);
	nr_edges = copy_edges(g);
	for (uint64_t i = 0; i < nr_edges; i++) {
		g->edges[i] = leak_rank(g->bits, g->ranks, g->edges[i]);
		bit_set(g->pointed, g->edges[i]);
	}
}

void leak_graph_release(struct leak_graph *g)
{
	free(g->bits);
	free(g->ranks);
	free(g->sizes);
	free(g->edges);
	reach_offsets_release(&g->offsets);
	free(g->pointed);
	free(g->selves);
	*g = (struct leak_graph){.r = NULL};
}

uint64_t leak_graph_big_size(const struct leak_graph *g, uint32_t node)
{
	struct nodes n = nodes_begin(g);

	while (nodes_next(&n) && n.node != node)
		;
	return reach_size(g->r, n.id);
}
