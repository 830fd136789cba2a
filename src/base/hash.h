/* Hashing and checksums (xxHash; included nowhere else). */
#ifndef SEEP_BASE_HASH_H
#define SEEP_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* XXH3, 64 bits. The value is part of file formats: the same on every machine, for ever. */
uint64_t hash_bytes(const void *data, size_t len);
/* The same with a seed, to chain hashes: hash_seeded(b, nb, hash_bytes(a, na)). */
uint64_t hash_seeded(const void *data, size_t len, uint64_t seed);

/* Mixes one number well enough for a power-of-two table. Not part of any format. */
static inline uint64_t hash_u64(uint64_t x)
{
	x ^= x >> 32;
	x *= 0x9e3779b97f4a7c15ull;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ull;
	return x ^ x >> 32;
}

#endif
