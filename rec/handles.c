/* See handles.h. */
#include "handles.h"

#include "modes.h"
#include "pool_rows.h"
#include "record.h"

static struct wire_pool_row *kinds[WIRE_KINDS_MAX];
static uint64_t sequence;
static uint32_t highest[WIRE_KINDS_MAX]; /* of numbers */

uint64_t handles_now(void)
{
	return __atomic_load_n(&sequence, __ATOMIC_RELAXED);
}

/* The pool of a kind; its name's tag is that of the same number: the injector has written it. */
static struct wire_pool_row *kind_row(struct wire_header *h, uint32_t kind)
{
	struct wire_pool_row *r = __atomic_load_n(&kinds[kind], __ATOMIC_ACQUIRE), *other = NULL;
	uint64_t key = rows_key(&kinds[kind], WIRE_POOL_KEY_POOL);

	if (likely(r) || !(r = rows_claim(h, key)))
		return r;
	rows_write(h, r, key, kind + 1ull, 0, rows_new_generation(h));
	if (__atomic_compare_exchange_n(&kinds[kind], &other, r, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE)) {
		__atomic_store_n(&h->kinds[kind].pool, (uint64_t)(r - rec_places.pools) + 1,
				 __ATOMIC_RELEASE);
		return r;
	}
	rows_change(h, &r->key, 0);
	return other;
}

/* What is no address may have more bits than a row has room for. */
static const void *place_of(uint64_t handle)
{
	return (const void *)(handle >> WIRE_ADDRESS_BITS ? handle * 0x9e3779b97f4a7c15ull >> 17
							  : handle);
}

static struct wire_pool_row *find(struct wire_header *h, const struct wire_pool_row *pool,
				  uint64_t handle)
{
	uint64_t key = rows_key(place_of(handle), WIRE_POOL_KEY_BLOCK);

	return rows_find_block(h, key, (uint64_t)(pool - rec_places.pools));
}

static void end(const struct hook *k, uint32_t kind, struct wire_pool_row *pool,
		struct wire_pool_row *r)
{
	rows_change(k->h, &r->key, 0);
	__atomic_fetch_sub(&pool->size, 1, __ATOMIC_RELAXED);
	record_free_counted(k->h, k->w);
	__atomic_fetch_add(&k->h->kinds[kind].ever.released, 1, __ATOMIC_RELAXED);
}

void handle_acquired(const struct hook *k, uint32_t kind, uint64_t handle, uint64_t began,
		     const struct arch_caller *caller)
{
	struct wire_pool_row *pool = kind_row(k->h, kind), *r = NULL;
	struct thread *t = thread_private(k->w);
	uint64_t number;
	uint32_t node;

	if (pool)
		r = find(k->h, pool, handle);
	/* A function that calls another of the same kind: the inner one has noted it just now. */
	if (r && t->last_handle == handle && t->last_handle_kind == kind &&
	    t->last_handle_number > began)
		return;
	/* Its end went by unseen: libc itself closes by other ways. */
	if (r)
		end(k, kind, pool, r);
	if (mode_of(k->h) & WIRE_SLOW_OFF)
		return;
	node = tree_child(k->h, rows_stack(k, caller), WIRE_PC_TAG_KIND | kind);
	number = __atomic_add_fetch(&sequence, 1, __ATOMIC_RELAXED);
	if (node != WIRE_NODE_UNKNOWN) {
		record_count(k->h, node, 0);
		__atomic_fetch_add(&k->h->kinds[kind].ever.acquired, 1, __ATOMIC_RELAXED);
	}
	if (!pool || node == WIRE_NODE_UNKNOWN ||
	    !rows_enter(k, pool, place_of(handle), number, node)) {
		rows_drop(k->h, 0);
		return;
	}
	if (handle <= UINT32_MAX && handle > __atomic_load_n(&highest[kind], __ATOMIC_RELAXED))
		__atomic_store_n(&highest[kind], (uint32_t)handle, __ATOMIC_RELAXED);
	t->last_handle = handle;
	t->last_handle_kind = kind;
	t->last_handle_number = number;
}

uint64_t handle_number(const struct hook *k, uint32_t kind, uint64_t handle)
{
	const struct wire_pool_row *pool = kind_row(k->h, kind);
	const struct wire_pool_row *r = pool ? find(k->h, pool, handle) : NULL;

	return r ? r->size : 0;
}

void handle_released(const struct hook *k, uint32_t kind, uint64_t handle, uint64_t number)
{
	struct wire_pool_row *pool = kind_row(k->h, kind),
			     *r = pool ? find(k->h, pool, handle) : NULL;

	if (r && (!number || r->size == number))
		end(k, kind, pool, r);
}

void handles_released(const struct hook *k, uint32_t kind, uint32_t first, uint32_t last)
{
	uint32_t most = __atomic_load_n(&highest[kind], __ATOMIC_RELAXED);

	for (uint64_t i = first; i <= last && i <= most; i++)
		handle_released(k, kind, i, 0);
}
