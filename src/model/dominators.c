/* Dominators of blocks; see dominators.h. */
#include "model/dominators.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/reach_path.h"
#include "model/reach_private.h"

#define FEW 50	 /* children that are chosen without sorting all */
#define BATCH 64 /* pointers followed at once */
#define AHEAD 32 /* pointers between asking for a line and using it */
#define LATER ((uint32_t)1 << 31)

/*
 * A node in the forest of those that are done. Before it is done, `up` is its parent in the tree of
 * the search, and semi the lowest of the ancestors that point to it.
 */
struct link {
	uint32_t up;   /* an ancestor; what is between is accounted for in semi and the label */
	uint32_t semi; /* the lowest semidominator of the nodes from here to below `up` */
};

/* A block to be visited, and who points to it. */
struct step {
	uint32_t id, parent;
};

/* Arrays are by number, unless they say otherwise. */
struct finder {
	struct reach *r;
	uint32_t nr_owners;
	uint32_t *owner_first, *owner_edges; /* of owner k: from owner_first[k] to [k + 1] */
	uint32_t *owner_number;		     /* of owner k */
	uint32_t *number;		     /* by id; 0: not met */
	uint32_t nr;
	uint32_t *node; /* only after `number` */
	struct link *links;
	uint32_t *label; /* whose semidominator the link has */
	/*
	 * Until it is done: the first of its bucket, of those whose semidominator it is; all of
	 * them have higher numbers, so that it is empty then. While it waits in a bucket itself:
	 * the next one in that. Then its dominator, or see LATER.
	 */
	uint32_t *dom;
	/* Who points to n and has a higher number: from[first[n] … first[n + 1]). */
	uint32_t *first, *from;
	struct step *steps;
	size_t nr_steps, cap_steps;
	uint32_t *path; /* of evaluate() */
	size_t cap_path;
};

/* What only chance points to does not count. A gap does not either, but is never met. */
static bool is_chance(const struct finder *f, uint32_t edge)
{
	return (edge & REACH_WEAK) && bit_get(f->r->strong, edge & ~REACH_WEAK);
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

static uint32_t add_node(struct finder *f, uint32_t parent)
{
	f->links[f->nr] = (struct link){.up = parent, .semi = parent};
	return f->nr++;
}

/* In reverse, so that the first is the next to be visited. */
static void push_steps(struct finder *f, const uint64_t *seen, const uint32_t *edges, size_t nr,
		       uint32_t parent)
{
	while (nr-- > 0) {
		uint32_t id = edges[nr] & ~REACH_WEAK;

		if (bit_get(seen, id) || is_chance(f, edges[nr]))
			continue;
		__builtin_prefetch(&f->r->offsets.low[id]);
		ARRAY_PUSH(f->steps, f->nr_steps, f->cap_steps, ((struct step){id, parent}));
	}
}

/* Depth first: a block that is pushed again is visited from whoever pushed it last. */
static void number_from(struct finder *f, uint64_t *seen, uint32_t owner)
{
	uint32_t n = add_node(f, DOMINATORS_ROOT);

	f->owner_number[owner] = n;
	push_steps(f, seen, f->owner_edges + f->owner_first[owner],
		   f->owner_first[owner + 1] - f->owner_first[owner], n);
	while (f->nr_steps) {
		struct step step = f->steps[--f->nr_steps];
		const uint32_t *edges;
		size_t nr;

		if (bit_get(seen, step.id))
			continue;
		bit_set(seen, step.id);
		n = add_node(f, step.parent);
		f->number[step.id] = n;
		edges = reach_edges_of(f->r, step.id, &nr);
		push_steps(f, seen, edges, nr, n);
	}
}

static void number_all(struct finder *f)
{
	size_t words = (size_t)f->r->nr_ids / 64 + 1, max = count_reachable(f->r) + f->nr_owners;
	uint64_t *seen = mem_alloc_array(words, sizeof(*seen));

	memcpy(seen, f->r->gaps, words * sizeof(*seen));
	f->number = mem_alloc_array(f->r->nr_ids, sizeof(*f->number));
	f->owner_number = mem_alloc_array(f->nr_owners, sizeof(*f->owner_number));
	f->links = mem_alloc_array(max + 1, sizeof(*f->links));
	f->nr = 1;
	for (uint32_t k = 0; k < f->nr_owners; k++) {
		if (f->owner_first[k] < f->owner_first[k + 1])
			number_from(f, seen, k);
	}
	free(seen);
	free(f->steps);
	f->steps = NULL;
}

/* Pointers on their way from ids to numbers and to what is known of these. */
struct batch {
	uint32_t from[BATCH], to[BATCH];
	unsigned int nr;
	void (*take)(struct finder *f, uint32_t from, uint32_t to);
};

static void take_batch(struct finder *f, struct batch *b)
{
	for (unsigned int i = 0; i < b->nr; i++) {
		b->to[i] = f->number[b->to[i]];
		__builtin_prefetch(&f->links[b->to[i]]);
		__builtin_prefetch(&f->first[b->to[i]]);
	}
	for (unsigned int i = 0; i < b->nr; i++) {
		if (b->to[i])
			b->take(f, b->from[i], b->to[i]);
	}
	b->nr = 0;
}

static void add_to_batch(struct finder *f, struct batch *b, uint32_t from, const uint32_t *edges,
			 size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (is_chance(f, edges[i]))
			continue;
		b->from[b->nr] = from;
		b->to[b->nr] = edges[i] & ~REACH_WEAK;
		__builtin_prefetch(&f->number[b->to[b->nr]]);
		if (++b->nr == BATCH)
			take_batch(f, b);
	}
}

