/* What happens at an allocation and at a free; see record.h. */
#include "record.h"

#include "modes.h"

#define NESTED_MAX 65536 /* hooks inside one hook before that one is taken for dead */

static inline void enter(struct wire_thread *w, uint64_t sp)
{
	w->hook_sp = sp;
	w->busy = 1;
	barrier();
}

static inline void leave(struct wire_thread *w)
{
	barrier();
	__atomic_store_n(&w->busy, 0, __ATOMIC_RELEASE);
}

/*
 * busy is set: a hook inside a hook, in a signal handler that allocates. Or a handler was left by
 * siglongjmp, and the hook that it interrupted will never end. Stack pointers do not tell these
 * apart (alternate stacks, coroutines); that nothing but nested hooks happens any more does, in
 * time. Until then every stack is walked without the cache: right, but slow.
 */
static void heal_if_stale(struct wire_header *h, struct wire_thread *w)
{
	struct thread *t = thread_private(w);

	if (t->nested_block != w->last_block || t->nested_sp != w->hook_sp) {
		t->nested_block = w->last_block;
		t->nested_sp = w->hook_sp;
		t->nested_nr = 0;
	}
	if (++t->nested_nr < NESTED_MAX)
		return;
	t->nested_nr = 0;
	t->frames_nr = 0;
	t->logs = false;
	events_heal(h, w);
	w->busy = 0;
}

/* The slow hook has set busy: will it be noted? A reader learns of it by passes. */
static void decide(struct wire_header *h, struct wire_thread *w)
{
	bool logs = __atomic_load_n(&h->slow, __ATOMIC_RELAXED) & WIRE_SLOW_SNAPSHOT;

	thread_private(w)->logs = logs;
	if (logs)
		w->passes++;
}

static void leave_slow(struct wire_thread *w)
{
	thread_private(w)->logs = false;
	leave(w);
}

/* For a hook inside a hook, which has decided for itself: returns what it had decided. */
static bool decide_nested(struct wire_header *h, struct wire_thread *w)
{
	bool outer = thread_private(w)->logs;

	thread_private(w)->logs = __atomic_load_n(&h->slow, __ATOMIC_RELAXED) & WIRE_SLOW_SNAPSHOT;
	return outer;
}

/* A wrapper's hook may follow: it must know that this block is seen. But it is not a temporary one.
 */
static void set_last_block(struct wire_thread *w, uint64_t addr)
{
	w->last_temps = (uint64_t)&thread_private(w)->scratch_temps;
	w->last_block = addr;
}

void record_count(struct wire_header *h, uint32_t node, uint64_t size)
{
	if (!hook_logs(h) ||
	    !undo_log(h, (uint64_t)WIRE_UNDO_COUNT << WIRE_UNDO_KIND_SHIFT | node, size))
		tree_count(h, node, size);
}

static void count_and_insert(struct wire_header *h, uint64_t addr, size_t size, uint32_t node)
{
	record_count(h, node, size);
	table_insert_slow(h, addr, size, node);
	if (!events_wanted(h))
		return;
	if (self_wire())
		event_add(h, self_wire(), WIRE_EVENT_ALLOC, addr, size, node);
	else
		__atomic_fetch_add(&h->events_lost, 1, __ATOMIC_RELAXED);
}

/* One that stands for others. When the tree is full, there is no place where it could say so. */
static void insert_sample(struct wire_header *h, uint64_t addr, size_t size, uint32_t node,
			  uint32_t bits)
{
	uint32_t sample = tree_sample_child(h, node, bits);

	if (!sample) {
		table_drop(h, size);
		return;
	}
	if (!hook_logs(h) || !undo_log(h,
				       (uint64_t)WIRE_UNDO_SAMPLE << WIRE_UNDO_KIND_SHIFT |
					       (uint64_t)bits << 32 | sample,
				       size))
		tree_count_sample(h, sample, size, bits);
	table_insert_alone(h, addr, size, sample);
}

