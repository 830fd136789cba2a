/*
 * Mode full: every event, in the order in which things happened, into the ring of its thread. Who
 * drains the rings (target/drain.h) is quick or not; we never wait for it.
 */
#include "record.h"

static struct wire_ring *ring_at(struct wire_header *h, uint32_t i)
{
	return (struct wire_ring *)(rec_places.rings + i * h->ring_stride);
}

/* A thread keeps its ring, and hands it on with its state. */
static bool take_ring(struct wire_header *h, struct wire_thread *w)
{
	uint32_t nr = __atomic_load_n(&h->rings_nr, __ATOMIC_RELAXED);

	do {
		if (nr >= h->rings_cap)
			return false;
	} while (!__atomic_compare_exchange_n(&h->rings_nr, &nr, nr + 1, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
	w->ring = nr + 1;
	return true;
}

static void put(struct wire_header *h, struct wire_ring *r, const struct wire_event *e)
{
	uint64_t head = r->head;

	if (head - __atomic_load_n(&r->tail, __ATOMIC_ACQUIRE) >= WIRE_RING_EVENTS) {
		r->lost++;
		return;
	}
	r->events[head % WIRE_RING_EVENTS] = *e;
	r->events[head % WIRE_RING_EVENTS].seq_kind |=
		__atomic_fetch_add(&h->event_seq, 1, __ATOMIC_SEQ_CST) << 8;
	__atomic_store_n(&r->head, head + 1, __ATOMIC_RELEASE);
}

void event_add(struct wire_header *h, struct wire_thread *w, enum wire_event_kind kind,
	       uint64_t addr, uint64_t size, uint32_t node)
{
	struct wire_event e = {
		.seq_kind = kind,
		.addr = addr,
		.size = size,
		.node = node,
		.ms = h->event_ms,
		.tid = w->tid,
	};

	struct wire_ring *r;

	if (!w->ring && !take_ring(h, w)) {
		__atomic_fetch_add(&h->events_lost, 1, __ATOMIC_RELAXED);
		return;
	}
	r = ring_at(h, w->ring - 1);
	/* A signal handler may allocate while the event of the call that it interrupted is put in.
	 */
	if (r->adding) {
		__atomic_fetch_add(&h->events_lost, 1, __ATOMIC_RELAXED);
		return;
	}
	r->adding = 1;
	barrier();
	put(h, r, &e);
	__atomic_store_n(&r->adding, 0, __ATOMIC_RELEASE);
}

void events_heal(struct wire_header *h, struct wire_thread *w)
{
	if (w->ring)
		ring_at(h, w->ring - 1)->adding = 0;
}

void event_end(struct wire_header *h, struct wire_thread *w, enum wire_event_kind kind,
	       uint64_t addr, const uint64_t *slot)
{
	uint64_t value = slot ? *slot : 0;
	uint32_t node = (uint32_t)(value >> WIRE_SLOT_NODE_SHIFT);

	if (node && wire_pc_is_sample(rec_places.nodes[node].pc))
		node = rec_places.nodes[node].parent;
	event_add(h, w, kind, addr, slot ? table_size(value, addr) : 0, node);
}
