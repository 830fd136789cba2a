/* The live table's fast path; layout in wire/wire.h. */
#ifndef SEEP_REC_TABLE_H
#define SEEP_REC_TABLE_H

#include "rec.h"

static inline uint64_t *slot_at(uint64_t base, uint64_t addr)
{
	return (uint64_t *)(base + ((addr >> 2) & ~7ull));
}

/* Where slot_at() counts from for this address; 0: its chunk does not exist. */
static inline uint64_t table_base(uint64_t addr)
{
	uint64_t i = addr >> WIRE_SPAN_SHIFT;

	return likely(i < WIRE_LEVEL1_NR) ? rec_gate.level1[i].base : 0;
}

/* Slot of an address in the ordinary table, NULL when its chunk does not exist. */
static inline uint64_t *table_slot(uint64_t addr)
{
	uint64_t base = table_base(addr);

	return likely(base) ? slot_at(base, addr) : NULL;
}

/*
 * The slot for a new block if nothing stands in the way of writing it: its page is provided, it is
 * free, and the size is neither too small for the ordinary table nor too big for a slot. Else NULL.
 */
static inline uint64_t *table_free_slot(const struct wire_header *h, uint64_t addr, uint64_t size)
{
	uint64_t i = addr >> WIRE_SPAN_SHIFT, *slot;
	const struct wire_level1 *e;

	if (unlikely(i >= WIRE_LEVEL1_NR))
		return NULL;
	e = &rec_gate.level1[i];
	slot = slot_at(e->base, addr);
	if (unlikely((uint64_t)slot >= e->frontier || *slot ||
		     size - h->dense_below >= h->ordinary_sizes))
		return NULL;
	return slot;
}

static inline uint64_t slot_value(struct wire_header *h, uint64_t addr, uint64_t size,
				  uint32_t node)
{
	return (uint64_t)node << WIRE_SLOT_NODE_SHIFT |
	       (addr & 0x18) << (WIRE_SLOT_OFF3_SHIFT - 3) | h->time_bits | size;
}

/* Does this slot value describe a block at addr (and not a neighbour in the same granule)? */
static inline bool slot_is(uint64_t slot, uint64_t addr)
{
	return ((slot >> WIRE_SLOT_OFF3_SHIFT ^ addr >> 3) & 3) == 0 &&
	       slot >> WIRE_SLOT_NODE_SHIFT;
}

static inline bool slot_marked(uint64_t slot)
{
	uint64_t i = (slot - rec_places.chunks) >> 3;

	return rec_places.known[i >> 6] >> (i & 63) & 1;
}

uint64_t *table_known_dense(struct wire_header *h, uint64_t addr);

/*
 * Slot of a live block in either table, or NULL, as table_find(); but it looks only where something
 * may be: below the frontier, and into slots that are marked. Looking at a page makes the kernel
 * provide it, and is slow where it is cold; where few blocks are entered, the bits are all that is
 * looked at. (Of the dense table the first slot of a page has the mark of the page, which stays.)
 */
static inline uint64_t *table_known(struct wire_header *h, uint64_t addr)
{
	uint64_t i = addr >> WIRE_SPAN_SHIFT, base, *slot;

	if (unlikely(i >= WIRE_LEVEL1_NR))
		return NULL;
	base = rec_gate.level1[i].base;
	if (base) {
		slot = slot_at(base, addr);
		if (((uint64_t)slot < rec_gate.level1[i].frontier || slot_marked((uint64_t)slot)) &&
		    *slot && slot_is(*slot, addr))
			return slot;
	}
	return unlikely(h->dense_below) ? table_known_dense(h, addr) : NULL;
}

static inline void slot_write(uint64_t *slot, uint64_t value)
{
	__atomic_store_n(slot, value, __ATOMIC_RELAXED);
}

/* Counts a block that cannot be entered. */
void table_drop(struct wire_header *h, uint64_t size);
/* In a hook whose changes are not noted: takes the block out; false: it is not known. */
bool table_remove(struct wire_header *h, uint64_t addr);
/* Takes the block in this slot out. */
void table_take_out(struct wire_header *h, uint64_t addr, uint64_t *slot);
/* Requested bytes of the block in this slot. */
uint64_t table_size(uint64_t slot, uint64_t addr);
/* Slot of a live block in either table, or NULL. */
uint64_t *table_find(struct wire_header *h, uint64_t addr);
/*
 * Before a realloc: the block is marked as moving; returns the marked value (0: unknown block) and
 * the slot. Afterwards either table_moved() (its address may be another thread's by now), or the
 * caller writes the slot again.
 */
uint64_t table_mark_moving(struct wire_header *h, uint64_t addr, uint64_t **ret_slot);
void table_moved(struct wire_header *h, uint64_t *slot, uint64_t marked);
/* Where a block of this size at this address would be entered; NULL: no room. */
uint64_t *table_slot_for(struct wire_header *h, const void *p, uint64_t size);
/*
 * For the outer of two functions that were both seen to allocate this block: what was asked for is
 * `size`, and its site's bytes are put right. False: not in the table, or taken out of it because
 * its stack ends at the inner function, in code without unwind information: the outer one's is
 * better.
 */
bool table_resize(struct wire_header *h, uint64_t addr, uint64_t size);
void table_unmark(struct wire_header *h, uint64_t *slot, uint64_t marked);

#endif
