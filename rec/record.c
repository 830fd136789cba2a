/* What happens at an allocation and at a free; see record.h. */
#include "record.h"

#define NESTED_MAX 65536 /* hooks inside one hook before that one is taken for dead */

static inline bool logging(struct wire_header *h)
{
	return h->slow & WIRE_SLOW_SNAPSHOT;
}

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
static void heal_if_stale(struct wire_thread *w)
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
	w->busy = 0;
}

/* A wrapper's hook may follow: it must know that this block is seen. But it is not a temporary one.
 */
static void set_last_block(struct wire_thread *w, uint64_t addr)
{
	w->last_temps = (uint64_t)&thread_private(w)->scratch_temps;
	w->last_block = addr;
}

/* While a snapshot is taken, counters stand still and its reader adds what the log says afterwards.
 */
static void count_and_insert(struct wire_header *h, uint64_t addr, size_t size, uint32_t node)
{
	if (!logging(h) ||
	    !undo_log(h, (uint64_t)WIRE_UNDO_COUNT << WIRE_UNDO_KIND_SHIFT | node, size))
		tree_count(h, node, size);
	table_insert_slow(h, addr, size, node);
}

static void without_stack(struct wire_header *h, uint64_t addr, size_t size)
{
	__atomic_fetch_add(&h->missing_stacks, 1, __ATOMIC_RELAXED);
	count_and_insert(h, addr, size, WIRE_NODE_UNKNOWN);
}

/* A signal handler that allocates, while the hook it interrupted uses the thread's cache. */
static void allocated_nested(struct wire_header *h, struct wire_thread *w, uint64_t addr,
			     size_t size, uint64_t pc, uint64_t sp, uint64_t bp)
{
	uint32_t node;

	uint32_t outer = w->busy;

	if (outer > 1) { /* a handler in a handler in a hook: no scratch memory left */
		without_stack(h, addr, size);
		return;
	}
	w->busy = 2;
	barrier();
	node = capture_uncached(thread_private(w), h, 1, pc, sp, bp);
	count_and_insert(h, addr, size, node);
	barrier();
	w->busy = outer;
}

/* Everything but "nothing special is going on". */
static COLD void *allocated_slow(void *p, size_t size, uint64_t pc, uint64_t sp, uint64_t bp)
{
	uint64_t addr = (uint64_t)p;
	struct wire_header *h;
	struct wire_thread *w;
	uint32_t node;

	if (!rec_gate.header && !rec_wake())
		return p;
	h = rec_gate.header;
	w = rec_self;
	if (!w && !(w = thread_get(h))) {
		without_stack(h, addr, size);
		return p;
	}
	if (w->busy)
		heal_if_stale(w);
	if (w->busy) {
		allocated_nested(h, w, addr, size, pc, sp, bp);
		return p;
	}
	enter(w, sp);
	w->passes++;
	if (h->slow & WIRE_SLOW_UNLOAD)
		node = capture_uncached(thread_private(w), h, 0, pc, sp, bp);
	else
		node = capture_stack(thread_private(w), h, record_slot(w, pc, sp), pc, sp, bp);
#ifdef REC_CHECK
	check_stack(h, pc, node);
#endif
	count_and_insert(h, addr, size, node);
	set_last_block(w, addr);
	leave(w);
	return p;
}

/* A node whose count is not in a record: its temporary blocks are counted here meanwhile. */
static void use_pending_temps(struct wire_thread *w, uint32_t node)
{
	if (w->pending_node != node) {
		if (w->pending_temps)
			__atomic_fetch_add(&rec_places.temps[w->pending_node], w->pending_temps,
					   __ATOMIC_RELAXED);
		w->pending_temps = 0;
		w->pending_node = node;
	}
	w->last_temps = (uint64_t)&w->pending_temps;
}

static COLD void carry_record(uint32_t node)
{
	__atomic_fetch_add(&rec_places.extra[node].blocks, 1ull << 32, __ATOMIC_RELAXED);
}

/* The last step where the slot cannot simply be written. */
static COLD void *insert_and_leave(void *p, size_t size, uint32_t node)
{
	struct wire_thread *w = rec_self;

	table_insert_slow(rec_gate.header, (uint64_t)p, size, node);
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
	if (unlikely(++r->blocks == 0))
		carry_record(r->node);
	r->confidence = 2;
	w->last_temps = (uint64_t)&r->temps;
	return r->node;
}

/*
 * Among the other stacks of this site: the record of the present one (*ret_known), or the one to
 * use for it: a free one, else the one that was least used of late. NULL: there can be none.
 */
static inline struct wire_record *find_variant(struct wire_thread *w, struct wire_header *h,
					       const struct wire_record *site, uint64_t sp,
					       uint64_t bp, bool *ret_known)
{
	uint16_t tag;
	struct wire_record *v = record_variants(w, site, sp, &tag), *spare = v;

	for (int i = 0; v && i < VARIANT_WAYS; i++, v++) {
		if (v->tag == tag && record_matches(v, h->epoch, site->pc, sp, bp)) {
			*ret_known = true;
			return v;
		}
		if (v->tag == tag && v->pc == site->pc && v->sp == sp)
			return v; /* a candidate, or its stack has changed where nobody looked */
		if (v->epoch != h->epoch || v->confidence < spare->confidence)
			spare = v;
	}
	if (spare && spare->tag != tag) {
		tree_flush_record(h, spare);
		spare->epoch = 0;
		spare->pc = 0;
		spare->tag = tag;
	}
	return spare;
}

