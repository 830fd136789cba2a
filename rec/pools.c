/*
 * Pools of the program's own, and their blocks: a hash table of the address, see struct
 * wire_pool_row. A row has one owner at a time, by the program's own rules: who has the block, or
 * makes, resets or destroys the pool. Rows of blocks whose pool has been reset are free to take;
 * nobody looks for them then.
 *
 * Blocks of pools are not in the live table: they may stand anywhere, closer than an allocator's,
 * and inside its blocks.
 */
#include "arch_x86_64.h"
#include "modes.h"
#include "record.h"
#include "told.h"

/* ---- rows ---- */

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
static void change(struct wire_header *h, uint64_t *word, uint64_t value)
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

static struct wire_pool_row *find(const struct wire_header *h, uint64_t key)
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
static struct wire_pool_row *find_block(const struct wire_header *h, uint64_t key, uint64_t number)
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
static bool is_stale(const struct wire_header *h, uint64_t key, uint64_t owner)
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

		if (stale ? !is_stale(h, seen, rows[i].owner) : seen != 0)
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

static struct wire_pool_row *claim(struct wire_header *h, uint64_t key)
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

static void write_row(struct wire_header *h, struct wire_pool_row *r, uint64_t key, uint64_t stack,
		      uint64_t size, uint64_t owner)
{
	change(h, &r->stack, stack);
	change(h, &r->size, size);
	change(h, &r->owner, owner);
	change(h, &r->key, key);
}

/* ---- pools ---- */

/* Bit 0 of a key is taken: addresses are moved up. */
static uint64_t key_of(const void *p, uint64_t kind)
{
	return ((uint64_t)p & WIRE_PC_MASK) << 1 | kind;
}

static uint64_t new_generation(struct wire_header *h)
{
	return __atomic_add_fetch(&h->pool_generation, 1, __ATOMIC_RELAXED) &
	       WIRE_POOL_GENERATION_MASK;
}

static uint64_t name_of(struct wire_header *h, const char *name)
{
	uint32_t number = name && *name ? tags_number(h, name) : UINT32_MAX;

	return number == UINT32_MAX ? 0 : number + 1ull;
}

/* All of its blocks are gone, and counted as freed. */
static void empty_pool(const struct hook *k, struct wire_pool_row *pool)
{
	uint64_t nr = __atomic_exchange_n(&pool->size, 0, __ATOMIC_ACQ_REL);

	change(k->h, &pool->owner, new_generation(k->h));
	record_frees_counted(k->h, k->w, nr);
	k->w->last_block = 0;
}

static struct wire_pool_row *new_pool(const struct hook *k, const void *pool, const char *name)
{
	uint64_t key = key_of(pool, WIRE_POOL_KEY_POOL);
	struct wire_pool_row *r = claim(k->h, key);

	if (r)
		write_row(k->h, r, key, name_of(k->h, name), 0, new_generation(k->h));
	return r;
}

static bool begin(struct hook *k)
{
	return told_begin(k, arch_stack_pointer());
}

void rec_pool_create(const void *pool, const char *name)
{
	struct wire_pool_row *r;
	struct hook k;

	if (!begin(&k))
		return;
	r = find(k.h, key_of(pool, WIRE_POOL_KEY_POOL));
	if (r) { /* its end was not told */
		empty_pool(&k, r);
		change(k.h, &r->stack, name_of(k.h, name));
	} else {
		new_pool(&k, pool, name);
	}
	told_end(&k);
}
TOLD_EXPORT(pool_create);

void rec_pool_reset(const void *pool)
{
	struct wire_pool_row *r;
	struct hook k;

	if (!begin(&k))
		return;
	r = find(k.h, key_of(pool, WIRE_POOL_KEY_POOL));
	if (r)
		empty_pool(&k, r);
	told_end(&k);
}
TOLD_EXPORT(pool_reset);

void rec_pool_destroy(const void *pool)
{
	struct wire_pool_row *r;
	struct hook k;

	if (!begin(&k))
		return;
	r = find(k.h, key_of(pool, WIRE_POOL_KEY_POOL));
	if (r) {
		empty_pool(&k, r);
		change(k.h, &r->key, 0);
	}
	told_end(&k);
}
TOLD_EXPORT(pool_destroy);

/* ---- blocks ---- */

static uint32_t stack_of(const struct hook *k, const struct arch_caller *c)
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

static void drop(struct wire_header *h, uint64_t size)
{
	__atomic_fetch_add(&h->dropped_blocks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->dropped_bytes, size, __ATOMIC_RELAXED);
}

