/* Names and sums of heap figures; see heaps.h. */
#include "model/heaps.h"

#include <stddef.h>

#define NR(a) (sizeof(a) / sizeof((a)[0]))

const char *block_state_name(enum block_state state)
{
	static const char *const names[BLOCK_STATES] = {
		[BLOCK_BUSY] = "busy", [BLOCK_INTERNAL] = "internal", [BLOCK_CACHED] = "cached",
		[BLOCK_FREE] = "free", [BLOCK_TOP] = "top",	      [BLOCK_OVERHEAD] = "overhead",
	};

	return (size_t)state < NR(names) ? names[state] : "unknown";
}

const char *heap_kind_name(enum heap_kind kind)
{
	static const char *const names[] = {
		[HEAP_MAIN] = "main",	    [HEAP_ARENA] = "arena",
		[HEAP_DIRECT] = "direct",   [HEAP_SUB] = "inside another heap",
		[HEAP_UNKNOWN] = "unknown",
	};

	return (size_t)kind < NR(names) ? names[kind] : "unknown";
}

void heap_figures_add(struct heap_figures *a, const struct heap_figures *b)
{
	a->reserved_bytes += b->reserved_bytes;
	a->committed_bytes += b->committed_bytes;
	a->resident_bytes += b->resident_bytes;
	a->swapped_bytes += b->swapped_bytes;
	a->busy_blocks += b->busy_blocks;
	a->busy_bytes += b->busy_bytes;
	a->internal_blocks += b->internal_blocks;
	a->internal_bytes += b->internal_bytes;
	a->cached_blocks += b->cached_blocks;
	a->cached_bytes += b->cached_bytes;
	a->free_blocks += b->free_blocks;
	a->free_bytes += b->free_bytes;
	a->free_page_bytes += b->free_page_bytes;
	a->free_resident_bytes += b->free_resident_bytes;
	if (b->largest_free_bytes > a->largest_free_bytes)
		a->largest_free_bytes = b->largest_free_bytes;
	a->top_bytes += b->top_bytes;
	a->overhead_bytes += b->overhead_bytes;
	a->busy_absent_bytes += b->busy_absent_bytes;
	a->overhead_absent_bytes += b->overhead_absent_bytes;
}

unsigned int heap_fragmentation(const struct heap_figures *f)
{
	uint64_t idle = f->free_bytes + f->cached_bytes;

	if (f->committed_bytes == 0)
		return 0;
	if (idle >= f->committed_bytes)
		return 1000;
	return (unsigned int)((__uint128_t)idle * 1000 / f->committed_bytes);
}
