/*
 * Where the memory of glibc's arenas is.
 *
 * The main arena: one run that brk() made, from top + size of top - system_mem on; or, where brk
 * could not be used, pieces in anonymous memory that are recognised by their chain of chunks, which
 * ends in top or in two fence posts at the end of a page. Other arenas: heaps that begin with a
 * heap_info { arena, previous heap, size, writable size }, aligned to their greatest size.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "heap/glibc_chunks.h"

#define HEAP_MAX_LEAST_BITS 16
#define HEAP_MAX_MOST_BITS 35
#define HEADER_MAX 0x60 /* of heap_info */

/* End of the memory without a gap from addr on, all of it with these rights. */
static uint64_t run_end(const struct maps *maps, uint64_t addr, unsigned int prot)
{
	const struct map *m = maps_find(maps, addr);
	uint64_t end = addr;

	for (; m && m < maps->items + maps->nr && m->start <= end && (m->prot & prot) == prot; m++)
		end = m->end;
	return end;
}

static int compare_pieces(const void *a, const void *b)
{
	const struct glibc_piece *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void sort_pieces(struct glibc_arena *a)
{
	if (a->nr_pieces)
		qsort(a->pieces, a->nr_pieces, sizeof(*a->pieces), compare_pieces);
}

/* One heap of an arena; false: it is none. */
static bool read_heap(struct glibc *g, struct glibc_arena *a, uint64_t at, uint64_t most,
		      struct glibc_piece *ret, uint64_t *ret_prev)
{
	const struct maps *maps = target_maps(g->target);
	uint64_t info[4], header = a->addr & (GLIBC_PAGE - 1);

	for (unsigned int i = 0; i < 4; i++)
		if (!scatter_word(g->memory, at + i * g->word, &info[i]))
			return false;
	if (info[0] != a->addr || info[2] > info[3] || info[3] > most || info[2] <= header)
		return false;
	*ret = (struct glibc_piece){.start = at, .first = at + header, .end = at + info[2]};
	if (at == a->addr - header)
		ret->first = glibc_first_chunk(g, a->bins + 2ull * GLIBC_BINS * g->word + 16 +
							  (g->has_attached ? 5 : 4) * g->word);
	ret->committed_end = run_end(maps, at, MAP_READ | MAP_WRITE);
	if (ret->committed_end > at + info[3])
		ret->committed_end = at + info[3];
	if (ret->end > ret->committed_end || ret->first >= ret->end)
		return false;
	ret->reserved_end = run_end(maps, at, 0);
	if (ret->reserved_end > at + most)
		ret->reserved_end = at + most;
	*ret_prev = info[1];
	return true;
}

/* All heaps of an arena, if they are `most` bytes at most. 2: and their sizes add up. */
static int read_heaps(struct glibc *g, struct glibc_arena *a, uint64_t most)
{
	uint64_t header = a->addr & (GLIBC_PAGE - 1), first = a->addr - header;
	uint64_t at = a->top & ~(most - 1), sum = 0;

	a->nr_pieces = 0;
	if (header < 4 * g->word || header > HEADER_MAX || first & (most - 1))
		return 0;
	for (size_t i = 0; i < GLIBC_ARENAS_MAX; i++) {
		struct glibc_piece piece;
		uint64_t prev;

		if (!read_heap(g, a, at, most, &piece, &prev))
			break;
		ARRAY_PUSH(a->pieces, a->nr_pieces, a->cap_pieces, piece);
		sum += piece.end - piece.start;
		if (at == first)
			return sum == a->system_mem ? 2 : 1;
		if (prev == 0 || prev == at || prev & (most - 1))
			break;
		at = prev;
	}
	a->nr_pieces = 0;
	return 0;
}

static size_t read_all_heaps(struct glibc *g, uint64_t most)
{
	size_t score = 0;

	for (size_t i = 1; i < g->nr_arenas; i++)
		score += (size_t)read_heaps(g, &g->arenas[i], most);
	return score;
}

/* The greatest size of a heap: the usual one, or the one that fits the most arenas. */
static void find_heaps(struct glibc *g)
{
	uint64_t best = g->word == 8 ? 64ull << 20 : 1ull << 20;
	size_t most = read_all_heaps(g, best), whole = 2 * (g->nr_arenas - 1);

	for (unsigned int bits = HEAP_MAX_LEAST_BITS; bits <= HEAP_MAX_MOST_BITS; bits++) {
		size_t score;

		if (most == whole)
			break;
		if (bits >= 8 * g->word)
			break;
		score = read_all_heaps(g, 1ull << bits);
		if (score > most) {
			most = score;
			best = 1ull << bits;
		}
	}
	g->heap_max = best;
	read_all_heaps(g, best);
	for (size_t i = 1; i < g->nr_arenas; i++) {
		struct glibc_arena *a = &g->arenas[i];

		sort_pieces(a);
		if (a->nr_pieces == 0)
			glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), a->addr,
				    "the heaps of the arena cannot be followed from its top");
	}
}

