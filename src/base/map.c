/* Hash map of 64-bit numbers; see map.h. */
#include "base/map.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

void map_init(struct map *m)
{
	*m = (struct map)MAP_INIT;
}

void map_release(struct map *m)
{
	if (!m)
		return;
	free(m->slots);
	map_init(m);
}

/* The slot that holds key, or the free one where it belongs. cap > 0, key != 0. */
static size_t find_slot(const struct map *m, uint64_t key)
{
	size_t i = hash_u64(key) & (m->cap - 1);

	while (m->slots[i].key && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return i;
}

static void resize(struct map *m, size_t cap)
{
	struct map_slot *old = m->slots;
	size_t old_cap = m->cap;

	m->slots = mem_alloc_array(cap, sizeof(*m->slots));
	m->cap = cap;
	for (size_t i = 0; i < old_cap; i++)
		if (old[i].key)
			m->slots[find_slot(m, old[i].key)] = old[i];
	free(old);
}

void map_reserve(struct map *m, size_t nr)
{
	size_t cap = m->cap ? m->cap : 16;

	while (nr > cap / 10 * 7)
		cap *= 2;
	if (cap != m->cap)
		resize(m, cap);
}

bool map_get(const struct map *m, uint64_t key, uint64_t *ret_value)
{
	size_t i;

	if (!key) {
		if (m->zero_used && ret_value)
			*ret_value = m->zero_value;
		return m->zero_used;
	}
	if (!m->cap)
		return false;
	i = find_slot(m, key);
	if (!m->slots[i].key)
		return false;
	if (ret_value)
		*ret_value = m->slots[i].value;
	return true;
}

uint64_t *map_at(struct map *m, uint64_t key, bool *ret_added)
{
	bool added = false;
	uint64_t *value;

	if (!key) {
		added = !m->zero_used;
		value = &m->zero_value;
		m->zero_used = true;
	} else {
		struct map_slot *slot;

		map_reserve(m, m->nr + 1);
		slot = &m->slots[find_slot(m, key)];
		added = !slot->key;
		slot->key = key;
		value = &slot->value;
	}
	if (added) {
		*value = 0;
		m->nr++;
	}
	if (ret_added)
		*ret_added = added;
	return value;
}

void map_set(struct map *m, uint64_t key, uint64_t value)
{
	*map_at(m, key, NULL) = value;
}

/* Moves the entries behind a hole back, so that no probe ends too early. */
static void close_hole(struct map *m, size_t hole)
{
	size_t mask = m->cap - 1;

	for (size_t i = (hole + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
		size_t home = hash_u64(m->slots[i].key) & mask;

		if (((i - home) & mask) >= ((i - hole) & mask)) {
			m->slots[hole] = m->slots[i];
			hole = i;
		}
	}
	m->slots[hole].key = 0;
}

bool map_remove(struct map *m, uint64_t key)
{
	if (!map_get(m, key, NULL))
		return false;
	if (!key)
		m->zero_used = false;
	else
		close_hole(m, find_slot(m, key));
	m->nr--;
	return true;
}

bool map_next(const struct map *m, size_t *pos, uint64_t *ret_key, uint64_t *ret_value)
{
	for (; *pos < m->cap; (*pos)++) {
		const struct map_slot *slot = &m->slots[*pos];

		if (!slot->key)
			continue;
		*ret_key = slot->key;
		*ret_value = slot->value;
		(*pos)++;
		return true;
	}
	if (*pos == m->cap && m->zero_used) {
		*ret_key = 0;
		*ret_value = m->zero_value;
		(*pos)++;
		return true;
	}
	return false;
}
