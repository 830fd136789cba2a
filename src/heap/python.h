/*
 * CPython's allocator of small objects (obmalloc) in 64-bit programs, as it looks from outside.
 *
 *   arenas (a pointer in the interpreter's data) ─▶ arena_object[]: address, next pool, counts
 *                                                        │
 *            arena, a mapping: pool │ pool │ … │ never used
 *            pool: header (count, free list, arena's index, size class, next virgin block) │ blocks
 *
 * An array of arena_object is recognised by its arenas: every pool in them carries the index of its
 * arena. Pools of 4 KiB in arenas of 256 KiB until 3.9; 16 KiB in 1 MiB since 3.10; 2 MiB where
 * huge pages are built in. Source: Objects/obmalloc.c of CPython 3.7 to 3.11,
 * Include/internal/pycore_obmalloc.h since 3.12.
 */
#ifndef SEEP_HEAP_PYTHON_H
#define SEEP_HEAP_PYTHON_H

#include "heap/heap_private.h"
#include "heap/scatter.h"

#define PY_POOL_HEADER 48u
#define PY_ALIGNMENT 16u /* blocks are multiples of it; 8 before 3.7 */
#define PY_CLASSES 32u
#define PY_STATES_MAX 8

struct py_shape {
	uint32_t pool_bytes, arena_bytes;
};

struct py_pool {
	uint64_t freeblock;
	uint32_t count, arena, class, next_offset, max_next_offset;
};

struct py_arena {
	uint64_t addr, next_pool; /* pools from next_pool on were never used */
	uint32_t index, nr_free, nr_pools;
};

/* An interpreter's allocator. */
struct py_state {
	uint64_t array; /* of arena_object */
	struct py_shape shape;
	struct py_arena *arenas; /* ascending by address */
	size_t nr_arenas, cap_arenas;
	size_t heap;
};

/* Looks through the modules' data; at most PY_STATES_MAX. */
size_t py_find_states(struct target *t, struct scatter *p, struct py_state *items);
/* First pool of an arena: pools are aligned, arenas need not be. */
uint64_t py_first_pool(const struct py_state *s, const struct py_arena *a);
bool py_pool_decode(const struct py_state *s, const uint8_t *bytes, struct py_pool *ret);
uint32_t py_block_bytes(const struct py_pool *pool);

#endif
