/*
 * An allocator that may be interrupted anywhere, to be preloaded: signal handlers may allocate, and
 * may leave by siglongjmp, without breaking a rule of glibc's. Nothing is ever used again.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA_BYTES (32ull << 30)
#define HEAD_BYTES 32 /* in front of a block: its size */

static char *arena;
static size_t used;

__attribute__((constructor)) static void map_arena(void)
{
	if (!arena)
		arena = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

void *malloc(size_t size)
{
	size_t bytes = (size + HEAD_BYTES + 31) & ~(size_t)31, at;

	map_arena();
	if (arena == MAP_FAILED || size > ARENA_BYTES / 2)
		return NULL;
	at = __atomic_fetch_add(&used, bytes, __ATOMIC_RELAXED);
	if (at > ARENA_BYTES - bytes)
		return NULL;
	*(size_t *)(arena + at) = size;
	return arena + at + HEAD_BYTES;
}

void free(void *p)
{
	(void)p;
}

void *calloc(size_t nr, size_t size)
{
	return size && nr > SIZE_MAX / size ? NULL : malloc(nr * size);
}

void *realloc(void *old, size_t size)
{
	void *p = malloc(size);
	size_t had = old ? *(size_t *)((char *)old - HEAD_BYTES) : 0;

	if (p && old)
		memcpy(p, old, had < size ? had : size);
	return p;
}
