/* See drain.h. */
#include "target/drain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "target/table.h"

struct drain {
	struct table *t;
	uint8_t *rings; /* mapped, shared */
	size_t bytes;
	uint64_t lost_elsewhere; /* at the beginning */
	/* Events below `good` are all in their rings; those below `next` soon will be. */
	uint64_t good, next;
	unsigned int held; /* calls since good has moved */
	struct {
		uint64_t lost; /* at the beginning */
		uint64_t head; /* when next was read */
		uint32_t adding;
	} rings_seen[WIRE_THREADS_MAX];
	struct wire_event *merged; /* room for sorting */
	size_t cap_merged;
};

#define HELD_MAX 100 /* calls; a thread that stands still for longer is not waited for */

static struct wire_ring *ring_at(const struct drain *d, uint32_t i)
{
	return (struct wire_ring *)(d->rings + i * d->t->layout.ring_stride);
}

static uint32_t nr_rings(const struct drain *d)
{
	uint32_t nr = __atomic_load_n(&d->t->header->rings_nr, __ATOMIC_ACQUIRE);

	return nr < d->t->layout.rings_cap ? nr : d->t->layout.rings_cap;
}

/* Beside the lock of snapshots, which come and go meanwhile. */
static int lock(struct table *t, struct error *e)
{
	struct flock l = {.l_type = F_WRLCK, .l_start = TABLE_LOCK_DRAIN, .l_len = 1};

	if (fcntl(t->fd, F_OFD_SETLK, &l) == 0)
		return 0;
	error_set(e, -EBUSY, EXIT_TARGET, "the events of this process are written already");
	error_hint(e, "by 'seep run --events' or another 'seep mode … full'");
	return -EBUSY;
}

int drain_open(struct table *t, bool from_start, struct drain **ret, struct error *e)
{
	struct drain *d;
	int err = lock(t, e);

	if (err < 0)
		return err;
	d = mem_alloc(sizeof(*d));
	d->t = t;
	d->bytes = t->layout.rings_cap * t->layout.ring_stride;
	d->rings = mmap(NULL, d->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, t->fd,
			(off_t)t->layout.rings_off);
	if (d->rings == MAP_FAILED) {
		err = -errno;
		d->rings = NULL;
		drain_close(d);
		return error_set(e, err, EXIT_TARGET, "cannot map the rings of events: %s",
				 error_strerror(err));
	}
	for (uint32_t i = 0; i < nr_rings(d) && !from_start; i++) {
		struct wire_ring *r = ring_at(d, i);

		r->tail = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE);
		d->rings_seen[i].lost = r->lost;
	}
	if (!from_start)
		d->lost_elsewhere = t->header->events_lost;
	*ret = d;
	return 0;
}

void drain_close(struct drain *d)
{
	struct flock l = {.l_type = F_UNLCK, .l_start = TABLE_LOCK_DRAIN, .l_len = 1};

	if (!d)
		return;
	if (d->rings)
		munmap(d->rings, d->bytes);
	fcntl(d->t->fd, F_OFD_SETLK, &l);
	free(d->merged);
	free(d);
}

static void set_clock(struct drain *d)
{
	struct timespec ts;
	uint64_t now_ns, began_ns = d->t->layout.began_monotonic_ns;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	if (now_ns > began_ns)
		__atomic_store_n(&d->t->header->event_ms, (uint32_t)((now_ns - began_ns) / 1000000),
				 __ATOMIC_RELAXED);
}

/* Has a thread that was putting in an event when next was read done so? */
static bool stands_still(const struct drain *d, uint32_t i)
{
	const struct wire_ring *r = ring_at(d, i);

	return d->rings_seen[i].adding && __atomic_load_n(&r->adding, __ATOMIC_ACQUIRE) &&
	       __atomic_load_n(&r->head, __ATOMIC_ACQUIRE) == d->rings_seen[i].head;
}

/*
 * A thread draws an event's number while its ring says that it is adding. So what has a number
 * below next is in its ring once all who were adding, when next had been read, have gone on.
 */
static void move_on(struct drain *d, uint32_t rings)
{
	bool still = false;

	for (uint32_t i = 0; i < rings; i++)
		still |= stands_still(d, i);
	if (still && ++d->held < HELD_MAX)
		return;
	d->held = 0;
	d->good = d->next;
	d->next = __atomic_load_n(&d->t->header->event_seq, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < rings; i++) {
		d->rings_seen[i].adding = __atomic_load_n(&ring_at(d, i)->adding, __ATOMIC_ACQUIRE);
		d->rings_seen[i].head = __atomic_load_n(&ring_at(d, i)->head, __ATOMIC_ACQUIRE);
	}
}