/* The stack is not the one of the site's record: another that is known, or one to be walked. */
static __attribute__((noinline)) void *allocated_miss(void *p, size_t size, uint64_t pc,
						      uint64_t sp, uint64_t bp)
{
	struct wire_header *h = rec_gate.header;
	struct wire_thread *w = rec_self;
	struct wire_record *r = record_slot(w, pc, sp), *v = NULL;
	bool known = false;
	uint32_t node;

	/* A block that was not just freed is cold, and so is its slot: let it come meanwhile. */
	__builtin_prefetch(table_slot((uint64_t)p), 1);
	if (r->pc == pc && r->sp == sp && r->epoch == h->epoch)
		v = find_variant(w, h, r, sp, bp, &known);
	if (known) {
		r->many = 1;
		node = count_in_record(w, v, size);
#ifdef REC_CHECK
		h->record_hits++;
#endif
	} else {
		node = capture_stack(thread_private(w), h, v ? v : r, pc, sp, bp);
#ifdef REC_CHECK
		h->captures++;
#endif
		tree_count(h, node, size);
		use_pending_temps(w, node);
	}
#ifdef REC_CHECK
	check_stack(h, pc, node);
#endif
	return enter_block(h, w, p, size, node);
}

/*
 * Every exit but the last is a jump with the arguments as they came, and what can be fetched again
 * is not kept, so that the usual way saves few registers: pc is the word below sp, the header and
 * the thread are looked up twice.
 */
HOOK void *rec_allocated(void *p, size_t size, uint64_t pc, uint64_t sp, uint64_t bp)
{
	struct wire_header *h = rec_gate.header;
	struct wire_thread *w = rec_self;
	struct wire_record *r;
	uint32_t node;

	if (unlikely(!p))
		return p;
	if (unlikely(!h || !w || w->busy))
		return allocated_slow(p, size, pc, sp, bp);
	enter(w, sp);
	if (unlikely(h->slow)) {
		leave(w);
		return allocated_slow(p, size, pc, sp, bp);
	}
	r = record_slot(w, pc, sp);
	__asm__(""
		: "+r"(r)); /* one pointer; not an index to be shifted and added again and again */
	if (unlikely(r->many || !record_matches(r, h->epoch, pc, sp, bp)))
		return allocated_miss(p, size, *(const uint64_t *)(sp - 8), sp, bp);
	barrier();
	h = rec_gate.header;
	w = rec_self;
	node = count_in_record(w, r, size);
#ifdef REC_CHECK
	h->record_hits++;
	check_stack(h, pc, node);
#endif
	return enter_block(h, w, p, size, node);
}

HOOK void *rec_allocated_wrapper(void *p, size_t size, uint64_t pc, uint64_t sp, uint64_t bp)
{
	struct wire_header *h = rec_gate.header;
	struct wire_thread *w = rec_self;

	/*
	 * The inner function's own hook has just recorded it, with a stack that holds ours; it may
	 * have been asked for more than our caller wanted.
	 */
	if (h && w && p && w->last_block == (uint64_t)p && !w->busy) {
		enter(w, sp);
		if (table_resize(h, (uint64_t)p, size)) {
			leave(w);
			return p;
		}
		leave(w);
	}
	return rec_allocated(p, size, pc, sp, bp);
}

void record_free_counted(struct wire_header *h, struct wire_thread *w)
{
	if (logging(h))
		w->late_frees++;
	else
		w->frees++;
}

static COLD void freed_slow(uint64_t addr, uint64_t sp)
{
	struct wire_header *h = rec_gate.header;
	struct wire_thread *w = rec_self;

	if (!h || ((!w && !(w = thread_get(h)))))
		return;
	if (w->busy)
		heal_if_stale(w);
	if (w->busy) {
		record_free_counted(h, w);
		table_remove_slow(h, addr);
		return;
	}
	enter(w, sp);
	w->passes++;
	record_free_counted(h, w);
	table_remove_slow(h, addr);
	w->last_block = 0;
	leave(w);
}

/* An allocator with dense blocks, or no slot: it has to be looked at. */
static COLD void remove_and_leave(uint64_t addr)
{
	struct wire_header *h = rec_gate.header;
	struct wire_thread *w = rec_self;
	struct thread *t = thread_private(w);

	record_free_counted(h, w);
	if (t->last_deleted == addr && !table_find(h, addr))
		t->last_deleted = 0; /* the function behind operator delete: seen already */
	else if (table_remove_slow(h, addr) && w->last_block == addr)
		++*(uint32_t *)w->last_temps;
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
	struct wire_thread *w = rec_self;
	uint64_t addr = (uint64_t)p, *slot, sp = arch_stack_pointer();

	if (unlikely(!h || !w || w->busy)) {
		freed_slow(addr, sp);
		return;
	}
	enter(w, sp);
	if (unlikely(h->slow)) {
		leave(w);
		freed_slow(addr, sp);
		return;
	}
	slot = table_slot(addr);
	if (unlikely(!slot || h->dense_below)) {
		remove_and_leave(addr);
		return;
	}
	slot_write(slot, 0);
	w->frees++;
	if (w->last_block == addr)
		++*(uint32_t *)w->last_temps;
	w->last_block = 0;
	leave(w);
}

HOOK void rec_freed_wrapper(void *p)
{
	rec_freed(p);
	if (rec_gate.header && rec_self)
		thread_private(rec_self)->last_deleted = (uint64_t)p;
}
