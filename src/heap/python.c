/* CPython's arenas as a heap of their own, beside the one that malloc serves; see python.h. */
#include "heap/python.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "target/target.h"

#define POOL_BYTES_MAX 16384u
#define BLOCKS_MAX (POOL_BYTES_MAX / PY_ALIGNMENT)

struct py_states {
	struct py_state items[PY_STATES_MAX];
	size_t nr;
	struct scatter memory;
};

struct py_walk {
	struct walk *w;
	const struct py_state *s;
	struct scatter *memory;
	uint64_t counted, by_lists;	     /* blocks handed out */
	uint64_t free_pools, free_pools_met; /* of which there is a count, and a look */
	uint8_t bytes[POOL_BYTES_MAX];
};

static void add_heap(struct heaps *h, struct py_state *s, size_t nr)
{
	struct heap *heap = heaps_add(h, &heap_python, HEAP_SUB, &s->heap);
	uint64_t reach = 0;

	heap->flags = HEAP_HAS_BLOCKS;
	heap->addr = s->array;
	if (nr > 1)
		snprintf(heap->name, sizeof(heap->name), "objects of interpreter %zu", nr);
	else
		snprintf(heap->name, sizeof(heap->name), "objects");
	for (size_t i = 0; i < s->nr_arenas; i++) {
		uint64_t start = s->arenas[i].addr, end = start + s->shape.arena_bytes;
		struct heap_span *last = heap->nr_spans ? &heap->spans[heap->nr_spans - 1] : NULL;

		if (last && start == last->end)
			last->end = last->committed_end = end;
		else if (start >= reach)
			heap_add_span(heap, s->heap, start, end, end);
		reach = end;
	}
}

static int py_find(struct heaps *h, void **ret_state, struct error *e)
{
	struct py_states *s;

	(void)e;
	if (target_word_bytes(heaps_target(h)) != 8)
		return 0;
	s = mem_alloc(sizeof(*s));
	scatter_init(&s->memory, heaps_target(h), 0);
	s->nr = py_find_states(heaps_target(h), &s->memory, s->items);
	for (size_t i = 0; i < s->nr; i++)
		add_heap(h, &s->items[i], i + 1);
	*ret_state = s;
	return 0;
}

static int emit(struct py_walk *v, enum block_state state, uint64_t start, uint64_t total,
		const char *what)
{
	struct heap_block b = {.addr = start,
			       .size = state == BLOCK_OVERHEAD ? 0 : total,
			       .start = start,
			       .total = total,
			       .heap = v->s->heap,
			       .state = state,
			       .what = what};

	return total ? walk_emit(v->w, &b) : 0;
}

/* Marks the blocks of the free list, the virgin ones included; how many are handed out. */
static uint32_t mark_free(struct py_walk *v, uint64_t addr, const struct py_pool *pool,
			  uint32_t capacity, uint8_t *is_free)
{
	uint32_t size = py_block_bytes(pool);
	uint32_t carved = (pool->next_offset - PY_POOL_HEADER) / size;
	uint32_t busy = carved < capacity ? carved : capacity;
	uint64_t block = pool->freeblock;

	memset(is_free, 0, capacity);
	memset(is_free + busy, 1, capacity - busy);
	while (block) {
		uint64_t offset = block - addr;
		uint32_t i = (uint32_t)((offset - PY_POOL_HEADER) / size);

		if (offset < PY_POOL_HEADER || offset >= pool->next_offset ||
		    (offset - PY_POOL_HEADER) % size || i >= capacity || is_free[i]) {
			walk_fault(
				v->w, v->s->heap, block,
				"a free list leads to 0x%llx, which is no free block of its pool",
				(unsigned long long)block);
			break;
		}
		is_free[i] = 1;
		busy--;
		memcpy(&block, v->bytes + offset, sizeof(block));
	}
	return busy;
}

