/* The live table's slow paths: new chunks, big and dense blocks, addresses seen twice, undo
 * logging. */
#include "table.h"

#include "clock.h"
#include "sys.h"

#define POPULATE_MAX (32 << 10)

/* Writes a slot, noting what it held if a snapshot is under way. */
static void change(struct wire_header *h, uint64_t *slot, uint64_t value)
{
	if (hook_logs(h))
		undo_log(h,
			 (uint64_t)WIRE_UNDO_SLOT << WIRE_UNDO_KIND_SHIFT |
				 (uint64_t)((uint8_t *)slot - rec_places.base),
			 *slot);
	__atomic_store_n(slot, value, __ATOMIC_RELEASE); /* not before its note */
}

/* Takes a chunk of the file for the stretch of addresses that begins at base; false: none is left.
 */
static bool new_chunk(struct wire_header *h, uint64_t base, bool dense, uint32_t *ret_nr)
{
	uint32_t nr = __atomic_load_n(&h->chunks_nr, __ATOMIC_RELAXED);

	do {
		if (nr >= h->chunks_cap)
			return false;
	} while (!__atomic_compare_exchange_n(&h->chunks_nr, &nr, nr + 1, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	h->chunk_base[nr] = base | (dense ? 1 : 2);
	*ret_nr = nr;
	return true;
}

/* It never falls: nothing was ever entered at and above it (but see table_insert_alone()). */
static void raise_frontier(struct wire_level1 *e, uint64_t to)
{
	uint64_t seen = __atomic_load_n(&e->frontier, __ATOMIC_RELAXED);

	while (seen < to && !__atomic_compare_exchange_n(&e->frontier, &seen, to, true,
							 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/*
 * Moves the frontier behind this slot, and has the kernel provide the pages up to there at once:
 * where a heap grows steadily, the more the longer it has done so; else one.
 */
static COLD void advance(struct wire_level1 *e, uint64_t chunk, uint64_t slot)
{
	uint64_t page = slot & ~4095ull, end = chunk + WIRE_CHUNK_BYTES, bytes = 4096;

	if (page == chunk && e > rec_gate.level1 && e[-1].base)
		bytes = POPULATE_MAX; /* it has come up from below */
	else if (page == e->frontier)
		bytes += (page - chunk) / 16 & ~4095ull;
	if (bytes > POPULATE_MAX)
		bytes = POPULATE_MAX;
	if (bytes > end - page)
		bytes = end - page;
	sys3(SYS_madvise, (long)page, (long)bytes, 23 /* MADV_POPULATE_WRITE, Linux 5.14 */);
	raise_frontier(e, page + bytes);
	clock_tick((struct wire_header *)rec_places.base);
}

static void mark(uint64_t slot)
{
	uint64_t i = (slot - rec_places.chunks) >> 3;

	if (!slot_marked(slot))
		__atomic_fetch_or(&rec_places.known[i >> 6], 1ull << (i & 63), __ATOMIC_RELAXED);
}

static void unmark(uint64_t slot)
{
	uint64_t i = (slot - rec_places.chunks) >> 3;

	if (slot_marked(slot))
		__atomic_fetch_and(&rec_places.known[i >> 6], ~(1ull << (i & 63)),
				   __ATOMIC_RELAXED);
}

static uint64_t chunk_address(uint32_t nr)
{
	return rec_places.chunks + (uint64_t)nr * WIRE_CHUNK_BYTES;
}

static uint64_t *dense_slot_in(uint32_t entry, uint64_t addr)
{
	return (uint64_t *)(chunk_address(entry - 1) + (addr & (WIRE_CHUNK_BYTES - 1) & ~7ull));
}

static uint64_t *dense_chunk(struct wire_header *h, uint64_t addr)
{
	uint64_t i = addr >> WIRE_DENSE_SPAN_SHIFT;
	uint32_t entry = __atomic_load_n(&rec_places.dense1[i], __ATOMIC_ACQUIRE), none = 0, nr;
	uint64_t *slot;

	if (!entry) {
		if (!new_chunk(h, i << WIRE_DENSE_SPAN_SHIFT, true, &nr))
			return NULL;
		entry = nr + 1;
		if (!__atomic_compare_exchange_n(&rec_places.dense1[i], &none, entry, false,
						 __ATOMIC_RELEASE, __ATOMIC_ACQUIRE)) {
			h->chunk_base[nr] = 0; /* another thread was first; it stays empty */
			entry = none;
		}
	}
	slot = dense_slot_in(entry, addr);
	mark((uint64_t)slot & ~4095ull);
	return slot;
}

static uint64_t *ordinary_chunk(struct wire_header *h, uint64_t addr, bool alone)
{
	uint64_t i = addr >> WIRE_SPAN_SHIFT, start = i << WIRE_SPAN_SHIFT, base, none = 0;
	struct wire_level1 *e = &rec_gate.level1[i];
	uint64_t *slot;
	uint32_t nr;

	base = __atomic_load_n(&e->base, __ATOMIC_ACQUIRE);
	if (!base) {
		if (!new_chunk(h, start, false, &nr))
			return NULL;
		/* What masking would take away is taken off the base instead. */
		base = chunk_address(nr) - (start >> 2);
		if (!__atomic_compare_exchange_n(&e->base, &none, base, false, __ATOMIC_RELEASE,
						 __ATOMIC_ACQUIRE)) {
			h->chunk_base[nr] = 0;
			base = none;
		}
	}
	slot = slot_at(base, addr);
	if (alone)
		mark((uint64_t)slot);
	else if ((uint64_t)slot >= e->frontier)
		advance(e, base + (start >> 2), (uint64_t)slot);
	return slot;
}

/* alone: see table_insert_alone() */
static uint64_t *chunk_for(struct wire_header *h, uint64_t addr, bool dense, bool alone)
{
	if (addr >> WIRE_ADDRESS_BITS)
		return NULL;
	return dense ? dense_chunk(h, addr) : ordinary_chunk(h, addr, alone);
}

/* NULL: nothing was ever entered near it. */
static uint64_t *dense_slot(uint64_t addr)
{
	uint64_t *slot;
	uint32_t entry;

	if (addr >> WIRE_ADDRESS_BITS)
		return NULL;
	entry = rec_places.dense1[addr >> WIRE_DENSE_SPAN_SHIFT];
	if (!entry)
		return NULL;
	slot = dense_slot_in(entry, addr);
	return slot_marked((uint64_t)slot & ~4095ull) ? slot : NULL;
}

uint64_t *table_known_dense(struct wire_header *h, uint64_t addr)
{
	uint64_t *slot = h->dense_below ? dense_slot(addr) : NULL;

	return slot && slot_is(*slot, addr) ? slot : NULL;
}

void table_drop(struct wire_header *h, uint64_t size)
{
	__atomic_fetch_add(&h->dropped_blocks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->dropped_bytes, size, __ATOMIC_RELAXED);
}

/* A block of which only the first slot is occupied, wherever it lives. */
static bool enter(struct wire_header *h, uint64_t *slot, uint64_t addr, uint64_t size,
		  uint32_t node, bool alone)
{
	uint64_t *size_slot;

	if (size < WIRE_SIZE_ESCAPE) {
		change(h, slot, slot_value(h, addr, size, node));
		return true;
	}
	size_slot = chunk_for(h, addr + (1 << WIRE_GRANULE_SHIFT), false, alone);
	if (!size_slot || size >> WIRE_SLOT_NODE_SHIFT)
		return false;
	change(h, size_slot, size);
	change(h, slot, slot_value(h, addr, WIRE_SIZE_ESCAPE, node));
	return true;
}

/* A big block's second slot keeps the size: alone it means nothing, and may be another's by now. */
static void clear(struct wire_header *h, uint64_t *slot)
{
	change(h, slot, 0);
}

void table_take_out(struct wire_header *h, uint64_t addr, uint64_t *slot)
{
	clear(h, slot);
	if (slot == table_slot(addr))
		unmark((uint64_t)slot);
}

uint64_t *table_slot_for(struct wire_header *h, const void *p, uint64_t size)
{
	return chunk_for(h, (uint64_t)p, size < h->dense_below, false);
}

static void insert(struct wire_header *h, uint64_t addr, uint64_t size, uint32_t node, bool alone)
{
	uint64_t *slot = chunk_for(h, addr, size < h->dense_below, alone);

	if (!slot) {
		table_drop(h, size);
		return;
	}
	if (*slot && slot_is(*slot, addr)) {
		/* Live already: its free was missed; unless it is moving, then realloc has just
		 * freed it. */
		if (!(*slot & WIRE_SLOT_MOVING))
			__atomic_fetch_add(&h->lost_frees, 1, __ATOMIC_RELAXED);
		clear(h, slot);
	} else if (*slot >> WIRE_SLOT_NODE_SHIFT && !(*slot & WIRE_SLOT_MOVING)) {
		table_drop(h, size); /* two blocks in one granule: they stand closer than this
				  allocator's do */
		return;
	}
	if (!enter(h, slot, addr, size, node, alone))
		table_drop(h, size);
}

void table_insert_slow(struct wire_header *h, uint64_t addr, uint64_t size, uint32_t node)
{
	insert(h, addr, size, node, false);
}

void table_insert_alone(struct wire_header *h, uint64_t addr, uint64_t size, uint32_t node)
{
	insert(h, addr, size, node, true);
}

void table_remove_slow(struct wire_header *h, uint64_t addr)
{
	uint64_t *slot = table_find(h, addr);

	if (slot)
		table_take_out(h, addr, slot);
	else if (h->dense_below)
		__atomic_fetch_add(&h->unknown_frees, 1, __ATOMIC_RELAXED);
}

bool table_remove(struct wire_header *h, uint64_t addr)
{
	uint64_t *slot = table_slot(addr);

	if (likely(slot && slot_is(*slot, addr))) {
		slot_write(slot, 0);
		unmark((uint64_t)slot);
		return true;
	}
	slot = table_known_dense(h, addr);
	if (slot)
		slot_write(slot, 0);
	return slot;
}

uint64_t *table_find(struct wire_header *h, uint64_t addr)
{
	uint64_t *slot = table_slot(addr);

	if (slot && slot_is(*slot, addr))
		return slot;
	return table_known_dense(h, addr);
}

uint64_t table_mark_moving(struct wire_header *h, uint64_t addr, uint64_t **ret_slot)
{
	uint64_t *slot = table_known(h, addr), marked;

	*ret_slot = slot;
	if (!slot)
		return 0;
	marked = *slot | WIRE_SLOT_MOVING;
	change(h, slot, marked);
	return marked;
}

void table_moved(struct wire_header *h, uint64_t *slot, uint64_t marked)
{
	uint64_t seen = marked;

	/* Whoever was given the address meanwhile has overwritten the mark: then it is theirs. */
	if (__atomic_load_n(slot, __ATOMIC_RELAXED) != marked)
		return;
	if (hook_logs(h))
		undo_log(h,
			 (uint64_t)WIRE_UNDO_SLOT << WIRE_UNDO_KIND_SHIFT |
				 (uint64_t)((uint8_t *)slot - rec_places.base),
			 marked);
	__atomic_compare_exchange_n(slot, &seen, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

void table_unmark(struct wire_header *h, uint64_t *slot, uint64_t marked)
{
	change(h, slot, marked & ~WIRE_SLOT_MOVING);
}

uint64_t table_size(uint64_t slot, uint64_t addr)
{
	const uint64_t *second;

	if ((slot & WIRE_SIZE_ESCAPE) != WIRE_SIZE_ESCAPE)
		return slot & WIRE_SIZE_ESCAPE;
	second = table_slot(addr + (1 << WIRE_GRANULE_SHIFT));
	return second ? *second : 0;
}

/* Takes a block back out of its node's counters. */
static void uncount(struct wire_header *h, uint32_t node, uint64_t size)
{
	if (hook_logs(h) &&
	    undo_log(h, (uint64_t)WIRE_UNDO_UNCOUNT << WIRE_UNDO_KIND_SHIFT | node, size))
		return;
	__atomic_fetch_sub(&rec_places.extra[node].blocks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&rec_places.extra[node].bytes, size, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&h->extra_blocks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&h->extra_bytes, size, __ATOMIC_RELAXED);
}

static void recount(struct wire_header *h, uint32_t node, uint64_t size)
{
	if (hook_logs(h) &&
	    undo_log(h, (uint64_t)WIRE_UNDO_COUNT << WIRE_UNDO_KIND_SHIFT | node, size))
		return;
	__atomic_fetch_add(&rec_places.extra[node].blocks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&rec_places.extra[node].bytes, size, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->extra_blocks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->extra_bytes, size, __ATOMIC_RELAXED);
}

bool table_resize(struct wire_header *h, uint64_t addr, uint64_t size)
{
	uint64_t *slot = table_find(h, addr), *better, old;
	uint32_t node;

	if (!slot)
		return false;
	node = (uint32_t)(*slot >> WIRE_SLOT_NODE_SHIFT);
	if (wire_pc_is_sample(rec_places.nodes[node].pc))
		return true; /* chosen by the size that it was seen with first: that one counts */
	old = table_size(*slot, addr);
	if (rec_places.nodes[rec_places.nodes[node].parent].pc == WIRE_NODE_NO_CFI) {
		uncount(h, node, old);
		clear(h, slot);
		return false;
	}
	if (old == size)
		return true;
	better = table_slot_for(h, (void *)addr, size);
	if (!better)
		return true;
	uncount(h, node, old);
	recount(h, node, size);
	if (better != slot)
		clear(h, slot);
	enter(h, better, addr, size, node, false);
	return true;
}
