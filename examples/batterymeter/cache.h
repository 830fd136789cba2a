/*
 * The honest neighbour of the leak: the last CACHE_MAX readings, one block each. It grows while it
 * fills and then levels off, because each new reading frees the oldest one.
 */
#ifndef BATTERYMETER_CACHE_H
#define BATTERYMETER_CACHE_H

#include <stddef.h>
#include <stdint.h>

#define CACHE_MAX 256

struct totals;

struct reading {
	uint64_t turn;
	int battery;	 /* percent */
	int temperature; /* degrees Celsius */
	char note[48];
};

struct cache {
	struct reading *slots[CACHE_MAX]; /* a ring; NULL where there is no reading yet */
	uint64_t added;
};

/* Keeps a copy of *r and frees the reading it pushes out; both are counted in *t. */
void cache_add(struct cache *c, const struct reading *r, struct totals *t);

/* Frees all readings. */
void cache_release(struct cache *c, struct totals *t);

/* The reading added `age` readings ago (0: the newest), or NULL. */
const struct reading *cache_get(const struct cache *c, uint64_t age);

#endif
