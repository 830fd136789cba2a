/* Heads and what hangs on them; see leak_heads.h. */
#include "model/leak_heads.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/leak_cycles.h"
#include "model/leak_graph.h"

#define MEMBER ((uint32_t)1 << 31)
#define NOBODY (MEMBER - 1)
/* Edges between asking for the line of a block and using it. */
#define AHEAD 32

struct search {
	struct leak_graph g;
	struct leak_heads *h;
	uint32_t *cycle;   /* by node, see leak_cycles.h; NULL: not looked for */
	uint32_t *head_of; /* by number of a cycle: index into items + 1 */
	uint32_t *stack;   /* nodes whose edges are still to be followed */
	size_t nr, cap;
	uint64_t claimed;
};

static void add_member(struct search *s, uint32_t node, uint32_t id)
{
	struct leak_heads *h = s->h;
	uint32_t cycle = s->cycle ? s->cycle[node] : LEAK_NO_CYCLE;
	size_t k = h->nr;

	if (cycle != LEAK_NO_CYCLE && s->head_of[cycle])
		k = s->head_of[cycle] - 1;
	else
		ARRAY_PUSH(h->items, h->nr, h->cap, ((struct leak_head){.id = id}));
	if (cycle != LEAK_NO_CYCLE)
		s->head_of[cycle] = (uint32_t)k + 1;
	else
		h->items[k].points_to_itself = bit_get(s->g.selves, node);
	h->items[k].members++;
	h->items[k].bytes += leak_graph_size(&s->g, node);
	h->owner[node] = (uint32_t)k | MEMBER;
	s->claimed++;
}

/* Heads in ascending order; the members of each belong to it. */
static void make_heads(struct search *s)
{
	uint32_t node = 0;

	s->h->nr = 0;
	s->claimed = 0;
	for (size_t w = 0; w < (size_t)s->g.r->nr_ids / 64 + 1; w++) {
		for (uint64_t bits = s->g.bits[w]; bits; bits &= bits - 1, node++) {
			bool in_cycle = s->cycle && s->cycle[node] != LEAK_NO_CYCLE;
			unsigned int bit = (unsigned int)__builtin_ctzll(bits);

			s->h->owner[node] = NOBODY;
			if (in_cycle || !bit_get(s->g.pointed, node))
				add_member(s, node, (uint32_t)(w * 64 + bit));
		}
	}
}

/* Everything that is not yet anybody's and can be reached from a member becomes its head's. */
static void claim(struct search *s, uint32_t start)
{
	uint32_t *owner = s->h->owner, k = owner[start] & ~MEMBER;
	struct leak_head *head = &s->h->items[k];

	ARRAY_PUSH(s->stack, s->nr, s->cap, start);
	while (s->nr) {
		uint32_t node = s->stack[--s->nr];
		uint64_t end = leak_graph_offset(&s->g, node + 1);

		for (uint64_t i = leak_graph_offset(&s->g, node); i < end; i++) {
			uint32_t to = s->g.edges[i];

			if (owner[to] != NOBODY)
				continue;
			owner[to] = k;
			head->held_blocks++;
			head->held_bytes += leak_graph_size(&s->g, to);
			s->claimed++;
			ARRAY_PUSH(s->stack, s->nr, s->cap, to);
		}
	}
}

/* Most of what hangs on a head is only a step away: its lines are asked for early. */
static void claim_all(struct search *s)
{
	uint64_t nr_edges = leak_graph_offset(&s->g, s->g.nr), asked = 0;

	for (uint32_t node = 0; node < s->g.nr; node++) {
		uint64_t first = leak_graph_offset(&s->g, node);

		for (; asked < nr_edges && asked < first + AHEAD; asked++) {
			__builtin_prefetch(&s->h->owner[s->g.edges[asked]]);
			__builtin_prefetch(&s->g.offsets.low[s->g.edges[asked]]);
			__builtin_prefetch(&s->g.sizes[s->g.edges[asked]]);
		}
		if ((s->h->owner[node] & MEMBER) && first < leak_graph_offset(&s->g, node + 1))
			claim(s, node);
	}
}

/*
 * What no head has claimed hangs on cycles, which are heads then, too. All is shared out anew: a
 * block goes to the first that reaches it.
 */
static void add_cycles(struct search *s)
{
	uint64_t *left = mem_alloc_array((size_t)s->g.nr / 64 + 1, sizeof(*left));
	uint32_t numbers;

	for (uint32_t node = 0; node < s->g.nr; node++) {
		if (s->h->owner[node] == NOBODY)
			bit_set(left, node);
	}
	s->cycle = leak_cycles_find(&s->g, left, &numbers);
	free(left);
	s->head_of = mem_alloc_array(numbers, sizeof(*s->head_of));
	make_heads(s);
	claim_all(s);
	free(s->head_of);
	free(s->cycle);
}

static void sum_up(struct leak_heads *h)
{
	for (size_t i = 0; i < h->nr; i++) {
		h->blocks += h->items[i].members + h->items[i].held_blocks;
		h->bytes += h->items[i].bytes + h->items[i].held_bytes;
	}
}

void leak_heads_find(const struct reach *r, enum reach_state state, struct leak_heads *ret)
{
	struct leak_heads h = {.items = NULL};
	struct search s = {.h = &h};

	leak_graph_init(&s.g, r, state);
	h.owner = mem_alloc_array(s.g.nr, sizeof(*h.owner));
	make_heads(&s);
	claim_all(&s);
	if (s.claimed < s.g.nr)
		add_cycles(&s);
	sum_up(&h);
	h.bits = s.g.bits;
	h.ranks = s.g.ranks;
	s.g.bits = NULL;
	s.g.ranks = NULL;
	leak_graph_release(&s.g);
	free(s.stack);
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
	*h = (struct leak_heads){.items = NULL};
}

size_t leak_heads_owner(const struct leak_heads *h, uint32_t id)
{
	if (!bit_get(h->bits, id))
		return SIZE_MAX;
	return h->owner[leak_rank(h->bits, h->ranks, id)] & ~MEMBER;
}

bool leak_heads_is_member(const struct leak_heads *h, uint32_t id)
{
	return bit_get(h->bits, id) && (h->owner[leak_rank(h->bits, h->ranks, id)] & MEMBER);
}