static void without_stack(struct wire_header *h, uint64_t addr, size_t size)
{
	__atomic_fetch_add(&h->missing_stacks, 1, __ATOMIC_RELAXED);
	count_and_insert(h, addr, size, WIRE_NODE_UNKNOWN);
}

/* A thread without state, of which there are many thousands. */
static void without_thread(struct wire_header *h, uint64_t addr, size_t size)
{
	uint32_t mode = mode_of(h) & WIRE_SLOW_PARTIAL;
	uint64_t *slot;

	if (!rec_use_begin(h))
		return;
	slot = mode ? table_known(h, addr) : NULL;
	if (slot)
		mode_clear_stale(h, addr, slot);
	if (mode & WIRE_SLOW_SAMPLE)
		table_drop(h, size);
	if (!mode)
		without_stack(h, addr, size);
	rec_use_end();
}

/* A signal handler that allocates, while the hook it interrupted uses the thread's cache. */
static void allocated_nested(struct wire_header *h, struct wire_thread *w, uint64_t addr,
			     size_t size, uint64_t pc, uint64_t sp, uint64_t bp)
{
	uint32_t outer = w->busy, node, bits = 0;
	bool outer_logs = decide_nested(h, w);
	enum mode_answer answer = mode_decide(h, w, size, &bits);

	if (answer == MODE_PASS) {
		mode_passed(h, w, addr);
	} else if (outer > 1 && answer == MODE_SAMPLE) {
		insert_sample(h, addr, size, WIRE_NODE_UNKNOWN, bits);
	} else if (outer > 1) { /* a handler in a handler in a hook: no scratch memory left */
		without_stack(h, addr, size);
	} else {
		w->busy = 2;
		barrier();
		node = capture_uncached(thread_private(w), h, 1, pc, sp, bp);
		if (answer == MODE_SAMPLE)
			insert_sample(h, addr, size, node, bits);
		else
			count_and_insert(h, addr, size, node);
		barrier();
		w->busy = outer;
	}
	thread_private(w)->logs = outer_logs;
}

/* Everything but "nothing special is going on". */
static COLD void *allocated_slow(void *p, size_t size, uint64_t pc, uint64_t sp, uint64_t bp)
{
	uint64_t addr = (uint64_t)p;
	struct wire_header *h;
	struct wire_thread *w;
	uint32_t node, bits = 0;
	enum mode_answer answer;

	h = rec_open();
	if (!h || self_is_inside(sp))
		return p;
	w = self_wire();
	if (!w && !(w = thread_get(h))) {
		without_thread(h, addr, size);
		return p;
	}
	if (w->busy)
		heal_if_stale(h, w);
	if (w->busy) {
		allocated_nested(h, w, addr, size, pc, sp, bp);
		return p;
	}
	enter(w, sp);
	if (rec_is_gone(h)) {
		leave(w);
		return p;
	}
	decide(h, w);
	answer = mode_decide(h, w, size, &bits);
	if (answer == MODE_PASS) {
		mode_passed(h, w, addr);
		leave_slow(w);
		return p;
	}
	if (h->slow & WIRE_SLOW_UNLOAD)
		node = capture_uncached(thread_private(w), h, 0, pc, sp, bp);
	else
		node = capture_stack(thread_private(w), h, pc, sp, bp);
#ifdef REC_CHECK
	check_stack(h, pc, node);
#endif
	if (answer == MODE_SAMPLE)
		insert_sample(h, addr, size, node, bits);
	else
		count_and_insert(h, addr, size, node);
	set_last_block(w, addr);
	leave_slow(w);
	return p;
}

/* The hook is under way, and something is special. */
static __attribute__((noinline)) void *allocated_special(void *p, size_t size, uint64_t pc,
							 uint64_t sp, uint64_t bp)
{
	struct wire_header *h = rec_gate.tables;
	struct wire_thread *w = self_wire();
	bool done = mode_passes_over(h, w, (uint64_t)p, size);

	leave(w);
	return done ? p : allocated_slow(p, size, pc, sp, bp);
}

