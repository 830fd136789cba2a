/*
 * A main arena that damage hides from glibc_find.c, or that nobody has used yet.
 *
 * Each of these shows where it is, so one written over leaves the others: the list heads of bins;
 * the ring of arenas, which leads to it from every other arena, and to itself where there is no
 * other; the other arenas' heaps, which begin with a heap_info. What is found this way has a fault,
 * which says what does not fit.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "heap/glibc.h"

#define HEAP_START_BITS 16     /* that every start of a heap is aligned to at least */
#define HEADER_MAX 0x60	       /* of heap_info */
#define STARTS_MAX 65536       /* looked at for heaps */
#define ARENAS_MAX 4096	       /* taken from their heaps */
#define DATA_MAX (64ull << 20) /* of a module looked through for a ring */
#define ARENA_ALIGN 32	       /* of main_arena, as compilers place it */

/* Arenas found by their heaps; `next` is where the ring goes on. */
struct lost_arena {
	uint64_t addr, next;
	bool placed, is_followed;
};

struct lost_arenas {
	struct lost_arena *items;
	size_t nr, cap;
};

static bool is_known(const struct glibc_state *s, uint64_t addr)
{
	for (size_t i = 0; i < s->nr; i++)
		for (size_t k = 0; k < s->libs[i].nr_arenas; k++)
			if (s->libs[i].arenas[k].addr == addr)
				return true;
	return false;
}

/* Does the first heap of an arena begin at `at`, with the shape that *g has? */
static void try_heap(const struct glibc_state *s, struct glibc *g, uint64_t at,
		     struct lost_arenas *ret)
{
	uint64_t info[4], next;

	for (unsigned int i = 0; i < 4; i++)
		if (!scatter_word(g->memory, at + i * g->word, &info[i]))
			return;
	if (info[0] <= at || info[0] - at > HEADER_MAX || info[0] % g->word || info[1] ||
	    info[2] > info[3] || info[2] < GLIBC_PAGE || ret->nr >= ARENAS_MAX ||
	    is_known(s, info[0]) ||
	    glibc_count_heads(g, info[0] + g->distance) < GLIBC_BINS_ENOUGH ||
	    !scatter_word(g->memory, glibc_next_field(info[0] + g->distance, g->word), &next))
		return;
	ARRAY_PUSH(ret->items, ret->nr, ret->cap,
		   ((struct lost_arena){.addr = info[0], .next = next}));
}

static void list_arenas(const struct glibc_state *s, struct glibc *g, struct lost_arenas *ret)
{
	const struct maps *maps = target_maps(g->target);
	uint64_t usual = g->word == 8 ? 64ull << 20 : 1ull << 20, left = STARTS_MAX;

	for (size_t i = 0; i < maps->nr; i++) {
		const struct map *m = &maps->items[i];
		uint64_t at = m->start;

		if (!(m->prot & MAP_WRITE) || m->prot & MAP_IS_SHARED || m->path[0] == '/')
			continue;
		if (at % (1u << HEAP_START_BITS))
			at = glibc_align_up(at, usual);
		for (; at < m->end && left; at = glibc_align_up(at + 1, usual), left--)
			try_heap(s, g, at, ret);
	}
}

static struct lost_arena *find_arena(struct lost_arenas *l, uint64_t addr)
{
	for (size_t i = 0; i < l->nr; i++)
		if (l->items[i].addr == addr)
			return &l->items[i];
	return NULL;
}

/* The ring from `at` on, as far as it leads to arenas that were found. */
static void follow(struct glibc *g, struct lost_arenas *l, uint64_t at)
{
	for (struct lost_arena *a = find_arena(l, at); a && !a->placed;
	     a = find_arena(l, a->next)) {
		a->placed = true;
		glibc_add_arena(g, a->addr);
	}
}

