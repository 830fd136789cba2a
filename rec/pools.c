/*
 * Pools of the program's own, and their blocks.
 *
 * Blocks of pools are not in the live table: they may stand anywhere, closer than an allocator's,
 * and inside its blocks.
 */
#include "arch_x86_64.h"
#include "modes.h"
#include "pool_rows.h"
#include "record.h"
#include "told.h"

/* ---- pools ---- */

static uint64_t name_of(struct wire_header *h, const char *name)
{
	uint32_t number = name && *name ? tags_number(h, name) : UINT32_MAX;

	return number == UINT32_MAX ? 0 : number + 1ull;
}

/* All of its blocks are gone, and counted as freed. */
static void empty_pool(const struct hook *k, struct wire_pool_row *pool)
{
	uint64_t nr = __atomic_exchange_n(&pool->size, 0, __ATOMIC_ACQ_REL);

	rows_change(k->h, &pool->owner, rows_new_generation(k->h));
	record_frees_counted(k->h, k->w, nr);
	k->w->last_block = 0;
}

static struct wire_pool_row *new_pool(const struct hook *k, const void *pool, const char *name)
{
	uint64_t key = rows_key(pool, WIRE_POOL_KEY_POOL);
	struct wire_pool_row *r = rows_claim(k->h, key);

	if (r)
		rows_write(k->h, r, key, name_of(k->h, name), 0, rows_new_generation(k->h));
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
	r = rows_find(k.h, rows_key(pool, WIRE_POOL_KEY_POOL));
	if (r) { /* its end was not told */
		empty_pool(&k, r);
		rows_change(k.h, &r->stack, name_of(k.h, name));
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
	r = rows_find(k.h, rows_key(pool, WIRE_POOL_KEY_POOL));
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
	r = rows_find(k.h, rows_key(pool, WIRE_POOL_KEY_POOL));
	if (r) {
		empty_pool(&k, r);
		rows_change(k.h, &r->key, 0);
	}
	told_end(&k);
}
TOLD_EXPORT(pool_destroy);

/* ---- blocks ---- */

/* The stack, and at its inner end the pool's name if it has one. */
static uint32_t node_in(const struct hook *k, const struct wire_pool_row *pool, uint32_t node)
{
	if (!pool || !pool->stack || node == WIRE_NODE_UNKNOWN)
		return node;
	return tree_child(k->h, node, WIRE_PC_TAG_POOL | (pool->stack - 1));
}

/*
 * In the modes off and sample blocks of pools are passed over: the block around them stands for
 * what is in it. One that was at this address before is gone.
 */
static bool passes_over(const struct hook *k, const struct wire_pool_row *pool, const void *block)
{
	uint64_t key = rows_key(block, WIRE_POOL_KEY_BLOCK);
	struct wire_pool_row *r;

	if (!(mode_of(k->h) & WIRE_SLOW_MODES))
		return false;
	r = pool ? rows_find_block(k->h, key, (uint64_t)(pool - rec_places.pools)) : NULL;
	if (r && !rows_is_stale(k->h, key, r->owner)) {
		rows_forget(k->h, r);
		rows_change(k->h, &r->key, 0);
	}
	return true;
}

static void enter_new(const struct hook *k, struct wire_pool_row *p, const void *pool,
		      const void *block, size_t bytes, const struct arch_caller *caller)
{
	uint32_t node;

	if (!p)
		p = new_pool(k, pool, NULL);
	node = node_in(k, p, rows_stack(k, caller));
	record_count(k->h, node, bytes);
	if (!p || !rows_enter(k, p, block, bytes, node))
		rows_drop(k->h, bytes);
}

void rec_pool_alloc(const void *pool, const void *block, size_t bytes)
{
	struct arch_caller caller = ARCH_CALLER();
	struct wire_pool_row *p;
	struct hook k;

	if (!block || !begin(&k))
		return;
	p = rows_find(k.h, rows_key(pool, WIRE_POOL_KEY_POOL));
	if (!passes_over(&k, p, block))
		enter_new(&k, p, pool, block, bytes, &caller);
	k.w->last_block = 0;
	told_end(&k);
}
TOLD_EXPORT(pool_alloc);

void rec_pool_free(const void *pool, const void *block)
{
	uint64_t key = rows_key(block, WIRE_POOL_KEY_BLOCK);
	struct wire_pool_row *p, *r = NULL;
	struct hook k;

	if (!block || !begin(&k))
		return;
	p = rows_find(k.h, rows_key(pool, WIRE_POOL_KEY_POOL));
	if (p)
		r = rows_find_block(k.h, key, (uint64_t)(p - rec_places.pools));
	if (r && !rows_is_stale(k.h, key, r->owner)) {
		rows_change(k.h, &r->key, 0);
		__atomic_fetch_sub(&p->size, 1, __ATOMIC_RELAXED);
		record_free_counted(k.h, k.w);
	} else if (!(mode_of(k.h) & WIRE_SLOW_MODES)) {
		__atomic_fetch_add(&k.h->unknown_pool_frees, 1, __ATOMIC_RELAXED);
	}
	k.w->last_block = 0;
	told_end(&k);
}
TOLD_EXPORT(pool_free);