/* A node whose count is not in a record: its temporary blocks are counted here meanwhile. */
static void use_pending_temps(struct wire_header *h, struct wire_thread *w, uint32_t node)
{
	if (w->pending_node != node) {
		if (w->pending_temps)
			tree_count_temps(h, w->pending_node, w->pending_temps);
		w->pending_temps = 0;
		w->pending_node = node;
	}
	w->last_temps = (uint64_t)&w->pending_temps;
}

/* The last step where the slot cannot simply be written. */
static COLD void *insert_and_leave(void *p, size_t size, uint32_t node)
{
	struct wire_thread *w = self_wire();

	table_insert_slow(rec_gate.tables, (uint64_t)p, size, node);
	w->last_block = (uint64_t)p;
	leave(w);
	return p;
}

/* Enters the block into the live table, and ends the hook. */
static inline void *enter_block(struct wire_header *h, struct wire_thread *w, void *p, size_t size,
				uint32_t node)
{
	uint64_t *slot = table_free_slot(h, (uint64_t)p, size);

	if (unlikely(!slot))
		return insert_and_leave(p, size, node);
	slot_write(slot, slot_value(h, (uint64_t)p, size, node));
	w->last_block = (uint64_t)p;
	leave(w);
	return p;
}

static inline uint32_t count_in_record(struct wire_thread *w, struct wire_record *r, size_t size)
{
	r->bytes += size;
	r->blocks++;
	r->confidence = 2;
	w->last_temps = (uint64_t)&r->temps;
	return r->node;
}

/* No record has this stack. */
static __attribute__((noinline)) void *allocated_walk(void *p, size_t size, uint64_t pc,
						      uint64_t sp, uint64_t bp)
{
	struct wire_header *h = rec_gate.tables;
	struct wire_thread *w = self_wire();
	struct thread *t = thread_private(w);
	uint32_t node;

	/* A block that was not just freed is cold, and so is its slot: let it come meanwhile. */
	__builtin_prefetch(table_slot((uint64_t)p), 1);
	node = capture_stack(t, h, pc, sp, bp);
	if (likely(!(h->slow & ~(uint32_t)WIRE_SLOW_FREES)))
		remember_stack(t, h, pc, sp, bp, node);
	tree_count(h, node, size);
	use_pending_temps(h, w, node);
#ifdef REC_CHECK
	h->captures++;
	check_stack(h, pc, node);
#endif
	return enter_block(h, w, p, size, node);
}

/*
 * The functions from here on hand on their arguments as they came, so that each is a jump into the
 * next, and what can be fetched again is not kept: pc is the word below sp.
 *
 * Not the stack of the site's own record: another one that is known?
 */
static __attribute__((noinline)) void *allocated_other(void *p, size_t size,
						       const struct wire_record *site, uint64_t sp,
						       uint64_t bp)
{
	const struct self self = self_now();
	struct wire_thread *w = self.wire;
	struct record_set *set;
	struct wire_record *v;
	uint32_t tag, way, node;

	set = record_find_set(self.index, site, sp, &tag);
	if (unlikely(!arch_find_tag(set->tag, tag, &way)))
		return allocated_walk(p, size, *(const uint64_t *)(sp - 8), sp, bp);
	v = record_at(w, set->record[way]);
	if (unlikely(v->shape != site->shape))
		return allocated_walk(p, size, *(const uint64_t *)(sp - 8), sp, bp);
	if (unlikely(v->flags) ? record_bp_differs(v, bp) || !record_holds(v, sp)
			       : unlikely(!record_holds_sure(v, sp)))
		return allocated_walk(p, size, *(const uint64_t *)(sp - 8), sp, bp);
	node = count_in_record(w, v, size);
#ifdef REC_CHECK
	rec_gate.tables->record_hits++;
	check_stack(rec_gate.tables, *(const uint64_t *)(sp - 8), node);
#endif
	return enter_block(rec_gate.tables, w, p, size, node);
}

