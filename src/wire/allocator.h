/* What an allocator's name says of its blocks. */
#ifndef SEEP_WIRE_ALLOCATOR_H
#define SEEP_WIRE_ALLOCATOR_H

#include <stdbool.h>
#include <stdint.h>

static inline bool wire_same_name(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

#define WIRE_DENSE_ANY 25 /* where it is not known, or there are several */

/*
 * Requested sizes below this may get blocks that stand closer than 32 bytes: glibc's never do
 * (minimal chunk); jemalloc has classes of 8 and 16 bytes, then 32; musl slots of 16 with 4 bytes
 * of its own, then 32; the others, or their next versions, may have 24 as well.
 */
static inline uint32_t wire_dense_below(const char *allocator)
{
	if (wire_same_name(allocator, "glibc"))
		return 0;
	if (wire_same_name(allocator, "jemalloc"))
		return 17;
	return wire_same_name(allocator, "musl") ? 13 : WIRE_DENSE_ANY;
}

#endif