/* A chain of chunks from first on that ends as a piece of the main arena does; 0: none. */
static uint64_t chain_end(struct glibc *g, struct window *w, uint64_t first, uint64_t limit)
{
	uint64_t at = first, size, fences = 0, top = g->arenas[0].top;

	while (at < limit && limit - at >= 2 * g->word) {
		if (!window_word(w, at + g->word, &size) ||
		    (size & (CHUNK_IS_MMAPPED | CHUNK_NON_MAIN)))
			break;
		size &= ~(uint64_t)CHUNK_FLAGS;
		if (size == 2 * g->word) {
			fences++;
			at += size;
			continue;
		}
		if (fences >= 2 || size < glibc_min_size(g) || size > limit - at ||
		    (size % g->align && at != top))
			break;
		fences = 0;
		at += size;
		if (at - size == top)
			return at;
	}
	return fences >= 2 && glibc_align_up(at, GLIBC_PAGE) - at < g->align
		       ? glibc_align_up(at, GLIBC_PAGE)
		       : 0;
}

static bool try_piece(struct glibc *g, struct window *w, uint64_t start, uint64_t limit,
		      uint64_t *ret_end)
{
	struct glibc_arena *a = &g->arenas[0];
	uint64_t first = glibc_first_chunk(g, start), size, end;

	if (!window_word(w, first + g->word, &size) || (size & CHUNK_FLAGS) != CHUNK_PREV_INUSE ||
	    size < glibc_min_size(g))
		return false;
	end = chain_end(g, w, first, limit);
	if (end == 0 || end - start > a->system_mem)
		return false;
	ARRAY_PUSH(a->pieces, a->nr_pieces, a->cap_pieces,
		   ((struct glibc_piece){.start = start,
					 .first = first,
					 .end = end,
					 .committed_end = end,
					 .reserved_end = end}));
	*ret_end = end;
	return true;
}

/*
 * The part that brk() made, though it could not make all: up to the last fence posts. Other
 * people's brk() may lie inside.
 */
static uint64_t try_brk(struct glibc *g, struct window *w, uint64_t limit)
{
	struct glibc_arena *a = &g->arenas[0];
	uint64_t start = g->par.sbrk_base;
	struct glibc_piece piece = {
		.start = start, .first = glibc_first_chunk(g, start), .end = limit};
	struct chunk_walk cw;
	struct chunk c;
	uint64_t last = 0;

	chunk_walk_init(&cw, g, a, &piece, w);
	while (chunk_next(&cw, &c)) {
		if (c.kind == CHUNK_FENCE && cw.fences >= 2)
			last = glibc_align_up(cw.at, GLIBC_PAGE);
		else if (c.kind == CHUNK_TOP)
			last = cw.at;
	}
	if (last == 0 || last > limit || last - start > a->system_mem)
		return 0;
	piece.end = piece.committed_end = piece.reserved_end = last;
	ARRAY_PUSH(a->pieces, a->nr_pieces, a->cap_pieces, piece);
	return last;
}

static bool is_brk(const struct map *m)
{
	return strcmp(m->path, "[heap]") == 0;
}

static bool may_hold_pieces(const struct map *m)
{
	const unsigned int wanted = MAP_READ | MAP_WRITE;

	if ((m->prot & wanted) != wanted || (m->prot & MAP_IS_SHARED))
		return false;
	return m->path[0] == '\0' || is_brk(m) || strncmp(m->path, "[anon:", 6) == 0 ||
	       strncmp(m->path, "/anon_hugepage", 14) == 0;
}

/* Pieces of the main arena in a run of memory; the sum of their sizes so far. */
static uint64_t scan_run(struct glibc *g, uint64_t start, uint64_t limit, uint64_t sum)
{
	struct glibc_arena *a = &g->arenas[0];
	struct window w;
	uint64_t at = start, base = g->par.sbrk_base;
	const struct map *m = maps_find(target_maps(g->target), start);

	window_init(&w, g->target, 0);
	if (m && is_brk(m) && g->par.known && base >= start && base < m->end) {
		uint64_t end = try_brk(g, &w, m->end);

		if (end) {
			sum += end - base;
			at = glibc_align_up(end, GLIBC_PAGE);
		}
	}
	w.limit = limit;
	window_forget(&w);
	while (at < limit && sum < a->system_mem) {
		const struct glibc_piece *other = glibc_piece_of(g, at, NULL);
		uint64_t end;

		if (other) {
			at = glibc_align_up(other->committed_end, GLIBC_PAGE);
			continue;
		}
		/* Without address randomisation brk begins anywhere. */
		if (g->par.known && base > at && base < at + GLIBC_PAGE &&
		    try_piece(g, &w, base, limit, &end)) {
			sum += end - base;
			at = end;
		} else if (try_piece(g, &w, at, limit, &end)) {
			sum += end - at;
			at = end;
		} else {
			at += GLIBC_PAGE;
		}
	}
	window_release(&w);
	return sum;
}