static __attribute__((noinline)) void *allocated_same(void *p, size_t size,
						      struct wire_record *site, uint64_t sp,
						      uint64_t bp, struct wire_thread *w)
{
	uint32_t node;

	if (unlikely(record_bp_differs(site, bp) || !record_holds(site, sp))) {
		if (site->hash_bytes)
			return allocated_other(p, size, site, sp, bp);
		return allocated_walk(p, size, *(const uint64_t *)(sp - 8), sp, bp);
	}
	node = count_in_record(w, site, size);
#ifdef REC_CHECK
	rec_gate.tables->record_hits++;
	check_stack(rec_gate.tables, *(const uint64_t *)(sp - 8), node);
#endif
	return enter_block(rec_gate.tables, w, p, size, node);
}

HOOK void *rec_allocated(void *p, size_t size, uint64_t pc, uint64_t sp, uint64_t bp)
{
	struct wire_header *h = rec_gate.header;
	const struct self self = self_now();
	struct wire_thread *w = self.wire;
	struct wire_record *r;

	if (unlikely(!p))
		return p;
	if (unlikely(!h || !w || w->busy))
		return allocated_slow(p, size, pc, sp, bp);
	enter(w, sp);
	if (unlikely(h->slow & ~(uint32_t)WIRE_SLOW_FREES))
		return allocated_special(p, size, pc, sp, bp);
	r = record_at(w, *record_site(self.index, pc, sp));
	if (unlikely(r->pc != pc || r->sp != sp || r->epoch != h->epoch))
		return allocated_walk(p, size, pc, sp, bp);
	if (unlikely(r->flags & WIRE_RECORD_MANY))
		return allocated_other(p, size, r, sp, bp);
	return allocated_same(p, size, r, sp, bp, w);
}

bool record_resize(struct wire_header *h, struct wire_thread *w, uint64_t addr, size_t size)
{
	const uint64_t *slot = events_wanted(h) ? table_find(h, addr) : NULL;
	uint64_t before = slot ? *slot : 0, old = slot ? table_size(before, addr) : size;
	bool done = table_resize(h, addr, size);

	if (before && (!done || old != size))
		event_add(h, w, WIRE_EVENT_VOID, addr, old,
			  (uint32_t)(before >> WIRE_SLOT_NODE_SHIFT));
	if (before && done && old != size)
		event_add(h, w, WIRE_EVENT_ALLOC, addr, size,
			  (uint32_t)(before >> WIRE_SLOT_NODE_SHIFT));
	return done;
}

HOOK void *rec_allocated_wrapper(void *p, size_t size, uint64_t pc, uint64_t sp, uint64_t bp)
{
	struct wire_header *h = rec_gate.header;
	struct wire_thread *w = self_wire();

	/*
	 * The inner function's own hook has just recorded it, with a stack that holds ours; it may
	 * have been asked for more than our caller wanted.
	 */
	if (h && w && p && w->last_block == (uint64_t)p && !w->busy) {
		bool done;

		enter(w, sp);
		if (rec_is_gone(h)) {
			leave(w);
			return p;
		}
		decide(h, w);
		done = record_resize(h, w, (uint64_t)p, size) || (h->slow & WIRE_SLOW_PARTIAL);
		leave_slow(w);
		if (done)
			return p;
	}
	return rec_allocated(p, size, pc, sp, bp);
}

void record_frees_counted(struct wire_header *h, struct wire_thread *w, uint64_t nr)
{
	if (hook_logs(h))
		w->late_frees += (uint32_t)nr;
	else
		w->frees += nr;
}

/* A sampled block that nothing has happened since; while a snapshot is taken they are not counted.
 */
static void count_sample_temp(struct wire_header *h, uint64_t addr, uint64_t slot)
{
	uint32_t node = (uint32_t)(slot >> WIRE_SLOT_NODE_SHIFT);

	if (!hook_logs(h) && wire_pc_is_sample(rec_places.nodes[node].pc))
		tree_count_sample_temp(h, node, table_size(slot, addr));
}

