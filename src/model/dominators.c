/* Dominators of blocks; see dominators.h. */
#include "model/dominators.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/reach_path.h"
#include "model/reach_private.h"

#define FEW 50 /* children that are chosen without sorting all */

/* Arrays are by number, unless they say otherwise. */
struct finder {
	const struct reach *r;
	uint32_t nr_owners;
	uint32_t *owner_first, *owner_edges; /* of owner k: from owner_first[k] to [k + 1] */
	uint32_t *number;		     /* by id; 0: not met */
	uint32_t nr;
	uint32_t *node;
	/*
	 * The parent in the tree of the search; once the number is done, an ancestor in the forest
	 * of those that are done, which compress() shortens.
	 */
	uint32_t *up;
	uint32_t *label; /* while searching: the next edge */
	uint32_t *semi;
	uint32_t *dom;		/* while it waits in a bucket: the next one in it */
	uint32_t *head;		/* of the bucket */
	uint32_t *first, *from; /* who points to n: from[first[n] … first[n + 1]) */
};

/* A pointer that counts; a gap, and what only chance points to, does not. */
static bool counts(const struct finder *f, uint32_t edge)
{
	uint32_t id = edge & ~REACH_WEAK;

	return !bit_get(f->r->gaps, id) && (!(edge & REACH_WEAK) || !bit_get(f->r->strong, id));
}

static const uint32_t *edges_of(const struct finder *f, uint32_t node, size_t *ret_nr)
{
	uint32_t k = node & ~DOMINATORS_OWNER;

	if (!(node & DOMINATORS_OWNER))
		return reach_edges(f->r, node, ret_nr);
	*ret_nr = f->owner_first[k + 1] - f->owner_first[k];
	return f->owner_edges + f->owner_first[k];
}

/* The words of roots, by owner. */
static void sort_hits(struct finder *f, const struct root_hits *hits, const uint32_t *owners)
{
	f->owner_first = mem_alloc_array((size_t)f->nr_owners + 1, sizeof(*f->owner_first));
	f->owner_edges = mem_alloc_array(hits->nr, sizeof(*f->owner_edges));
	for (size_t i = 0; i < hits->nr; i++)
		f->owner_first[owners[i]]++;
	for (uint32_t k = 0, sum = 0; k <= f->nr_owners; k++) {
		sum += f->owner_first[k];
		f->owner_first[k] = sum;
	}
	for (size_t i = hits->nr; i-- > 0;)
		f->owner_edges[--f->owner_first[owners[i]]] = hits->items[i].edge;
}

static size_t count_reachable(const struct reach *r)
{
	size_t nr = 0;

	for (size_t w = 0; w < (size_t)r->nr_ids / 64 + 1; w++)
		nr += bits_count(r->weak[w] & ~r->gaps[w]);
	return nr;
}

static void add_node(struct finder *f, uint32_t node, uint32_t parent)
{
	f->node[f->nr] = node;
	f->up[f->nr] = parent;
	f->nr++;
}

/* Depth first; the way back is in up[], the next edge to follow in label[]. */
static void number_from(struct finder *f, uint32_t owner)
{
	uint32_t current = f->nr;

	add_node(f, owner | DOMINATORS_OWNER, DOMINATORS_ROOT);
	while (current != DOMINATORS_ROOT) {
		size_t nr;
		const uint32_t *edges = edges_of(f, f->node[current], &nr);
		uint32_t next = f->label[current], id = 0;

		while (next < nr) {
			id = edges[next] & ~REACH_WEAK;
			if (f->number[id] == 0 && counts(f, edges[next]))
				break;
			next++;
		}
		if (next == nr) {
			current = f->up[current];
			continue;
		}
		f->label[current] = next + 1;
		f->number[id] = f->nr;
		add_node(f, id, current);
		current = f->nr - 1;
	}
}

static void number_all(struct finder *f)
{
	size_t max = count_reachable(f->r) + f->nr_owners + 1;

	f->number = mem_alloc_array(f->r->nr_ids, sizeof(*f->number));
	f->node = mem_alloc_array(max, sizeof(*f->node));
	f->up = mem_alloc_array(max, sizeof(*f->up));
	f->label = mem_alloc_array(max, sizeof(*f->label));
	f->nr = 1;
	for (uint32_t k = 0; k < f->nr_owners; k++) {
		if (f->owner_first[k] < f->owner_first[k + 1])
			number_from(f, k);
	}
}