static size_t take_ring(struct wire_ring *r, uint64_t below, struct wire_event *room, size_t cap)
{
	uint64_t head = __atomic_load_n(&r->head, __ATOMIC_ACQUIRE), tail = r->tail;
	size_t nr = 0;

	if (head - tail > WIRE_RING_EVENTS) /* not by our recorder */
		tail = head - WIRE_RING_EVENTS;
	for (; tail != head && nr < cap; tail++) {
		const struct wire_event *e = &r->events[tail % WIRE_RING_EVENTS];

		if (e->seq_kind >> 8 >= below)
			break;
		room[nr++] = *e;
	}
	__atomic_store_n(&r->tail, tail, __ATOMIC_RELEASE);
	return nr;
}

/* Where the ascending run that begins at `at` ends. */
static size_t run_end(const struct wire_event *events, size_t at, size_t nr)
{
	for (at++; at < nr && events[at - 1].seq_kind <= events[at].seq_kind; at++)
		;
	return at;
}

static void merge(const struct wire_event *from, size_t at, size_t middle, size_t end,
		  struct wire_event *to)
{
	size_t a = at, b = middle;

	for (size_t i = at; i < end; i++)
		to[i] = b == end || (a < middle && from[a].seq_kind <= from[b].seq_kind)
				? from[a++]
				: from[b++];
}

/* Each ring is an ascending run: neighbours are merged until there is one. */
static void sort(struct drain *d, struct wire_event *events, size_t nr)
{
	struct wire_event *from = events, *to;

	if (nr > d->cap_merged) {
		free(d->merged);
		d->merged = mem_alloc_array(nr, sizeof(*d->merged));
		d->cap_merged = nr;
	}
	to = d->merged;
	while (nr && run_end(from, 0, nr) < nr) {
		struct wire_event *swap = from;

		for (size_t at = 0, end; at < nr; at = end) {
			size_t middle = run_end(from, at, nr);

			end = middle < nr ? run_end(from, middle, nr) : middle;
			merge(from, at, middle, end, to);
		}
		from = to;
		to = swap;
	}
	if (from != events)
		memcpy(events, from, nr * sizeof(*events));
}

size_t drain_take(struct drain *d, struct wire_event *room, size_t cap, bool all)
{
	uint32_t rings = nr_rings(d);
	size_t nr = 0;

	set_clock(d);
	move_on(d, rings);
	for (uint32_t i = 0; i < rings && nr < cap; i++)
		nr += take_ring(ring_at(d, i), all ? UINT64_MAX : d->good, room + nr, cap - nr);
	sort(d, room, nr);
	return nr;
}

uint64_t drain_lost(const struct drain *d)
{
	uint64_t lost = d->t->header->events_lost - d->lost_elsewhere;

	for (uint32_t i = 0; i < nr_rings(d); i++)
		lost += ring_at(d, i)->lost - d->rings_seen[i].lost;
	return lost;
}

int drain_nodes(struct drain *d, uint32_t first, struct wire_node **ret, size_t *ret_nr,
		struct error *e)
{
	const struct wire_header *l = &d->t->layout;
	uint32_t nr = __atomic_load_n(&d->t->header->nodes_nr, __ATOMIC_ACQUIRE);
	struct wire_node *nodes;
	int err;

	if (nr > l->nodes_cap)
		nr = l->nodes_cap;
	nr = nr > first ? nr - first : 0;
	nodes = mem_alloc_array(nr, sizeof(*nodes));
	err = table_read(d->t, nodes, nr * sizeof(*nodes), l->nodes_off + first * sizeof(*nodes),
			 e);
	if (err < 0) {
		free(nodes);
		return err;
	}
	*ret = nodes;
	*ret_nr = nr;
	return 0;
}

int drain_modules(struct drain *d, struct wire_module **ret, size_t *ret_nr, struct error *e)
{
	const struct wire_header *l = &d->t->layout;
	uint32_t nr = __atomic_load_n(&d->t->header->modules_nr, __ATOMIC_ACQUIRE);
	struct wire_module *m;
	int err;

	if (nr > l->modules_cap)
		nr = l->modules_cap;
	m = mem_alloc_array(nr, sizeof(*m));
	err = table_read(d->t, m, nr * sizeof(*m), l->modules_off, e);
	if (err < 0) {
		free(m);
		return err;
	}
	for (uint32_t i = 0; i < nr; i++)
		m[i].path[WIRE_PATH_MAX - 1] = '\0';
	*ret = m;
	*ret_nr = nr;
	return 0;
}
