/*
 * The table of pools, a hash table of the address: see struct wire_pool_row. A row has one owner at
 * a time, by the program's own rules: who has the block, or makes, resets or destroys the pool.
 * Rows of blocks whose pool has been reset are free to take; nobody looks for them then.
 */
#include "pool_rows.h"

#include "arch_x86_64.h"
#include "record.h"

static uint64_t mix(uint64_t key)
{
	uint64_t x = key * 0xff51afd7ed558ccdull;

	return (x ^ x >> 32) * 0x9e3779b97f4a7c15ull >> 20;
}

static struct wire_pool_row *bucket(unsigned int level, uint64_t key)
{
	uint64_t buckets =
		(1ull << (WIRE_POOL_FIRST_BITS + level * WIRE_POOL_STEP_BITS)) / WIRE_POOL_BUCKET;

	return rec_places.pools + wire_pool_first(level) +
	       (mix(key) & (buckets - 1)) * WIRE_POOL_BUCKET;
}

/* Writes a word, noting what it held if a snapshot is under way. */
void rows_change(struct wire_header *h, uint64_t *word, uint64_t value)
{
	if (hook_logs(h))
		undo_log(h,
			 (uint64_t)WIRE_UNDO_SLOT << WIRE_UNDO_KIND_SHIFT |
				 (uint64_t)((uint8_t *)word - rec_places.base),
			 *word);
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

static uint32_t depth_of(const struct wire_header *h)
{
	uint32_t depth = __atomic_load_n(&h->pool_depth, __ATOMIC_ACQUIRE);

	return depth < h->pool_levels ? depth : h->pool_levels;
}

struct wire_pool_row *rows_find(const struct wire_header *h, uint64_t key)
{
	uint32_t depth = depth_of(h);

	for (uint32_t level = 0; level < depth; level++) {
		struct wire_pool_row *rows = bucket(level, key);

		for (int i = 0; i < WIRE_POOL_BUCKET; i++)
			if (__atomic_load_n(&rows[i].key, __ATOMIC_ACQUIRE) == key)
				return &rows[i];
	}
	return NULL;
}

/* The row of this pool's block: another pool may have one inside it, at the same address. */
struct wire_pool_row *rows_find_block(const struct wire_header *h, uint64_t key, uint64_t number)
{
	uint32_t depth = depth_of(h);

	for (uint32_t level = 0; level < depth; level++) {
		struct wire_pool_row *rows = bucket(level, key);

		for (int i = 0; i < WIRE_POOL_BUCKET; i++)
			if (__atomic_load_n(&rows[i].key, __ATOMIC_ACQUIRE) == key &&
			    rows[i].owner >> WIRE_POOL_GENERATION_BITS == number)
				return &rows[i];
	}
	return NULL;
}

/* A block whose pool has been reset or destroyed since. */
bool rows_is_stale(const struct wire_header *h, uint64_t key, uint64_t owner)
{
	uint64_t pool = owner >> WIRE_POOL_GENERATION_BITS;
	const struct wire_pool_row *p = &rec_places.pools[pool];

	if ((key & WIRE_POOL_KEY_KIND) != WIRE_POOL_KEY_BLOCK || key & WIRE_POOL_KEY_WRITING)
		return false;
	return pool >= wire_pool_first(h->pool_levels) ||
	       (p->key & WIRE_POOL_KEY_KIND) != WIRE_POOL_KEY_POOL ||
	       p->owner != (owner & WIRE_POOL_GENERATION_MASK);
}

/* Takes one of the bucket's rows: a free one, or (stale) one that nobody needs. */
static struct wire_pool_row *claim_in(struct wire_header *h, uint32_t level, uint64_t key,
				      bool stale)
{
	struct wire_pool_row *rows = bucket(level, key);

	for (int i = 0; i < WIRE_POOL_BUCKET; i++) {
		uint64_t seen = __atomic_load_n(&rows[i].key, __ATOMIC_ACQUIRE);

		if (stale ? !rows_is_stale(h, seen, rows[i].owner) : seen != 0)
			continue;
		if (hook_logs(h))
			undo_log(h,
				 (uint64_t)WIRE_UNDO_SLOT << WIRE_UNDO_KIND_SHIFT |
					 (uint64_t)((uint8_t *)&rows[i].key - rec_places.base),
				 seen);
		if (__atomic_compare_exchange_n(&rows[i].key, &seen, key | WIRE_POOL_KEY_WRITING,
						false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return &rows[i];
	}
	return NULL;
}

struct wire_pool_row *rows_claim(struct wire_header *h, uint64_t key)
{
	struct wire_pool_row *r = NULL;
	uint32_t depth;

	for (;;) {
		depth = depth_of(h);
		for (uint32_t level = 0; level < depth && !r; level++)
			r = claim_in(h, level, key, false);
		for (uint32_t level = 0; level < depth && !r; level++)
			r = claim_in(h, level, key, true);
		if (r || depth == h->pool_levels)
			return r;
		__atomic_compare_exchange_n(&h->pool_depth, &depth, depth + 1, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	}
}

/* The row that had this address before the pool was reset, unless somebody else just takes it. */
static bool claim_again(struct wire_header *h, struct wire_pool_row *r, uint64_t key)
{
	uint64_t seen = key;

	if (hook_logs(h))
		undo_log(h,
			 (uint64_t)WIRE_UNDO_SLOT << WIRE_UNDO_KIND_SHIFT |
				 (uint64_t)((uint8_t *)&r->key - rec_places.base),
			 seen);
	return __atomic_compare_exchange_n(&r->key, &seen, key | WIRE_POOL_KEY_WRITING, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void rows_write(struct wire_header *h, struct wire_pool_row *r, uint64_t key, uint64_t stack,
		uint64_t size, uint64_t owner)
{
	rows_change(h, &r->stack, stack);
	rows_change(h, &r->size, size);
	rows_change(h, &r->owner, owner);
	rows_change(h, &r->key, key);
}

/* Bit 0 of a key is taken: addresses are moved up. */
uint64_t rows_key(const void *p, uint64_t kind)
{
	return ((uint64_t)p & WIRE_PC_MASK) << 1 | kind;
}

uint64_t rows_new_generation(struct wire_header *h)
{
	return __atomic_add_fetch(&h->pool_generation, 1, __ATOMIC_RELAXED) &
	       WIRE_POOL_GENERATION_MASK;
}

uint32_t rows_stack(const struct hook *k, const struct arch_caller *c)
{
	struct thread *t = thread_private(k->w);

	if (k->outer > 1) {
		__atomic_fetch_add(&k->h->missing_stacks, 1, __ATOMIC_RELAXED);
		return WIRE_NODE_UNKNOWN;
	}
	if (k->outer || k->h->slow & WIRE_SLOW_UNLOAD)
		return capture_uncached(t, k->h, k->outer != 0, c->pc, c->sp, c->bp);
	return capture_stack(t, k->h, c->pc, c->sp, c->bp);
}

void rows_drop(struct wire_header *h, uint64_t size)
{
	__atomic_fetch_add(&h->dropped_blocks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->dropped_bytes, size, __ATOMIC_RELAXED);
}

/* The pool's row forgets a block that is live twice: its free was not told. */
void rows_forget(struct wire_header *h, const struct wire_pool_row *block)
{
	uint64_t pool = block->owner >> WIRE_POOL_GENERATION_BITS;

	__atomic_fetch_add(&h->lost_frees, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&rec_places.pools[pool].size, 1, __ATOMIC_RELAXED);
}

bool rows_enter(const struct hook *k, struct wire_pool_row *pool, const void *block, uint64_t bytes,
		uint32_t node)
{
	uint64_t key = rows_key(block, WIRE_POOL_KEY_BLOCK);
	uint64_t number = (uint64_t)(pool - rec_places.pools), bits;
	struct wire_pool_row *r = rows_find_block(k->h, key, number);

	if (r && !rows_is_stale(k->h, key, r->owner))
		rows_forget(k->h, r);
	else if (!r || !claim_again(k->h, r, key))
		r = rows_claim(k->h, key);
	if (!r)
		return false;
	bits = __atomic_load_n(&k->h->time_bits, __ATOMIC_RELAXED);
	rows_write(k->h, r, key, (uint64_t)node << WIRE_SLOT_NODE_SHIFT | bits, bytes,
		   number << WIRE_POOL_GENERATION_BITS | pool->owner);
	__atomic_fetch_add(&pool->size, 1, __ATOMIC_RELAXED);
	return true;
}
