/*
 * mp_, glibc's malloc_par: how many blocks have mappings of their own, and where brk began. It lies
 * near main_arena; sbrk_base in it says where the main arena starts, four counters stand before it.
 */
#include "heap/glibc.h"

#define MMAPS_MAX_DEFAULT 65536
#define COUNTERS_AHEAD 64 /* threads that may have counted a mapping before the maximum */
#define CACHE_BYTES_MAX ((uint64_t)8 << 20)
/* No addresses: what sbrk_base may be. */
#define ANY 1
#define ANY_OR_NONE 2

/* Distances before sbrk_base. */
struct par_shape {
	unsigned int word;
	uint64_t counters, mapped;
};

static const struct par_shape shapes[] = {
	{8, 0x24, 0x10}, /* 2.35 on */
	{8, 0x20, 0x10}, /* 2.24 to 2.34 */
	{8, 0x28, 0x18}, /* to 2.23 */
	{4, 0x18, 0x08}, /* 2.24 on */
	{4, 0x1c, 0x0c}, /* to 2.23 */
};

/* n_mmaps, n_mmaps_max, max_n_mmaps, no_dyn_threshold; mmapped_mem and its maximum. */
static bool agrees(struct glibc *g, uint64_t at, const struct par_shape *shape, bool changed)
{
	uint32_t nr, max, most, fixed;
	uint64_t mapped, mapped_most;

	if (!scatter_int(g->memory, at - shape->counters, &nr) ||
	    !scatter_int(g->memory, at - shape->counters + 4, &max) ||
	    !scatter_int(g->memory, at - shape->counters + 8, &most) ||
	    !scatter_int(g->memory, at - shape->counters + 12, &fixed) ||
	    !scatter_word(g->memory, at - shape->mapped, &mapped) ||
	    !scatter_word(g->memory, at - shape->mapped + g->word, &mapped_most))
		return false;
	/* Whoever changes the limit also fixes the threshold. */
	if (fixed > 1 || (changed ? fixed != 1 : max != MMAPS_MAX_DEFAULT))
		return false;
	if (most > UINT32_MAX - COUNTERS_AHEAD || nr > most + COUNTERS_AHEAD ||
	    mapped % GLIBC_PAGE || mapped_most % GLIBC_PAGE)
		return false;
	g->par.mmaps = nr;
	g->par.mmapped_bytes = mapped;
	return true;
}

/* The fields of the thread caches, behind sbrk_base since 2.26. */
static void read_cache_fields(struct glibc *g)
{
	uint64_t bins, bytes, count;

	if (!scatter_word(g->memory, g->par.addr + g->word, &bins) ||
	    !scatter_word(g->memory, g->par.addr + 2 * g->word, &bytes) ||
	    !scatter_word(g->memory, g->par.addr + 3 * g->word, &count))
		return;
	g->par.has_tcache = bins >= 1 && bins <= 64 && bytes >= g->word &&
			    bytes <= CACHE_BYTES_MAX && count <= UINT16_MAX;
	g->par.tcache_count = count;
}

static bool try_at(struct glibc *g, uint64_t at, bool changed)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		if (shapes[i].word != g->word || !agrees(g, at, &shapes[i], changed))
			continue;
		g->par.known = true;
		g->par.addr = at;
		read_cache_fields(g);
		return true;
	}
	return false;
}

/* Could the main arena begin there? A chunk with a predecessor in use, of some size. */
static bool could_begin(struct glibc *g, uint64_t start)
{
	uint64_t size;

	if (start == 0 || start % g->word)
		return start == 0;
	return scatter_word(g->memory, glibc_first_chunk(g, start) + g->word, &size) &&
	       (size & CHUNK_FLAGS) == CHUNK_PREV_INUSE && size > glibc_min_size(g);
}

/* Where the main arena began, if its memory is in one piece; 0 unknown. */
static uint64_t contiguous_start(struct glibc *g)
{
	const struct glibc_arena *a = &g->arenas[0];
	uint64_t size;

	if (!a->contiguous || a->system_mem == 0 ||
	    !scatter_word(g->memory, a->top + g->word, &size))
		return 0;
	size &= ~(uint64_t)CHUNK_FLAGS;
	if (a->top + size < a->system_mem)
		return 0;
	return a->top + size - a->system_mem;
}

/* start: what sbrk_base must be; ANY, or 0 as well. */
static bool search(struct glibc *g, uint64_t start, bool changed)
{
	bool exact = start != ANY && start != ANY_OR_NONE;

	for (uint64_t at = g->data_start + 10 * g->word; at + 4 * g->word <= g->data_end;
	     at += g->word) {
		uint64_t value;

		if (!scatter_word(g->memory, at, &value) || (exact && value != start) ||
		    (start == ANY && value == 0))
			continue;
		if (try_at(g, at, changed) && (exact || could_begin(g, value))) {
			g->par.sbrk_base = value;
			return true;
		}
		g->par = (struct glibc_par){.known = false};
	}
	return false;
}

void glibc_find_par(struct glibc *g)
{
	uint64_t start = contiguous_start(g);

	if (start && (search(g, start, false) || search(g, start, true)))
		return;
	/* Nothing may stand there, but many words of nothing are no sign. */
	if (!search(g, ANY, false))
		search(g, ANY_OR_NONE, false);
}