/* Newest first, as the ring has them: first what main leads to, then what leads on from there. */
static void place_arenas(struct glibc *g, struct lost_arenas *l, uint64_t start)
{
	uint64_t next = 0;

	glibc_add_arena(g, start);
	if (scatter_word(g->memory, glibc_next_field(start + g->distance, g->word), &next))
		follow(g, l, next);
	for (size_t i = 0; i < l->nr; i++) {
		struct lost_arena *a = find_arena(l, l->items[i].next);

		if (a)
			a->is_followed = true;
	}
	for (int followed = 0; followed < 2; followed++)
		for (size_t i = 0; i < l->nr; i++)
			if (l->items[i].is_followed == followed)
				follow(g, l, l->items[i].addr);
}

/* What can be said against each arena of a ring, the first time that it leads elsewhere. */
static void tell_ring(struct glibc *g)
{
	for (size_t i = 0; i < g->nr_arenas; i++) {
		struct glibc_arena *a = &g->arenas[i];
		uint64_t at = glibc_next_field(a->bins, g->word), next = 0;

		scatter_word(g->memory, at, &next);
		if (next != g->arenas[i + 1 < g->nr_arenas ? i + 1 : 0].addr)
			glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), at,
				    "glibc's %sarena is damaged: the next one should be at 0x%llx",
				    i ? "" : "main ", (unsigned long long)next);
	}
}

static void tell_state(struct glibc *g)
{
	struct glibc_arena *a = &g->arenas[0];
	uint32_t mutex = 0;

	scatter_int(g->memory, a->addr, &mutex);
	if (!glibc_looks_alive(g, a->addr))
		glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), a->addr,
			    "glibc's main arena is damaged: its lock is 0x%x", mutex);
	if (glibc_count_heads(g, a->bins) < GLIBC_BINS_ENOUGH)
		glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), a->bins,
			    "glibc's main arena is damaged: its list heads lead nowhere");
	tell_ring(g);
}

/* How well an arena at `start` fits, with the shape that *g has; 0: not at all. */
static unsigned int weigh(struct glibc *g, uint64_t start, struct lost_arenas *l)
{
	uint64_t next = 0;
	unsigned int weight = 0;

	for (size_t i = 0; i < l->nr; i++)
		weight += l->items[i].next == start ? 8 : 1;
	if (scatter_word(g->memory, glibc_next_field(start + g->distance, g->word), &next) &&
	    next == start)
		weight += 8;
	if (!weight && !glibc_looks_alive(g, start))
		return 0;
	return 2 * weight + 1 + (start % ARENA_ALIGN == 0);
}

/* The shape that fits best; false: none does. */
static bool elect_shape(const struct glibc_state *s, struct glibc *g, uint64_t bins)
{
	unsigned int most = 0;
	size_t best = 0;

	for (size_t i = 0; i < GLIBC_SHAPES; i++) {
		struct lost_arenas l = {0};
		unsigned int weight;

		if (!glibc_use_shape(g, i))
			continue;
		list_arenas(s, g, &l);
		weight = weigh(g, bins - g->distance, &l);
		free(l.items);
		if (weight > most) {
			most = weight;
			best = i;
		}
	}
	return most && glibc_use_shape(g, best);
}

static void add_found(struct glibc_state *s, struct glibc *g, uint64_t start, const struct map *m)
{
	struct lost_arenas l = {0};

	list_arenas(s, g, &l);
	place_arenas(g, &l, start);
	free(l.items);
	tell_state(g);
	glibc_add_lib(s, g, m);
}

static void recover_bins(struct glibc_state *s, struct target *t, const struct glibc_lost *lost)
{
	struct glibc g = {.target = t, .memory = &s->memory, .word = target_word_bytes(t)};

	if (elect_shape(s, &g, lost->bins))
		add_found(s, &g, lost->bins - g.distance, lost->map);
}

static bool is_data(struct target *t, const struct map *m)
{
	return (m->prot & (MAP_READ | MAP_WRITE | MAP_IS_SHARED)) == (MAP_READ | MAP_WRITE) &&
	       target_find_module(t, m->start);
}

/* Where other arenas' ring leads that is in a module's data; 0: nowhere. */
static uint64_t leads_to_data(struct target *t, const struct lost_arenas *l, const struct map **ret)
{
	for (size_t i = 0; i < l->nr; i++) {
		*ret = maps_find(target_maps(t), l->items[i].next);
		if (*ret && is_data(t, *ret) && l->items[i].next % 4 == 0)
			return l->items[i].next;
	}
	return 0;
}

