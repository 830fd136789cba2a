/*
 * The stack tree: one node a distinct (parent, return address). Append-only and lock-free; an id,
 * once given, names the same stack for ever. Up to CHILDREN_MAX children hang in a list (most
 * frames have one to three callers' continuations, and the list is warmer than any hash); the rest
 * go into an open-addressing index.
 */
#include "rec.h"

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

/* In the overflow index; `mine` is a node made for this purpose that was not linked yet, or 0. */
static uint32_t index_child(struct wire_header *h, uint32_t parent, uint64_t pc, uint32_t mine)
{
	uint64_t hash = mix(pc, parent);
	uint32_t mask = (1u << h->index_bits) - 1, i = (uint32_t)hash & mask;
	uint32_t tag = (uint32_t)(hash >> 32);

	for (uint32_t tries = 0; tries <= mask; tries++, i = (i + 1) & mask) {
		uint64_t e = __atomic_load_n(&rec_places.index[i], __ATOMIC_ACQUIRE);

		if (!e) {
			if (!mine && !(mine = new_node(h, parent, pc)))
				return 0;
			if (__atomic_compare_exchange_n(&rec_places.index[i], &e,
							(uint64_t)tag << 32 | mine, false,
							__ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
				return mine;
		}
		if ((uint32_t)(e >> 32) == tag) {
			const struct wire_node *n = &rec_places.nodes[(uint32_t)e];

			if (n->pc == pc && n->parent == parent)
				return (uint32_t)e;
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

static void count(struct wire_header *h, uint32_t node, uint32_t blocks, uint64_t bytes)
{
	struct wire_node *n = &rec_places.nodes[node];
	uint32_t before;

	if (likely(!h->threads_many && __libc_single_threaded)) {
		before = n->blocks;
		n->blocks = before + blocks;
		n->bytes += bytes;
	} else {
		before = __atomic_fetch_add(&n->blocks, blocks, __ATOMIC_RELAXED);
		__atomic_fetch_add(&n->bytes, bytes, __ATOMIC_RELAXED);
	}
	if (unlikely(before + blocks < before))
		__atomic_fetch_add(&rec_places.extra[node].blocks, 1ull << 32, __ATOMIC_RELAXED);
}

void tree_count(struct wire_header *h, uint32_t node, uint64_t bytes)
{
	count(h, node, 1, bytes);
}

void tree_flush_record(struct wire_header *h, struct wire_record *r)
{
	if (!r->blocks)
		return;
	count(h, r->node, r->blocks, r->bytes);
	if (r->temps)
		__atomic_fetch_add(&rec_places.temps[r->node], r->temps, __ATOMIC_RELAXED);
	r->bytes = 0;
	r->blocks = 0;
	r->temps = 0;
}