/* The pool's row forgets a block that is live twice: its free was not told. */
static void forget(struct wire_header *h, const struct wire_pool_row *block)
{
	uint64_t pool = block->owner >> WIRE_POOL_GENERATION_BITS;

	__atomic_fetch_add(&h->lost_frees, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&rec_places.pools[pool].size, 1, __ATOMIC_RELAXED);
}

/* The stack, and at its inner end the pool's name if it has one. */
static uint32_t node_in(const struct hook *k, const struct wire_pool_row *pool, uint32_t node)
{
	if (!pool || !pool->stack || node == WIRE_NODE_UNKNOWN)
		return node;
	return tree_child(k->h, node, WIRE_PC_TAG_POOL | (pool->stack - 1));
}

static void enter(const struct hook *k, struct wire_pool_row *pool, const void *block,
		  uint64_t bytes, uint32_t node)
{
	uint64_t key = key_of(block, WIRE_POOL_KEY_BLOCK);
	uint64_t number = (uint64_t)(pool - rec_places.pools), bits;
	struct wire_pool_row *r = find_block(k->h, key, number);

	if (r && !is_stale(k->h, key, r->owner))
		forget(k->h, r);
	else if (!r || !claim_again(k->h, r, key))
		r = claim(k->h, key);
	if (!r) {
		drop(k->h, bytes);
		return;
	}
	bits = __atomic_load_n(&k->h->time_bits, __ATOMIC_RELAXED);
	write_row(k->h, r, key, (uint64_t)node << WIRE_SLOT_NODE_SHIFT | bits, bytes,
		  number << WIRE_POOL_GENERATION_BITS | pool->owner);
	__atomic_fetch_add(&pool->size, 1, __ATOMIC_RELAXED);
}

/*
 * In the modes off and sample blocks of pools are passed over: the block around them stands for
 * what is in it. One that was at this address before is gone.
 */
static bool passes_over(const struct hook *k, const struct wire_pool_row *pool, const void *block)
{
	uint64_t key = key_of(block, WIRE_POOL_KEY_BLOCK);
	struct wire_pool_row *r;

	if (!(mode_of(k->h) & WIRE_SLOW_MODES))
		return false;
	r = pool ? find_block(k->h, key, (uint64_t)(pool - rec_places.pools)) : NULL;
	if (r && !is_stale(k->h, key, r->owner)) {
		forget(k->h, r);
		change(k->h, &r->key, 0);
	}
	return true;
}

static void enter_new(const struct hook *k, struct wire_pool_row *p, const void *pool,
		      const void *block, size_t bytes, const struct arch_caller *caller)
{
	uint32_t node;

	if (!p)
		p = new_pool(k, pool, NULL);
	node = node_in(k, p, stack_of(k, caller));
	record_count(k->h, node, bytes);
	if (p)
		enter(k, p, block, bytes, node);
	else
		drop(k->h, bytes);
}

void rec_pool_alloc(const void *pool, const void *block, size_t bytes)
{
	struct arch_caller caller = ARCH_CALLER();
	struct wire_pool_row *p;
	struct hook k;

	if (!block || !begin(&k))
		return;
	p = find(k.h, key_of(pool, WIRE_POOL_KEY_POOL));
	if (!passes_over(&k, p, block))
		enter_new(&k, p, pool, block, bytes, &caller);
	k.w->last_block = 0;
	told_end(&k);
}
TOLD_EXPORT(pool_alloc);

void rec_pool_free(const void *pool, const void *block)
{
	uint64_t key = key_of(block, WIRE_POOL_KEY_BLOCK);
	struct wire_pool_row *p, *r = NULL;
	struct hook k;

	if (!block || !begin(&k))
		return;
	p = find(k.h, key_of(pool, WIRE_POOL_KEY_POOL));
	if (p)
		r = find_block(k.h, key, (uint64_t)(p - rec_places.pools));
	if (r && !is_stale(k.h, key, r->owner)) {
		change(k.h, &r->key, 0);
		__atomic_fetch_sub(&p->size, 1, __ATOMIC_RELAXED);
		record_free_counted(k.h, k.w);
	} else if (!(mode_of(k.h) & WIRE_SLOW_MODES)) {
		__atomic_fetch_add(&k.h->unknown_pool_frees, 1, __ATOMIC_RELAXED);
	}
	k.w->last_block = 0;
	told_end(&k);
}
TOLD_EXPORT(pool_free);
