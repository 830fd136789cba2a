/* Components, heads and what hangs on them; see leak_heads.h. */
#include "model/leak_heads.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/reach_private.h"

/* All blocks of the state by rank, with what the search knows of each. */
struct search {
	const struct reach *r;
	const struct leak_heads *h;
	uint32_t nr;
	uint32_t *ids; /* by rank */
	/* While a block is on the way: when it was met, or the earliest it can reach; 0: not yet.
	 */
	/* Once its component is complete: that component's number, from `nr` downwards. */
	uint32_t *index;
	uint32_t next_index, next_component;
	uint32_t *done; /* blocks that are finished but whose component is not */
	size_t nr_done;
};

/* A block whose edges are being followed. */
struct step {
	uint32_t node;
	uint32_t edge; /* the next to follow */
	bool is_root;  /* no edge has led to an earlier block so far */
};

static uint32_t rank_of(const struct leak_heads *h, uint32_t id)
{
	uint64_t below = h->bits[id >> 6] & ((1ull << (id & 63)) - 1);

	return h->ranks[id >> 6] + bits_count(below);
}

static bool has(const struct leak_heads *h, uint32_t id)
{
	return bit_get(h->bits, id);
}

static void collect(struct search *s, struct leak_heads *h, enum reach_state state)
{
	const struct reach *r = s->r;
	size_t words = (size_t)r->nr_ids / 64 + 1;
	uint32_t nr = 0;

	h->bits = mem_alloc_array(words, sizeof(*h->bits));
	h->ranks = mem_alloc_array(words, sizeof(*h->ranks));
	for (size_t w = 0; w < words; w++) {
		uint64_t bits = 0;

		switch (state) {
		case REACH_HELD:
			bits = r->strong[w];
			break;
		case REACH_POSSIBLE:
			bits = r->weak[w] & ~r->strong[w];
			break;
		case REACH_LEAKED:
			bits = ~(r->weak[w] | r->strong[w]);
			break;
		}
		bits &= ~r->gaps[w];
		if (w == words - 1)
			bits &= (1ull << (r->nr_ids & 63)) - 1;
		h->bits[w] = bits;
		h->ranks[w] = nr;
		nr += bits_count(bits);
	}
	s->nr = nr;
	s->ids = mem_alloc_array(nr, sizeof(*s->ids));
	nr = 0;
	for (size_t w = 0; w < words; w++) {
		for (uint64_t bits = h->bits[w]; bits; bits &= bits - 1)
			s->ids[nr++] = (uint32_t)(w * 64 + (unsigned int)__builtin_ctzll(bits));
	}
}

/* The block has no edges left: it heads a component, or waits for the one that does. */
static void finish(struct search *s, struct step *step)
{
	uint32_t node = step->node;

	if (!step->is_root) {
		s->done[s->nr_done++] = node;
		return;
	}
	s->next_index--;
	while (s->nr_done && s->index[s->done[s->nr_done - 1]] >= s->index[node]) {
		s->index[s->done[--s->nr_done]] = s->next_component;
		s->next_index--;
	}
	s->index[node] = s->next_component--;
}

static void push_step(struct search *s, struct step **steps, size_t *nr, size_t *cap, uint32_t node)
{
	s->index[node] = s->next_index++;
	ARRAY_PUSH(*steps, *nr, *cap, ((struct step){.node = node, .is_root = true}));
}

/* One search from a block; afterwards all that it reaches is in complete components. */
static void search_from(struct search *s, uint32_t start)
{
	struct step *steps = NULL;
	size_t nr = 0, cap = 0;

	push_step(s, &steps, &nr, &cap, start);
	while (nr) {
		struct step *top = &steps[nr - 1];
		size_t nr_edges;
		const uint32_t *edges = reach_edges(s->r, s->ids[top->node], &nr_edges);

		if (top->edge < nr_edges) {
			uint32_t id = edges[top->edge] & ~REACH_WEAK, node;

			if (!has(s->h, id)) {
				top->edge++;
				continue;
			}
			node = rank_of(s->h, id);
			if (s->index[node] == 0) {
				/* The edge is looked at again when that block is finished. */
				push_step(s, &steps, &nr, &cap, node);
				continue;
			}
			top->edge++;
			if (s->index[node] < s->index[top->node]) {
				s->index[top->node] = s->index[node];
				top->is_root = false;
			}
			continue;
		}
		finish(s, top);
		nr--;
	}
	free(steps);
}

static void find_components(struct search *s)
{
	s->index = mem_alloc_array(s->nr, sizeof(*s->index));
	s->done = mem_alloc_array(s->nr, sizeof(*s->done));
	s->next_index = 1;
	/* Numbers of complete components are above every index that can still be given. */
	s->next_component = UINT32_MAX - 1;
	for (uint32_t node = 0; node < s->nr; node++) {
		if (s->index[node] == 0)
			search_from(s, node);
	}
	for (uint32_t node = 0; node < s->nr; node++)
		s->index[node] = UINT32_MAX - 1 - s->index[node];
	free(s->done);
}

