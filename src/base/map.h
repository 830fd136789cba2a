/*
 * Hash map from any 64-bit key to a 64-bit value: open addressing, linear probing, at most 70 %
 * full. Not thread-safe. MAP_INIT is empty and owns nothing.
 */
#ifndef SEEP_BASE_MAP_H
#define SEEP_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
	uint64_t key, value;
};

/*
 *   slots   key 0 marks a free slot, so key 0 itself lives beside them:
 *           ┌────┬────┬────┬────┐
 *           │ k  │ 0  │ k' │ k" │   zero_used, zero_value
 *           └────┴────┴────┴────┘
 */
struct map {
	struct map_slot *slots;
	size_t cap; /* 0 or a power of two */
	size_t nr;  /* entries, key 0 included */
	bool zero_used;
	uint64_t zero_value;
};

#define MAP_INIT                                                                                   \
	{                                                                                          \
		.slots = NULL                                                                      \
	}

void map_init(struct map *m);
void map_release(struct map *m);
/* Room for nr entries without growing on the way. */
void map_reserve(struct map *m, size_t nr);
/* Writes *ret_value (NULL: not wanted) only when the key is there. */
bool map_get(const struct map *m, uint64_t key, uint64_t *ret_value);
/* Adds or replaces. */
void map_set(struct map *m, uint64_t key, uint64_t value);
/*
 * The value of key, added as 0 when missing (*ret_added then true; NULL: not wanted). The pointer
 * holds until the next call that can add or remove.
 */
uint64_t *map_at(struct map *m, uint64_t key, bool *ret_added);
/* Was it there? */
bool map_remove(struct map *m, uint64_t key);
/*
 * Visits every entry once, in no order: size_t pos = 0; while (map_next(m, &pos, &key, &value)) …
 * Nothing may be added or removed meanwhile.
 */
bool map_next(const struct map *m, size_t *pos, uint64_t *ret_key, uint64_t *ret_value);

#endif