static void find_scattered(struct glibc *g)
{
	struct glibc_arena *a = &g->arenas[0];
	const struct maps *maps = target_maps(g->target);
	uint64_t sum = 0;

	for (size_t i = 0; i < maps->nr && sum < a->system_mem; i++) {
		const struct map *m = &maps->items[i];

		if (!may_hold_pieces(m) || (i && m[-1].end == m->start && may_hold_pieces(&m[-1])))
			continue;
		sum = scan_run(g, m->start, run_end(maps, m->start, MAP_READ | MAP_WRITE), sum);
	}
	sort_pieces(a);
	if (sum != a->system_mem)
		glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), a->addr,
			    "%llu bytes of the main arena cannot be found",
			    (unsigned long long)(a->system_mem > sum ? a->system_mem - sum : 0));
}

/* The run that brk made; false: it is not where the books say. */
static bool find_contiguous(struct glibc *g)
{
	struct glibc_arena *a = &g->arenas[0];
	const struct maps *maps = target_maps(g->target);
	struct glibc_piece piece = {0};
	uint64_t size;

	if (!scatter_word(g->memory, a->top + g->word, &size))
		return false;
	size &= ~(uint64_t)CHUNK_FLAGS;
	if (size > UINT64_MAX - a->top || a->top + size < a->system_mem)
		return false;
	piece.start = a->top + size - a->system_mem;
	piece.first = glibc_first_chunk(g, piece.start);
	piece.end = piece.committed_end = piece.reserved_end = a->top + size;
	if (piece.first > a->top || run_end(maps, piece.start, MAP_READ | MAP_WRITE) < piece.end)
		return false;
	ARRAY_PUSH(a->pieces, a->nr_pieces, a->cap_pieces, piece);
	return true;
}

/* The chunk that ends where the memory does, if a chain of chunks leads there; 0: none. */
static uint64_t last_chunk(struct glibc *g, const struct glibc_piece *piece)
{
	uint64_t at = piece->first, size, found = 0;
	struct window w;

	window_init(&w, g->target, 0);
	w.limit = piece->end;
	while (!found && at < piece->end && window_word(&w, at + g->word, &size)) {
		size &= ~(uint64_t)CHUNK_FLAGS;
		if (size < glibc_min_size(g) || size > piece->end - at)
			break;
		if (size == piece->end - at)
			found = at;
		at += size;
	}
	window_release(&w);
	return found;
}

/* Where the run from `start` on ends, by top or by the arena's size, whichever can be. */
static uint64_t run_by_books(struct glibc *g, uint64_t start, uint64_t limit)
{
	const struct glibc_arena *a = &g->arenas[0];
	uint64_t size;

	if (a->top > start && a->top < limit && scatter_word(g->memory, a->top + g->word, &size)) {
		size &= ~(uint64_t)CHUNK_FLAGS;
		if (size >= glibc_min_size(g) && size <= limit - a->top)
			return a->top + size;
	}
	return a->system_mem >= GLIBC_PAGE && a->system_mem <= limit - start ? start + a->system_mem
									     : limit;
}

/* The run that brk made, though the arena's top or size is not what it must be. */
static bool find_from_base(struct glibc *g)
{
	struct glibc_arena *a = &g->arenas[0];
	uint64_t start = g->par.sbrk_base, last;
	const struct map *m = start ? maps_find(target_maps(g->target), start) : NULL;
	struct glibc_piece piece = {.start = start};

	if (!g->par.known || !m || !is_brk(m))
		return false;
	piece.first = glibc_first_chunk(g, start);
	piece.end = run_by_books(g, start,
				 run_end(target_maps(g->target), start, MAP_READ | MAP_WRITE));
	piece.committed_end = piece.reserved_end = piece.end;
	last = last_chunk(g, &piece);
	if (!last)
		return false;
	if (last != a->top)
		glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), a->bins - 2 * g->word,
			    "glibc's main arena is damaged: top is 0x%llx, the last chunk 0x%llx",
			    (unsigned long long)a->top, (unsigned long long)last);
	else
		glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), a->addr,
			    "glibc's main arena is damaged: it says it has %llu bytes, not %llu",
			    (unsigned long long)a->system_mem,
			    (unsigned long long)(piece.end - start));
	a->top = last;
	ARRAY_PUSH(a->pieces, a->nr_pieces, a->cap_pieces, piece);
	return true;
}

void glibc_find_pieces(struct glibc *g)
{
	struct glibc_arena *a = &g->arenas[0];
	bool unused = a->top == 0 || a->top == a->bins - 2 * g->word;

	find_heaps(g);
	if (a->system_mem == 0 && unused)
		return;
	if (a->contiguous && ((a->system_mem && find_contiguous(g)) || find_from_base(g)))
		return;
	find_scattered(g);
}

struct glibc_piece *glibc_piece_of(const struct glibc *g, uint64_t addr,
				   struct glibc_arena **ret_arena)
{
	for (size_t i = 0; i < g->nr_arenas; i++) {
		struct glibc_arena *a = &g->arenas[i];
		size_t low = 0, high = a->nr_pieces;

		while (low < high) {
			size_t middle = low + (high - low) / 2;

			if (a->pieces[middle].start <= addr)
				low = middle + 1;
			else
				high = middle;
		}
		if (low == 0 || addr >= a->pieces[low - 1].committed_end)
			continue;
		if (ret_arena)
			*ret_arena = a;
		return &a->pieces[low - 1];
	}
	return NULL;
}