/* Bits of components that a block of another component points to. */
static uint64_t *find_pointed_to(const struct search *s)
{
	uint64_t *pointed = mem_alloc_array((size_t)s->nr / 64 + 1, sizeof(*pointed));

	for (uint32_t node = 0; node < s->nr; node++) {
		size_t nr;
		const uint32_t *edges = reach_edges(s->r, s->ids[node], &nr);

		for (size_t i = 0; i < nr; i++) {
			uint32_t id = edges[i] & ~REACH_WEAK, to;

			if (!has(s->h, id))
				continue;
			to = s->index[rank_of(s->h, id)];
			if (to != s->index[node])
				bit_set(pointed, to);
		}
	}
	return pointed;
}

static bool points_to_itself(const struct reach *r, uint32_t id)
{
	size_t nr;
	const uint32_t *edges = reach_edges(r, id, &nr);

	for (size_t i = 0; i < nr; i++) {
		if ((edges[i] & ~REACH_WEAK) == id)
			return true;
	}
	return false;
}

/* Heads in ascending order; the members of each belong to it. */
static void make_heads(const struct search *s, struct leak_heads *h)
{
	uint64_t *pointed = find_pointed_to(s);
	uint32_t *head_of = mem_alloc_array(s->nr, sizeof(*head_of)); /* by component, from 1 */

	for (uint32_t node = 0; node < s->nr; node++) {
		uint32_t component = s->index[node], id = s->ids[node];
		uint64_t size = reach_size(s->r, id);
		struct leak_head *head;

		h->blocks++;
		h->bytes += size;
		h->owner[node] = UINT32_MAX;
		if (bit_get(pointed, component))
			continue;
		if (!head_of[component]) {
			ARRAY_PUSH(h->items, h->nr, h->cap, ((struct leak_head){.id = id}));
			head_of[component] = (uint32_t)h->nr;
		}
		head = &h->items[head_of[component] - 1];
		head->members++;
		head->bytes += size;
		h->owner[node] = head_of[component] - 1;
		h->is_member[node] = 1;
	}
	free(head_of);
	free(pointed);
}

/* Everything that is not yet anybody's and can be reached from head k becomes its. */
static void claim(const struct search *s, struct leak_heads *h, uint32_t start, uint32_t **stack,
		  size_t *cap)
{
	uint32_t k = h->owner[start];
	size_t nr = 0;

	ARRAY_PUSH(*stack, nr, *cap, start);
	while (nr) {
		size_t nr_edges;
		uint32_t node = (*stack)[--nr];
		const uint32_t *edges = reach_edges(s->r, s->ids[node], &nr_edges);

		for (size_t i = 0; i < nr_edges; i++) {
			uint32_t id = edges[i] & ~REACH_WEAK, to;

			if (!has(h, id))
				continue;
			to = rank_of(h, id);
			if (h->owner[to] != UINT32_MAX)
				continue;
			h->owner[to] = k;
			h->items[k].held_blocks++;
			h->items[k].held_bytes += reach_size(s->r, id);
			ARRAY_PUSH(*stack, nr, *cap, to);
		}
	}
}

void leak_heads_find(const struct reach *r, enum reach_state state, struct leak_heads *ret)
{
	struct leak_heads h = {.items = NULL};
	struct search s = {.r = r, .h = &h};
	uint32_t *stack = NULL;
	size_t cap = 0;

	collect(&s, &h, state);
	h.owner = mem_alloc_array(s.nr, sizeof(*h.owner));
	h.is_member = mem_alloc_array(s.nr, 1);
	find_components(&s);
	make_heads(&s, &h);
	for (uint32_t node = 0; node < s.nr; node++) {
		if (h.is_member[node])
			claim(&s, &h, node, &stack, &cap);
	}
	for (size_t i = 0; i < h.nr; i++) {
		if (h.items[i].members == 1)
			h.items[i].points_to_itself = points_to_itself(r, h.items[i].id);
	}
	free(stack);
	free(s.ids);
	free(s.index);
	*ret = h;
}

void leak_heads_release(struct leak_heads *h)
{
	if (!h)
		return;
	free(h->items);
	free(h->bits);
	free(h->ranks);
	free(h->owner);
	free(h->is_member);
	*h = (struct leak_heads){.items = NULL};
}

size_t leak_heads_owner(const struct leak_heads *h, uint32_t id)
{
	return has(h, id) ? h->owner[rank_of(h, id)] : SIZE_MAX;
}

bool leak_heads_is_member(const struct leak_heads *h, uint32_t id)
{
	return has(h, id) && h->is_member[rank_of(h, id)];
}
