/* Finding CPython's arenas; see python.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "heap/python.h"
#include "heap/scan.h"
#include "target/target.h"

#define OBJECT_BYTES 48u
#define OBJECTS_MAX (1u << 20)
#define FIRST_OBJECTS 16u /* the array is never shorter */
#define WORDS_MAX (1 << 21)

/* The smallest pools first: bigger ones would be misread as small ones only by their contents. */
static const struct py_shape shapes[] = {
	{4096, 256 << 10},
	{16384, 1 << 20},
	{16384, 2 << 20},
};

uint64_t py_first_pool(const struct py_state *s, const struct py_arena *a)
{
	return (a->addr + s->shape.pool_bytes - 1) & ~(uint64_t)(s->shape.pool_bytes - 1);
}

uint32_t py_block_bytes(const struct py_pool *pool)
{
	return (pool->class + 1) * PY_ALIGNMENT;
}

bool py_pool_decode(const struct py_state *s, const uint8_t *bytes, struct py_pool *ret)
{
	memcpy(&ret->count, bytes, 4);
	memcpy(&ret->freeblock, bytes + 8, 8);
	memcpy(&ret->arena, bytes + 32, 4);
	memcpy(&ret->class, bytes + 36, 4);
	memcpy(&ret->next_offset, bytes + 40, 4);
	memcpy(&ret->max_next_offset, bytes + 44, 4);
	if (ret->count == 0)
		return true;
	return ret->class < PY_CLASSES && ret->next_offset >= PY_POOL_HEADER &&
	       ret->next_offset <= s->shape.pool_bytes &&
	       ret->max_next_offset == s->shape.pool_bytes - py_block_bytes(ret) &&
	       (ret->next_offset - PY_POOL_HEADER) % py_block_bytes(ret) == 0;
}

/* Every pool that was ever used says which arena it belongs to. */
static bool pools_agree(const struct py_state *s, struct scatter *p, const struct py_arena *a)
{
	for (uint64_t pool = py_first_pool(s, a); pool < a->next_pool;
	     pool += s->shape.pool_bytes) {
		uint8_t header[PY_POOL_HEADER];
		struct py_pool decoded;

		if (!scatter_read(p, pool, header, sizeof(header)) ||
		    !py_pool_decode(s, header, &decoded) || decoded.arena != a->index)
			return false;
	}
	return true;
}

/* Could this be an arena_object in use? */
static bool read_arena(const struct py_state *s, const uint64_t *words, uint32_t index,
		       struct py_arena *ret)
{
	uint32_t per_arena = s->shape.arena_bytes / s->shape.pool_bytes;
	uint64_t first;

	*ret = (struct py_arena){.addr = words[0],
				 .next_pool = words[1],
				 .index = index,
				 .nr_free = (uint32_t)words[2],
				 .nr_pools = (uint32_t)(words[2] >> 32)};
	first = py_first_pool(s, ret);
	return ret->addr % 4096 == 0 && ret->addr < 1ull << 57 &&
	       ret->nr_pools == per_arena - (first != ret->addr) && ret->nr_free <= ret->nr_pools &&
	       ret->next_pool >= first && ret->next_pool % s->shape.pool_bytes == 0 &&
	       ret->next_pool <= first + (uint64_t)ret->nr_pools * s->shape.pool_bytes;
}

/* An entry that is not in use is linked to the next such, or to none. */
static bool is_unused(uint64_t array, const uint64_t *words)
{
	return words[0] == 0 &&
	       (words[4] == 0 || (words[4] > array && (words[4] - array) % OBJECT_BYTES == 0 &&
				  words[4] - array < (uint64_t)OBJECTS_MAX * OBJECT_BYTES));
}

static int compare_arenas(const void *a, const void *b)
{
	const struct py_arena *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* Reads the array as far as it makes sense. False: it is none. */
static bool read_array(struct target *t, struct scatter *p, struct py_state *s)
{
	size_t used_pools = 0;

	for (uint32_t i = 0; i < OBJECTS_MAX; i++) {
		uint64_t words[OBJECT_BYTES / 8];
		struct py_arena a;

		if (!scatter_read(p, s->array + (uint64_t)i * OBJECT_BYTES, words, sizeof(words)))
			break;
		if (is_unused(s->array, words))
			continue;
		if (!words[0] || !read_arena(s, words, i, &a) ||
		    !scan_is_private(t, a.addr, a.addr + s->shape.arena_bytes) ||
		    !pools_agree(s, p, &a)) {
			if (i < FIRST_OBJECTS)
				return false;
			break;
		}
		used_pools += a.next_pool > py_first_pool(s, &a);
		ARRAY_PUSH(s->arenas, s->nr_arenas, s->cap_arenas, a);
	}
	if (used_pools == 0)
		return false;
	qsort(s->arenas, s->nr_arenas, sizeof(*s->arenas), compare_arenas);
	return true;
}

/* A first look at what a pointer leads to, before anything is allocated for it. */
static bool looks_like_array(struct scatter *p, uint64_t array)
{
	for (unsigned int i = 0; i < FIRST_OBJECTS; i++) {
		uint64_t words[OBJECT_BYTES / 8];

		if (!scatter_read(p, array + i * OBJECT_BYTES, words, sizeof(words)))
			return false;
		if (is_unused(array, words))
			continue;
		return words[0] && words[0] % 4096 == 0 && words[1] % 4096 == 0 &&
		       words[1] - words[0] <= 4u << 20 && (words[2] >> 32) - 1 < 256;
	}
	return false;
}

static bool try_array(struct target *t, struct scatter *p, uint64_t array, struct py_state *ret)
{
	if (array % 16 || array < 4096 || !looks_like_array(p, array))
		return false;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
		struct py_state s = {.array = array, .shape = shapes[i]};

		if (read_array(t, p, &s)) {
			*ret = s;
			return true;
		}
		free(s.arenas);
	}
	return false;
}

static bool is_known(const struct py_state *items, size_t nr, uint64_t array)
{
	for (size_t i = 0; i < nr; i++)
		if (items[i].array == array)
			return true;
	return false;
}

size_t py_find_states(struct target *t, struct scatter *p, struct py_state *items)
{
	struct scan_range range = {0};
	size_t nr = 0;

	while (scan_next_data(t, &range)) {
		struct scan_words words = {0};

		scan_words_read(t, range.start, range.end, WORDS_MAX, &words);
		for (size_t i = 0; i < words.nr && nr < PY_STATES_MAX; i++)
			if (!is_known(items, nr, words.items[i].value) &&
			    try_array(t, p, words.items[i].value, &items[nr]))
				nr++;
		scan_words_release(&words);
	}
	return nr;
}