/* Calls `take` with every pointer among nodes that counts. */
static void each_edge(struct finder *f, void (*take)(struct finder *f, uint32_t from, uint32_t to))
{
	struct batch b = {.take = take};

	for (uint32_t k = 0; k < f->nr_owners; k++)
		add_to_batch(f, &b, f->owner_number[k], f->owner_edges + f->owner_first[k],
			     f->owner_first[k + 1] - f->owner_first[k]);
	for (uint32_t id = 0; id < f->r->nr_ids; id++) {
		size_t nr;
		const uint32_t *edges;

		if (f->number[id] == 0)
			continue;
		edges = reach_edges_of(f->r, id, &nr);
		add_to_batch(f, &b, f->number[id], edges, nr);
	}
	take_batch(f, &b);
}

/* Who points to a higher number is an ancestor of it: of these only the lowest matters. */
static void count_edge(struct finder *f, uint32_t from, uint32_t to)
{
	if (from > to)
		f->first[to]++;
	else if (from < f->links[to].semi)
		f->links[to].semi = from;
}

static void place_edge(struct finder *f, uint32_t from, uint32_t to)
{
	if (from > to)
		f->from[--f->first[to]] = from;
}

/* After this the graph's own edges are not needed any more. */
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
	reach_drop_edges(f->r);
}

static void list_nodes(struct finder *f)
{
	f->node = mem_alloc_array(f->nr, sizeof(*f->node));
	for (uint32_t k = 0; k < f->nr_owners; k++)
		f->node[f->owner_number[k]] = k | DOMINATORS_OWNER;
	for (uint32_t id = 0; id < f->r->nr_ids; id++)
		f->node[f->number[id]] = id;
	f->node[DOMINATORS_ROOT] = 0;
	free(f->number);
	f->number = NULL;
}

/*
 * Makes the link of v, which is done, as all are from the number `done` on, that of it and of all
 * above it that are done. Returns its semi.
 */
static uint32_t evaluate(struct finder *f, uint32_t v, uint32_t done)
{
	struct link *links = f->links;
	uint32_t x = v, top, label, semi;
	size_t nr = 0;

	while (links[x].up >= done) {
		ARRAY_PUSH(f->path, nr, f->cap_path, x);
		x = links[x].up;
	}
	if (nr == 0)
		return links[v].semi;
	top = links[x].up;
	semi = links[x].semi;
	label = f->label[x];
	while (nr) {
		x = f->path[--nr];
		if (links[x].semi <= semi) {
			semi = links[x].semi;
			label = f->label[x];
		} else {
			f->label[x] = label;
		}
		links[x] = (struct link){.up = top, .semi = semi};
	}
	return semi;
}

/* Dominators of those whose semidominator is the parent of w, all below which is done. */
static void empty_bucket(struct finder *f, uint32_t parent, uint32_t w)
{
	uint32_t v = f->dom[parent];

	f->dom[parent] = 0;
	while (v) {
		uint32_t next = f->dom[v], semi = evaluate(f, v, w);

		/* The label's dominator is v's too, and is found before: it is lower. */
		f->dom[v] = semi < parent ? f->label[v] | LATER : parent;
		v = next;
	}
}

static void find_dominators(struct finder *f)
{
	f->dom = mem_alloc_array(f->nr, sizeof(*f->dom));
	f->label = mem_alloc_array(f->nr, sizeof(*f->label));
	for (uint32_t n = 0; n < f->nr; n++)
		f->label[n] = n;
	for (uint32_t w = f->nr - 1; w > 0; w--) {
		uint32_t parent = f->links[w].up, semi = f->links[w].semi;

		/* Downwards, as w goes: so the next ones are known early. */
		for (uint32_t i = f->first[w + 1]; i-- > f->first[w];) {
			uint32_t other = evaluate(f, f->from[i], w + 1);

			if (i >= AHEAD)
				__builtin_prefetch(&f->links[f->from[i - AHEAD]]);
			if (other < semi)
				semi = other;
		}
		f->links[w].semi = semi;
		f->dom[w] = f->dom[semi];
		f->dom[semi] = w;
		empty_bucket(f, parent, w);
	}
	f->dom[DOMINATORS_ROOT] = DOMINATORS_ROOT;
	for (uint32_t w = 1; w < f->nr; w++) {
		if (f->dom[w] & LATER)
			f->dom[w] = f->dom[f->dom[w] & ~LATER];
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
	free(f->owner_number);
	free(f->links);
	free(f->label);
	free(f->first);
	free(f->from);
	free(f->path);
}

int dominators_find(struct reach *r, const struct root_hits *hits, const uint32_t *owners,
		    uint32_t nr_owners, struct dominators *ret)
{
	struct finder f = {.r = r, .nr_owners = nr_owners};
	struct dominators d = {.nr = 0};

	if (reach_nr_edges(r) >= UINT32_MAX - hits->nr ||
	    count_reachable(r) + nr_owners >= LATER - 1)
		return -EOVERFLOW;
	sort_hits(&f, hits, owners);
	number_all(&f);
	turn_edges_round(&f);
	list_nodes(&f);
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
