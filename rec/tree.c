/*
 * The stack tree: one node a distinct (parent, return address). Append-only and lock-free; an id,
 * once given, names the same stack for ever. Up to CHILDREN_MAX children hang in a list (most
 * frames have one to three callers' continuations, and the list is warmer than any hash); the rest
 * go into an open-addressing index.
 */
#include "rec.h"
#include "wire/sample.h"

#define CHILDREN_MAX 8

static uint32_t new_node(struct wire_header *h, uint32_t parent, uint64_t pc)
{
	uint32_t id = __atomic_load_n(&h->nodes_nr, __ATOMIC_RELAXED);
	struct wire_node *n;

	do {
		if (id >= rec_places.nodes_cap)
			return 0;
	} while (!__atomic_compare_exchange_n(&h->nodes_nr, &id, id + 1, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	n = &rec_places.nodes[id];
	n->parent = parent;
	n->pc = pc;
	return id;
}

static uint64_t mix(uint64_t pc, uint32_t parent)
{
	uint64_t x = (pc ^ (parent + 1) * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;

	return x ^ x >> 32;
}

/*
 * The overflow index is a row of hash tables, each four times as large as the one before; new
 * entries go into the first that is less than half full, so that little memory is touched as long
 * as there is little in them. Entries stay where they are.
 */
#define INDEX_FIRST_BITS 10
#define INDEX_STEP_BITS 2

struct level {
	uint64_t *slots;
	uint32_t mask;
};

/* False: there is no such level in the area. */
static bool index_level(const struct wire_header *h, uint32_t number, struct level *ret)
{
	uint64_t first = 0, nr = 1u << INDEX_FIRST_BITS;

	for (; number; number--) {
		first += nr;
		nr <<= INDEX_STEP_BITS;
	}
	if (first + nr > 1ull << h->index_bits)
		return false;
	ret->slots = rec_places.index + first;
	ret->mask = (uint32_t)nr - 1;
	return true;
}

static uint32_t index_current(const struct wire_header *h)
{
	uint64_t held = __atomic_load_n(&h->index_nr, __ATOMIC_RELAXED), room = 0;
	uint64_t nr = 1u << INDEX_FIRST_BITS;
	uint32_t number = 0;

	for (;; number++, nr <<= INDEX_STEP_BITS) {
		room += nr / 2;
		if (held < room)
			return number;
	}
}

/* The entry's node, or 0 and *ret_free: where the search ended, a free slot unless the table is
 * full. */
static uint32_t index_find(const struct level *l, uint32_t parent, uint64_t pc, uint64_t hash,
			   uint32_t *ret_free)
{
	uint32_t tag = (uint32_t)(hash >> 32), i = (uint32_t)hash & l->mask;

	for (uint32_t tries = 0; tries <= l->mask; tries++, i = (i + 1) & l->mask) {
		uint64_t e = __atomic_load_n(&l->slots[i], __ATOMIC_ACQUIRE);
		const struct wire_node *n = &rec_places.nodes[(uint32_t)e];

		if (!e)
			break;
		if ((uint32_t)(e >> 32) == tag && n->pc == pc && n->parent == parent)
			return (uint32_t)e;
	}
	*ret_free = i;
	return 0;
}

/* In the overflow index; `mine` is a node made for this purpose that was not linked yet, or 0. */
static uint32_t index_child(struct wire_header *h, uint32_t parent, uint64_t pc, uint32_t mine)
{
	uint64_t hash = mix(pc, parent), none;
	uint32_t current = index_current(h), at = 0, found;
	struct level l;

	for (uint32_t number = current + 1; number-- > 0;)
		if (index_level(h, number, &l) && (found = index_find(&l, parent, pc, hash, &at)))
			return found;
	for (; index_level(h, current, &l); current++) {
		for (;;) {
			found = index_find(&l, parent, pc, hash, &at);
			if (found)
				return found;
			none = 0;
			if (__atomic_load_n(&l.slots[at], __ATOMIC_RELAXED))
				break; /* full */
			if (!mine && !(mine = new_node(h, parent, pc)))
				return 0;
			if (!__atomic_compare_exchange_n(&l.slots[at], &none,
							 (hash >> 32) << 32 | mine, false,
							 __ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
				continue;
			__atomic_fetch_add(&h->index_nr, 1, __ATOMIC_RELAXED);
			return mine;
		}
	}
	return 0;
}

static COLD uint32_t add_child(struct wire_header *h, uint32_t parent, uint64_t pc)
{
	struct wire_node *nodes = rec_places.nodes;
	uint32_t mine = 0;

	for (;;) {
		uint32_t head = __atomic_load_n(&nodes[parent].child, __ATOMIC_ACQUIRE), c;
		int depth = 0;

		for (c = head; c && depth < CHILDREN_MAX; c = nodes[c].sibling, depth++)
			if (nodes[c].pc == pc)
				return c;
		if (depth >= CHILDREN_MAX)
			break;
		if (!mine && !(mine = new_node(h, parent, pc)))
			return 0;
		nodes[mine].sibling = head;
		if (__atomic_compare_exchange_n(&nodes[parent].child, &head, mine, false,
						__ATOMIC_RELEASE, __ATOMIC_RELAXED))
			return mine;
	}
	return index_child(h, parent, pc, mine);
}

uint32_t tree_child_slow(struct wire_header *h, uint32_t parent, uint64_t pc)
{
	const struct wire_node *nodes = rec_places.nodes;
	uint32_t c = __atomic_load_n(&nodes[parent].child, __ATOMIC_ACQUIRE);
	int depth = 0;

	for (; c && depth < CHILDREN_MAX; c = nodes[c].sibling, depth++)
		if (nodes[c].pc == pc)
			return c;
	c = depth >= CHILDREN_MAX ? index_child(h, parent, pc, 0) : add_child(h, parent, pc);
	return c ? c : WIRE_NODE_UNKNOWN;
}

/* The node's own counters, given to it now if need be. */
static COLD struct wire_count *new_count(struct wire_header *h, uint32_t node)
{
	uint32_t *place = &rec_places.nodes[node].count, none = 0;
	uint32_t mine = __atomic_load_n(&h->counts_nr, __ATOMIC_RELAXED);

	do {
		if (mine >= rec_places.nodes_cap) /* as many nodes as there can be */
			return &rec_places.counts[COUNT_OF_UNKNOWN];
	} while (!__atomic_compare_exchange_n(&h->counts_nr, &mine, mine + 1, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	/* Another thread may be first; then ours stays empty. */
	if (!__atomic_compare_exchange_n(place, &none, mine, false, __ATOMIC_RELEASE,
					 __ATOMIC_ACQUIRE))
		mine = none;
	return &rec_places.counts[mine];
}

static inline struct wire_count *count_of(struct wire_header *h, uint32_t node)
{
	uint32_t i = __atomic_load_n(&rec_places.nodes[node].count, __ATOMIC_ACQUIRE);

	return likely(i) ? &rec_places.counts[i] : new_count(h, node);
}

static void count(struct wire_header *h, uint32_t node, uint64_t blocks, uint64_t bytes)
{
	struct wire_count *c = count_of(h, node);

	if (likely(!h->threads_many && rec_single_threaded())) {
		c->blocks += blocks;
		c->bytes += bytes;
	} else {
		__atomic_fetch_add(&c->blocks, blocks, __ATOMIC_RELAXED);
		__atomic_fetch_add(&c->bytes, bytes, __ATOMIC_RELAXED);
	}
}

void tree_count(struct wire_header *h, uint32_t node, uint64_t bytes)
{
	count(h, node, 1, bytes);
}

void tree_count_temps(struct wire_header *h, uint32_t node, uint64_t temps)
{
	__atomic_fetch_add(&count_of(h, node)->temps, temps, __ATOMIC_RELAXED);
}

uint32_t tree_sample_child(struct wire_header *h, uint32_t node, uint32_t bits)
{
	uint32_t child = tree_child(h, node, WIRE_PC_SAMPLED + bits);

	return child == WIRE_NODE_UNKNOWN ? 0 : child;
}

void tree_count_sample(struct wire_header *h, uint32_t node, uint64_t size, uint32_t bits)
{
	uint64_t weight = wire_sample_weight(size, bits);
	struct wire_count *c = count_of(h, node);

	__atomic_fetch_add(&c->blocks, weight, __ATOMIC_RELAXED);
	__atomic_fetch_add(&c->bytes, wire_sample_bytes(size, weight), __ATOMIC_RELAXED);
	__atomic_fetch_add(&c->samples, 1, __ATOMIC_RELAXED);
}

void tree_count_sample_temp(struct wire_header *h, uint32_t node, uint64_t size)
{
	uint32_t bits = (uint32_t)(rec_places.nodes[node].pc - WIRE_PC_SAMPLED);

	tree_count_temps(h, node, wire_sample_weight(size, bits));
}

void tree_flush_record(struct wire_header *h, struct wire_thread *w, struct wire_record *r)
{
	if (!r->blocks)
		return;
	__atomic_store_n(&w->flushes_begun, w->flushes_begun + 1, __ATOMIC_SEQ_CST);
	count(h, r->node, r->blocks, r->bytes);
	if (r->temps)
		tree_count_temps(h, r->node, r->temps);
	r->bytes = 0;
	r->blocks = 0;
	r->temps = 0;
	__atomic_store_n(&w->flushes_ended, w->flushes_ended + 1, __ATOMIC_RELEASE);
}