static void remove_slow(struct wire_header *h, struct wire_thread *w, uint64_t addr)
{
	uint64_t *slot = table_known(h, addr);

	if (!mode_counts_free(h, w, addr, slot))
		return;
	if (events_wanted(h)) {
		if (!slot && thread_private(w)->last_deleted == addr) {
			thread_private(w)->last_deleted = 0; /* seen already, as operator delete */
			return;
		}
		event_end(h, w, WIRE_EVENT_FREE, addr, slot);
	}
	record_free_counted(h, w);
	if (slot && w->last_block == addr)
		count_sample_temp(h, addr, *slot);
	table_remove_slow(h, addr);
}

static COLD void freed_slow(uint64_t addr, uint64_t sp)
{
	struct wire_header *h = rec_gate.header;
	struct wire_thread *w;

	if (!h || self_is_inside(sp))
		return;
	w = self_wire();
	if (!w && !(w = thread_get(h))) {
		if (events_wanted(h))
			__atomic_fetch_add(&h->events_lost, 1, __ATOMIC_RELAXED);
		return;
	}
	if (w->busy)
		heal_if_stale(h, w);
	if (w->busy) {
		bool outer_logs = decide_nested(h, w);

		remove_slow(h, w, addr);
		thread_private(w)->logs = outer_logs;
		return;
	}
	enter(w, sp);
	if (rec_is_gone(h)) {
		leave(w);
		return;
	}
	decide(h, w);
	remove_slow(h, w, addr);
	w->last_block = 0;
	leave_slow(w);
}

static __attribute__((noinline)) void freed_special(uint64_t addr, uint64_t sp)
{
	struct wire_header *h = rec_gate.tables;
	struct wire_thread *w = self_wire();
	bool done = mode_passes_free(h, w, addr);

	leave(w);
	if (!done)
		freed_slow(addr, sp);
}

/* An allocator with dense blocks, or no slot: it has to be looked at. Nothing is noted. */
static __attribute__((noinline)) void remove_and_leave(uint64_t addr, struct wire_header *h,
						       struct wire_thread *w)
{
	struct thread *t = thread_private(w);

	w->frees++;
	if (table_remove(h, addr)) {
		if (w->last_block == addr)
			++*(uint32_t *)w->last_temps;
	} else if (t->last_deleted == addr) {
		t->last_deleted = 0; /* the function behind operator delete: seen already */
	} else if (h->dense_below) {
		__atomic_fetch_add(&h->unknown_frees, 1, __ATOMIC_RELAXED);
	}
	w->last_block = 0;
	leave(w);
}

/*
 * The slot is cleared without looking at it: a block's memory is often cold when it is freed, and
 * so is its slot; a store does not wait for it. (A big block's second slot stays: it means nothing
 * alone.) Frees of unknown blocks are found by counting, see struct wire_thread.
 */
HOOK void rec_freed(void *p)
{
	struct wire_header *h = rec_gate.header;
	struct wire_thread *w = self_wire();
	uint64_t addr = (uint64_t)p, base, sp = arch_stack_pointer();

	if (unlikely(!h || !w || w->busy)) {
		freed_slow(addr, sp);
		return;
	}
	enter(w, sp);
	if (unlikely(h->slow)) {
		if (h->slow == WIRE_SLOW_FREES) {
			remove_and_leave(addr, h, w);
			return;
		}
		freed_special(addr, sp);
		return;
	}
	base = table_base(addr);
	if (unlikely(!base)) {
		remove_and_leave(addr, h, w);
		return;
	}
	slot_write(slot_at(base, addr), 0);
	w->frees++;
	if (w->last_block == addr)
		++*(uint32_t *)w->last_temps;
	w->last_block = 0;
	leave(w);
}

HOOK void rec_freed_wrapper(void *p)
{
	struct thread *t; /* NULL: gone meanwhile, see forked.h */

	rec_freed(p);
	if (rec_gate.header && self_wire() && (t = thread_private(self_wire())))
		t->last_deleted = (uint64_t)p;
}