/* Calls `take` with every pointer among nodes that counts. */
static void each_edge(struct finder *f, void (*take)(struct finder *f, uint32_t from, uint32_t to))
{
	for (uint32_t n = 1; n < f->nr; n++) {
		size_t nr;
		const uint32_t *edges;

		/* Blocks in the order of their ids: so are their edges in memory. */
		if (!(f->node[n] & DOMINATORS_OWNER))
			continue;
		edges = edges_of(f, f->node[n], &nr);
		for (size_t i = 0; i < nr; i++) {
			if (counts(f, edges[i]))
				take(f, n, f->number[edges[i] & ~REACH_WEAK]);
		}
	}
	for (uint32_t id = 0; id < f->r->nr_ids; id++) {
		size_t nr;
		const uint32_t *edges;

		if (f->number[id] == 0)
			continue;
		edges = reach_edges(f->r, id, &nr);
		for (size_t i = 0; i < nr; i++) {
			if (counts(f, edges[i]))
				take(f, f->number[id], f->number[edges[i] & ~REACH_WEAK]);
		}
	}
}

static void count_edge(struct finder *f, uint32_t from, uint32_t to)
{
	(void)from;
	f->first[to]++;
}

static void place_edge(struct finder *f, uint32_t from, uint32_t to)
{
	f->from[--f->first[to]] = from;
}

static void turn_edges_round(struct finder *f)
{
	uint32_t sum = 0;

	f->first = mem_alloc_array((size_t)f->nr + 1, sizeof(*f->first));
	each_edge(f, count_edge);
	for (uint32_t n = 0; n <= f->nr; n++) {
		sum += f->first[n];
		f->first[n] = sum;
	}
	f->from = mem_alloc_array(sum, sizeof(*f->from));
	each_edge(f, place_edge);
	free(f->number);
	f->number = NULL;
}

/*
 * Of v and all above it that are done (numbers from `done` on), the one whose semidominator is
 * lowest. Shortens the way: up it goes with the pointers turned round, down again labelling.
 */
static uint32_t lowest_above(struct finder *f, uint32_t v, uint32_t done)
{
	uint32_t x = v, below = 0, best, top;

	if (v < done)
		return v;
	while (f->up[x] >= done) {
		uint32_t next = f->up[x];

		f->up[x] = below;
		below = x;
		x = next;
	}
	best = f->label[x];
	top = f->up[x];
	while (below) {
		x = below;
		below = f->up[x];
		if (f->semi[best] < f->semi[f->label[x]])
			f->label[x] = best;
		else
			best = f->label[x];
		f->up[x] = top;
	}
	return f->label[v];
}

static void find_semidominator(struct finder *f, uint32_t w)
{
	uint32_t lowest = w;

	for (uint32_t i = f->first[w]; i < f->first[w + 1]; i++) {
		uint32_t u = f->semi[lowest_above(f, f->from[i], w + 1)];

		if (u < lowest)
			lowest = u;
	}
	/* An owner: the root points to it. */
	f->semi[w] = lowest == w ? DOMINATORS_ROOT : lowest;
}

static void find_dominators(struct finder *f)
{
	f->semi = mem_alloc_array(f->nr, sizeof(*f->semi));
	f->dom = mem_alloc_array(f->nr, sizeof(*f->dom));
	f->head = mem_alloc_array(f->nr, sizeof(*f->head));
	for (uint32_t n = 0; n < f->nr; n++)
		f->label[n] = f->semi[n] = n;
	for (uint32_t w = f->nr - 1; w > 0; w--) {
		uint32_t parent = f->up[w], v;

		find_semidominator(f, w);
		f->dom[w] = f->head[f->semi[w]];
		f->head[f->semi[w]] = w;
		v = f->head[parent];
		f->head[parent] = 0;
		while (v) {
			uint32_t next = f->dom[v], u = lowest_above(f, v, w);

			/* u's dominator is v's too, and is found before: u < v. */
			f->dom[v] = f->semi[u] < f->semi[v] ? u : parent;
			v = next;
		}
	}
	for (uint32_t w = 1; w < f->nr; w++) {
		if (f->dom[w] != f->semi[w])
			f->dom[w] = f->dom[f->dom[w]];
	}
}

