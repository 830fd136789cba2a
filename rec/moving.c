/* See moving.h. */
#include "moving.h"

#include "modes.h"
#include "record.h"

/* As last_block: no hook has run since. No block is there. */
#define NOTHING_SINCE 1u

bool hook_begin(struct hook *k, uint64_t sp)
{
	struct wire_header *h = rec_gate.header;
	struct wire_thread *w = self_wire();
	bool logs;

	k->w = NULL;
	if (!h || (!w && !(w = thread_get(h))))
		return false;
	k->outer = w->busy;
	if (!k->outer)
		w->hook_sp = sp;
	w->busy++;
	barrier();
	if (rec_is_gone(h)) {
		w->busy--;
		return false;
	}
	logs = __atomic_load_n(&h->slow, __ATOMIC_RELAXED) & WIRE_SLOW_SNAPSHOT;
	k->outer_logs = thread_private(w)->logs;
	thread_private(w)->logs = logs;
	if (logs && w->busy == 1)
		w->passes++;
	k->h = h;
	k->w = w;
	return true;
}

void hook_end(struct hook *k)
{
	thread_private(k->w)->logs = k->outer_logs;
	barrier();
	k->w->busy--;
}

struct moving moving_begin(const void *old, uint64_t sp)
{
	struct moving m = {.sp = sp};
	struct hook k;

	if (old && hook_begin(&k, sp)) {
		m.h = k.h;
		if (events_wanted(m.h))
			event_end(m.h, k.w, WIRE_EVENT_REALLOC_FREE, (uint64_t)old,
				  table_known(m.h, (uint64_t)old));
		m.marked = table_mark_moving(m.h, (uint64_t)old, &m.slot);
		k.w->last_block = NOTHING_SINCE;
		hook_end(&k);
	}
	return m;
}

bool moving_end(const struct moving *m, const void *old, const void *p, size_t size, bool freed)
{
	struct wire_header *h = m->h;
	uint64_t *slot;
	bool seen = false;
	struct hook k;

	if (!h || rec_gate.header != h || !hook_begin(&k, m->sp))
		return false;
	if (p || freed) {
		bool counts = mode_counts_free(h, k.w, (uint64_t)old, m->marked);

		if (counts)
			record_free_counted(h, k.w);
		if (m->marked && (!p || p != old || table_slot_for(h, p, size) != m->slot))
			table_moved(h, m->slot, m->marked);
		else if (!m->marked && counts && h->dense_below)
			__atomic_fetch_add(&h->unknown_frees, 1, __ATOMIC_RELAXED);
	} else if (m->marked) {
		table_unmark(h, m->slot, m->marked);
	}
	if (!p && !freed && events_wanted(h))
		event_end(h, k.w, WIRE_EVENT_RESTORE, (uint64_t)old, m->marked ? m->slot : NULL);
	/*
	 * Another thread's realloc may have freed it a moment ago, and still has its mark there.
	 * Where no inner hook has run, what is in the table was freed behind our back.
	 */
	if (p && p != old && k.w->last_block != NOTHING_SINCE) {
		slot = table_find(h, (uint64_t)p);
		seen = slot && !(*slot & WIRE_SLOT_MOVING);
	}
	hook_end(&k);
	return seen;
}