static bool recover_from_heaps(struct glibc_state *s, struct target *t)
{
	for (size_t i = 0; i < GLIBC_SHAPES; i++) {
		struct glibc g = {.target = t, .memory = &s->memory, .word = target_word_bytes(t)};
		struct lost_arenas l = {0};
		const struct map *m;
		uint64_t start = 0;

		if (glibc_use_shape(&g, i)) {
			list_arenas(s, &g, &l);
			start = leads_to_data(t, &l, &m);
			free(l.items);
		}
		if (start) {
			add_found(s, &g, start, m);
			return true;
		}
	}
	return false;
}

enum ring { RING_NONE, RING_UNUSED, RING_USED };

/* The word at `at` leads to where its arena would begin: is that one? */
static enum ring judge_ring(struct glibc *g, uint64_t start, uint64_t at)
{
	uint64_t value, free_next, count, bytes, most, top;
	bool zero = true;

	for (uint64_t p = start; p < at && zero; p += g->word)
		zero = scatter_word(g->memory, p, &value) && value == 0;
	if (!scatter_word(g->memory, at + g->word, &free_next) || free_next ||
	    !scatter_word(g->memory, at + 2 * g->word, &count) ||
	    !scatter_word(g->memory, at + 3 * g->word, &bytes) ||
	    !scatter_word(g->memory, at + 4 * g->word, &most))
		return RING_NONE;
	if (zero)
		return count <= 1 && bytes == 0 && most == 0 ? RING_UNUSED : RING_NONE;
	return count >= 1 && count < 65536 && bytes >= GLIBC_PAGE && most >= bytes &&
			       glibc_looks_alive(g, start) &&
			       scatter_word(g->memory, start + g->distance - 2 * g->word, &top) &&
			       maps_find(target_maps(g->target), top)
		       ? RING_USED
		       : RING_NONE;
}

/* An arena that is alone leads to itself, from the start on: it is so in the file already. */
static enum ring find_ring(struct glibc *g, const struct map *m, uint64_t *ret_start)
{
	struct window w;
	enum ring ring = RING_NONE;

	window_init(&w, g->target, 0);
	w.limit = m->end;
	for (uint64_t at = m->start; at + g->word <= m->end && at - m->start < DATA_MAX && !ring;
	     at += g->word) {
		uint64_t value;

		if (!window_word(&w, at, &value)) {
			at = (at & ~(uint64_t)(GLIBC_PAGE - 1)) + GLIBC_PAGE - g->word;
			continue;
		}
		if (value >= at || at - value > glibc_next_field(0x80, g->word))
			continue;
		for (size_t i = 0; i < GLIBC_SHAPES && !ring; i++)
			if (glibc_use_shape(g, i) &&
			    glibc_next_field(value + g->distance, g->word) == at)
				ring = judge_ring(g, value, at);
		*ret_start = value;
	}
	window_release(&w);
	return ring;
}

static void recover_ring(struct glibc_state *s, struct target *t)
{
	const struct maps *maps = target_maps(t);

	for (size_t i = 0; i < maps->nr && s->nr == 0 && !s->unused; i++) {
		struct glibc g = {.target = t, .memory = &s->memory, .word = target_word_bytes(t)};
		const struct map *m = &maps->items[i];
		uint64_t start = 0;
		enum ring ring = is_data(t, m) ? find_ring(&g, m, &start) : RING_NONE;

		if (ring == RING_UNUSED)
			s->unused = target_find_module(t, m->start);
		else if (ring == RING_USED)
			add_found(s, &g, start, m);
	}
}

void glibc_find_lost(struct glibc_state *s, struct target *t)
{
	for (size_t i = 0; i < s->nr_lost; i++)
		recover_bins(s, t, &s->lost[i]);
	if (s->nr == 0 && !recover_from_heaps(s, t))
		recover_ring(s, t);
}