static void sum_up(const struct finder *f, struct dominators *d)
{
	d->bytes = mem_alloc_array(d->nr, sizeof(*d->bytes));
	d->blocks = mem_alloc_array(d->nr, sizeof(*d->blocks));
	for (uint32_t n = d->nr - 1; n > 0; n--) {
		if (!(d->node[n] & DOMINATORS_OWNER)) {
			d->bytes[n] += reach_size(f->r, d->node[n]);
			d->blocks[n]++;
		}
		d->bytes[d->dom[n]] += d->bytes[n];
		d->blocks[d->dom[n]] += d->blocks[n];
	}
}

static void list_children(struct dominators *d)
{
	uint32_t sum = 0;

	d->first = mem_alloc_array((size_t)d->nr + 1, sizeof(*d->first));
	d->children = mem_alloc_array(d->nr, sizeof(*d->children));
	for (uint32_t n = 1; n < d->nr; n++)
		d->first[d->dom[n]]++;
	for (uint32_t n = 0; n <= d->nr; n++) {
		sum += d->first[n];
		d->first[n] = sum;
	}
	for (uint32_t n = d->nr - 1; n > 0; n--)
		d->children[--d->first[d->dom[n]]] = n;
}

static void release_search(struct finder *f)
{
	free(f->owner_first);
	free(f->owner_edges);
	free(f->number);
	free(f->up);
	free(f->label);
	free(f->semi);
	free(f->head);
	free(f->first);
	free(f->from);
}

int dominators_find(const struct reach *r, const struct root_hits *hits, const uint32_t *owners,
		    uint32_t nr_owners, struct dominators *ret)
{
	struct finder f = {.r = r, .nr_owners = nr_owners};
	struct dominators d = {.nr = 0};

	if (reach_nr_edges(r) >= UINT32_MAX - hits->nr || nr_owners >= DOMINATORS_OWNER)
		return -EOVERFLOW;
	sort_hits(&f, hits, owners);
	number_all(&f);
	turn_edges_round(&f);
	find_dominators(&f);
	d.nr = f.nr;
	d.node = f.node;
	d.dom = f.dom;
	release_search(&f);
	sum_up(&f, &d);
	list_children(&d);
	*ret = d;
	return 0;
}

void dominators_release(struct dominators *d)
{
	if (!d)
		return;
	free(d->node);
	free(d->dom);
	free(d->bytes);
	free(d->blocks);
	free(d->first);
	free(d->children);
	*d = (struct dominators){.nr = 0};
}

uint32_t dominators_number(const struct dominators *d, uint32_t id)
{
	for (uint32_t n = 1; n < d->nr; n++) {
		if (d->node[n] == id)
			return n;
	}
	return DOMINATORS_NONE;
}

struct child {
	uint64_t bytes;
	uint32_t n;
};

static int by_bytes(const void *a, const void *b)
{
	const struct child *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return (x->n > y->n) - (x->n < y->n);
}

/* Where many are wanted; else keeping a few while going through all is quicker. */
static size_t sort_children(const struct dominators *d, uint32_t n, uint32_t *ret, size_t max)
{
	size_t nr = d->first[n + 1] - d->first[n];
	struct child *children = mem_alloc_array(nr, sizeof(*children));

	for (size_t i = 0; i < nr; i++) {
		uint32_t child = d->children[d->first[n] + i];

		children[i] = (struct child){d->bytes[child], child};
	}
	qsort(children, nr, sizeof(*children), by_bytes);
	if (nr > max)
		nr = max;
	for (size_t i = 0; i < nr; i++)
		ret[i] = children[i].n;
	free(children);
	return nr;
}

size_t dominators_largest(const struct dominators *d, uint32_t n, uint32_t *ret, size_t max)
{
	size_t nr = 0;

	if (max > FEW)
		return sort_children(d, n, ret, max);
	for (uint32_t i = d->first[n]; max && i < d->first[n + 1]; i++) {
		uint32_t child = d->children[i];
		size_t at = nr;

		if (nr == max && d->bytes[child] <= d->bytes[ret[nr - 1]])
			continue;
		if (nr == max)
			at--;
		else
			nr++;
		for (; at > 0 && d->bytes[ret[at - 1]] < d->bytes[child]; at--)
			ret[at] = ret[at - 1];
		ret[at] = child;
	}
	return nr;
}
