/* Ways from roots to a block; see reach_path.h. */
#include "model/reach_path.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/reach_private.h"

#define UNSEEN UINT32_MAX
#define FROM_ROOT (UINT32_MAX - 1)

void root_hits_add(struct root_hits *h, struct reach *r, uint64_t word, uint64_t where)
{
	size_t before = r->nr_roots;

	if (reach_root(r, word) == REACH_NONE)
		return;
	ARRAY_PUSH(h->items, h->nr, h->cap, ((struct root_hit){where, r->roots[before]}));
}

void root_hits_release(struct root_hits *h)
{
	free(h->items);
	*h = (struct root_hits){.items = NULL};
}

/* Breadth first, so that what is found first is nearest. */
struct search {
	const struct reach *r;
	uint32_t *from; /* by id: the block before it, UNSEEN, or FROM_ROOT */
	uint32_t *queue;
	size_t head, tail;
};

static void see(struct search *s, uint32_t edge, uint32_t from, bool weak_too)
{
	uint32_t id = edge & ~REACH_WEAK;

	if (((edge & REACH_WEAK) && !weak_too) || s->from[id] != UNSEEN || bit_get(s->r->gaps, id))
		return;
	s->from[id] = from;
	s->queue[s->tail++] = id;
}

static bool search(struct search *s, const struct root_hits *hits, uint32_t target, bool weak_too)
{
	memset(s->from, 0xff, (size_t)s->r->nr_ids * sizeof(*s->from));
	s->head = s->tail = 0;
	for (size_t i = 0; i < hits->nr; i++)
		see(s, hits->items[i].edge, FROM_ROOT, weak_too);
	while (s->head < s->tail && s->from[target] == UNSEEN) {
		uint32_t id = s->queue[s->head++];
		size_t nr;
		const uint32_t *edges = reach_edges(s->r, id, &nr);

		for (size_t i = 0; i < nr; i++)
			see(s, edges[i], id, weak_too);
	}
	return s->from[target] != UNSEEN;
}

static size_t find_hit(const struct root_hits *hits, uint32_t id, bool weak_too)
{
	for (size_t i = 0; i < hits->nr; i++) {
		if (hits->items[i].edge == id)
			return i;
	}
	for (size_t i = 0; weak_too && i < hits->nr; i++) {
		if ((hits->items[i].edge & ~REACH_WEAK) == id)
			return i;
	}
	return 0;
}

static void take_path(const struct search *s, const struct root_hits *hits, uint32_t target,
		      bool weak, struct reach_path *ret)
{
	struct reach_path p = {.weak = weak};
	size_t cap = 0;

	for (uint32_t id = target;; id = s->from[id]) {
		ARRAY_PUSH(p.ids, p.nr, cap, id);
		if (s->from[id] == FROM_ROOT)
			break;
	}
	for (size_t i = 0; i < p.nr / 2; i++) {
		uint32_t swap = p.ids[i];

		p.ids[i] = p.ids[p.nr - 1 - i];
		p.ids[p.nr - 1 - i] = swap;
	}
	p.hit = find_hit(hits, p.ids[0], weak);
	*ret = p;
}

void reach_path_find(const struct reach *r, const struct root_hits *hits, uint32_t id,
		     struct reach_path *ret)
{
	struct search s = {.r = r};

	*ret = (struct reach_path){.ids = NULL};
	if (!reach_is_block(r, id))
		return;
	s.from = mem_alloc_array(r->nr_ids, sizeof(*s.from));
	s.queue = mem_alloc_array(r->nr_ids, sizeof(*s.queue));
	if (search(&s, hits, id, false))
		take_path(&s, hits, id, false, ret);
	else if (search(&s, hits, id, true))
		take_path(&s, hits, id, true, ret);
	free(s.from);
	free(s.queue);
}

void reach_path_release(struct reach_path *p)
{
	free(p->ids);
	*p = (struct reach_path){.ids = NULL};
}

size_t reach_referrers(const struct reach *r, uint32_t id, uint32_t **ret)
{
	uint32_t *ids = NULL;
	size_t nr = 0, cap = 0;

	for (uint32_t from = 0; from < r->nr_ids; from++) {
		size_t nr_edges;
		const uint32_t *edges = reach_edges(r, from, &nr_edges);

		for (size_t i = 0; i < nr_edges; i++) {
			if ((edges[i] & ~REACH_WEAK) != id)
				continue;
			ARRAY_PUSH(ids, nr, cap, from);
			break;
		}
	}
	*ret = ids;
	return nr;
}