static int walk_pool(struct py_walk *v, const struct py_arena *a, uint64_t addr)
{
	uint32_t pool_bytes = v->s->shape.pool_bytes, size, capacity;
	uint8_t is_free[BLOCKS_MAX];
	struct py_pool pool;
	int r;

	if (!scatter_read(v->memory, addr, v->bytes, pool_bytes) ||
	    !py_pool_decode(v->s, v->bytes, &pool) || pool.arena != a->index) {
		walk_fault(v->w, v->s->heap, addr, "the header of a pool contradicts itself");
		return emit(v, BLOCK_OVERHEAD, addr, pool_bytes, "pool that cannot be read");
	}
	v->free_pools_met += pool.count == 0;
	if (pool.count == 0)
		return emit(v, BLOCK_FREE, addr, pool_bytes, NULL);
	size = py_block_bytes(&pool);
	capacity = (pool_bytes - PY_POOL_HEADER) / size;
	v->counted += pool.count;
	v->by_lists += mark_free(v, addr, &pool, capacity, is_free);
	r = emit(v, BLOCK_OVERHEAD, addr, PY_POOL_HEADER, "head of a pool");
	for (uint32_t i = 0; i < capacity && !r; i++)
		r = emit(v, is_free[i] ? BLOCK_FREE : BLOCK_BUSY,
			 addr + PY_POOL_HEADER + (uint64_t)i * size, size, NULL);
	if (r)
		return r;
	return emit(v, BLOCK_OVERHEAD, addr + PY_POOL_HEADER + (uint64_t)capacity * size,
		    pool_bytes - PY_POOL_HEADER - capacity * size, "end of a pool");
}

static int walk_arena(struct py_walk *v, const struct py_arena *a)
{
	uint64_t first = py_first_pool(v->s, a), end = a->addr + v->s->shape.arena_bytes;
	uint64_t last = first + (uint64_t)a->nr_pools * v->s->shape.pool_bytes;
	int r = emit(v, BLOCK_OVERHEAD, a->addr, first - a->addr, "head of an arena");

	for (uint64_t pool = first; pool < a->next_pool && !r; pool += v->s->shape.pool_bytes)
		r = walk_pool(v, a, pool);
	if (r)
		return r;
	v->free_pools += a->nr_free;
	v->free_pools_met += (last - a->next_pool) / v->s->shape.pool_bytes;
	r = emit(v, BLOCK_TOP, a->next_pool, last - a->next_pool, NULL);
	return r ? r : emit(v, BLOCK_OVERHEAD, last, end - last, "end of an arena");
}

/*
 * One thread at a time allocates objects; it may stand between two of its writes. Then the figures
 * are of a moment in between.
 */
static uint64_t in_between(struct py_walk *v, uint64_t expected, uint64_t found)
{
	if (expected - found != 1 && found - expected != 1)
		return found;
	heaps_at(walk_heaps(v->w), v->s->heap)->flags |= HEAP_LOCKED;
	return expected;
}

static struct py_state *state_of(struct py_states *states, size_t heap)
{
	for (size_t i = 0; i < states->nr; i++)
		if (states->items[i].heap == heap)
			return &states->items[i];
	return NULL;
}

static int py_walk(struct walk *w, void *state, size_t i)
{
	struct py_states *states = state;
	struct py_walk v = {.w = w, .s = state_of(states, i), .memory = &states->memory};
	uint64_t reach = 0;
	int r = 0;

	if (!v.s)
		return 0;
	for (size_t k = 0; k < v.s->nr_arenas && !r; k++) {
		if (v.s->arenas[k].addr < reach)
			continue; /* said already: two pieces of the heap overlap */
		reach = v.s->arenas[k].addr + v.s->shape.arena_bytes;
		r = walk_arena(&v, &v.s->arenas[k]);
	}
	if (r)
		return r;
	walk_verdict(w, "blocks in pools: by their count = by their free list", i, v.counted,
		     in_between(&v, v.counted, v.by_lists));
	walk_verdict(w, "free pools: by their arena = by their count", i, v.free_pools,
		     in_between(&v, v.free_pools, v.free_pools_met));
	return 0;
}

static void py_describe(struct heaps *h, void *state, const struct heap_block *b, struct str *out)
{
	struct py_states *states = state;
	struct py_state *s = state_of(states, b->heap);
	uint8_t bytes[PY_POOL_HEADER];
	struct py_pool pool;
	uint64_t addr;

	(void)h;
	if (!s || (b->state != BLOCK_BUSY && b->state != BLOCK_FREE))
		return;
	addr = b->start & ~(uint64_t)(s->shape.pool_bytes - 1);
	if (!scatter_read(&states->memory, addr, bytes, sizeof(bytes)) ||
	    !py_pool_decode(s, bytes, &pool))
		return;
	str_printf(out, "pool 0x%llx of arena %u", (unsigned long long)addr, pool.arena);
	if (pool.count)
		str_printf(out, ", blocks of %u bytes, %u handed out", py_block_bytes(&pool),
			   pool.count);
	str_add(out, "\n");
}

static void py_free(void *state)
{
	struct py_states *s = state;

	for (size_t i = 0; i < s->nr; i++)
		free(s->items[i].arenas);
	scatter_release(&s->memory);
	free(s);
}

const struct heap_ops heap_python = {
	.allocator = "python",
	.find = py_find,
	.walk = py_walk,
	.describe = py_describe,
	.free_state = py_free,
};
