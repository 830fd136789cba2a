/*
 * Which cache and which arena a thread uses, from its thread-local memory.
 *
 * libc keeps `tcache` and `thread_arena` in TLS, at one distance from the thread pointer in all
 * threads. Words there that point to a chunk of a cache's size, or to an arena of the ring, are
 * sightings; the distance with the most convincing ones is it.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "heap/glibc.h"

#define TLS_REACH 0x2000u	     /* that libc and the loader may use */
#define TLS_MOST ((uint64_t)1 << 20) /* looked at, a thread */

#define WEIGHT_LISTS 5 /* of a cache with blocks that all fit */

struct sighting {
	int64_t offset;
	uint64_t value;
	uint32_t thread, weight;
};

struct sightings {
	struct sighting *items;
	size_t nr, cap;
};

static uint64_t reach(struct target *t)
{
	size_t nr;
	const struct target_module *modules = target_modules(t, &nr);
	uint64_t bytes = TLS_REACH;

	for (size_t i = 0; i < nr && bytes < TLS_MOST; i++)
		if (modules[i].tls_bytes < TLS_MOST)
			bytes += glibc_align_up(modules[i].tls_bytes, 64);
	return bytes < TLS_MOST ? bytes : TLS_MOST;
}

/* TLS lies behind the thread pointer on arm, in front of it on x86. */
static bool tls_follows(struct target *t)
{
	return target_machine(t) == EM_AARCH64 || target_machine(t) == EM_ARM;
}

static void see_cache(struct glibc *g, struct sightings *s, uint64_t value, struct sighting seen)
{
	const struct glibc_cache_layout *layout;
	uint64_t head;

	if (value % g->align || !glibc_piece_of(g, value, NULL) ||
	    !scatter_word(g->memory, value - g->word, &head))
		return;
	layout = glibc_cache_layout(g, head & ~(uint64_t)CHUNK_FLAGS);
	if (!layout)
		return;
	seen.value = value;
	seen.weight = 1 + 2 * (uint32_t)glibc_cache_shape(g, value, layout);
	ARRAY_PUSH(s->items, s->nr, s->cap, seen);
}

/* Index of the arena at addr in a list sorted by address, or -1. */
static int64_t arena_index(const struct sightings *arenas, uint64_t addr)
{
	size_t low = 0, high = arenas->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (arenas->items[middle].value < addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == arenas->nr || arenas->items[low].value != addr)
		return -1;
	return arenas->items[low].offset;
}

static int compare_values(const void *a, const void *b)
{
	const struct sighting *x = a, *y = b;

	return x->value < y->value ? -1 : x->value > y->value;
}

static int compare_offsets(const void *a, const void *b)
{
	const struct sighting *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static void list_arenas(const struct glibc *g, struct sightings *ret)
{
	for (size_t i = 0; i < g->nr_arenas; i++)
		ARRAY_PUSH(ret->items, ret->nr, ret->cap,
			   ((struct sighting){.offset = (int64_t)i, .value = g->arenas[i].addr}));
	qsort(ret->items, ret->nr, sizeof(*ret->items), compare_values);
}

static void look_through(struct glibc *g, const struct sightings *arenas, struct window *w,
			 uint64_t tp, uint32_t thread, struct sightings *caches,
			 struct sightings *users)
{
	bool follows = tls_follows(g->target);
	uint64_t span = reach(g->target), start = tp;

	if (!follows)
		start = tp > span ? tp - span : 0;
	start = glibc_align_up(start, g->word);
	for (uint64_t at = start; at < start + span; at += g->word) {
		struct sighting seen = {.offset = (int64_t)(at - tp), .thread = thread};
		uint64_t value;
		int64_t index;

		if (!window_word(w, at, &value)) {
			at = (at & ~(uint64_t)(GLIBC_PAGE - 1)) + GLIBC_PAGE - g->word;
			continue;
		}
		if (value < GLIBC_PAGE)
			continue;
		see_cache(g, caches, value, seen);
		index = arena_index(arenas, value);
		if (index < 0)
			continue;
		seen.value = (uint64_t)index;
		seen.weight = 1;
		ARRAY_PUSH(users->items, users->nr, users->cap, seen);
	}
}

/* Leaves only the sightings at the most convincing distance. */
static void elect(struct sightings *s)
{
	size_t best = 0, best_nr = 0, weight = 0;

	if (s->nr)
		qsort(s->items, s->nr, sizeof(*s->items), compare_offsets);
	for (size_t i = 0, k; i < s->nr; i = k) {
		size_t sum = 0;

		for (k = i; k < s->nr && s->items[k].offset == s->items[i].offset; k++)
			sum += s->items[k].weight;
		/* As good: the one nearer to the thread pointer, where libc is. */
		if (sum > weight || (sum == weight && s->items[i].offset < 0)) {
			weight = sum;
			best = i;
			best_nr = k - i;
		}
	}
	if (best_nr)
		memmove(s->items, s->items + best, best_nr * sizeof(*s->items));
	s->nr = best_nr;
}

/*
 * Where malloc's parameters know of no caches (libc_malloc_debug.so is built without), a block of a
 * cache's size that a thread points to is one by chance, unless the lists in it are right.
 */
static bool are_caches(const struct glibc *g, const struct sightings *s)
{
	if (!g->par.known || g->par.has_tcache)
		return true;
	for (size_t i = 0; i < s->nr; i++)
		if (s->items[i].weight == WEIGHT_LISTS)
			return true;
	return false;
}

static void keep_caches(struct glibc *g, const struct sightings *s,
			const struct target_thread *threads)
{
	for (size_t i = 0; i < s->nr; i++) {
		struct glibc_cache cache = {.addr = s->items[i].value,
					    .tid = threads[s->items[i].thread].tid};
		uint64_t head = 0;

		scatter_word(g->memory, cache.addr - g->word, &head);
		cache.layout = glibc_cache_layout(g, head & ~(uint64_t)CHUNK_FLAGS);
		if (cache.layout)
			ARRAY_PUSH(g->caches, g->nr_caches, g->cap_caches, cache);
	}
}

static void find_in_lib(struct glibc *g, struct heaps *h)
{
	struct sightings arenas = {0}, caches = {0}, users = {0};
	struct window w;
	size_t nr;
	const struct target_thread *threads = target_threads(g->target, &nr);

	list_arenas(g, &arenas);
	window_init(&w, g->target, TLS_REACH);
	for (size_t i = 0; i < nr; i++)
		if (threads[i].tp)
			look_through(g, &arenas, &w, threads[i].tp, (uint32_t)i, &caches, &users);
	window_release(&w);
	elect(&caches);
	elect(&users);
	if (are_caches(g, &caches))
		keep_caches(g, &caches, threads);
	for (size_t i = 0; i < users.nr; i++) {
		size_t heap = g->arenas[users.items[i].value].heap;

		if (heap != HEAP_ALL)
			heap_add_tid(heaps_at(h, heap), threads[users.items[i].thread].tid);
	}
	free(arenas.items);
	free(caches.items);
	free(users.items);
}

void glibc_find_threads(struct glibc_state *s, struct heaps *h)
{
	for (size_t i = 0; i < s->nr; i++)
		find_in_lib(&s->libs[i], h);
}
