/*
 * Caches of threads that are gone. A fork copies the memory of all threads, but only one of them
 * goes on in the child: what the others had cached stays there for good, freed and never given
 * back.
 *
 * Nothing leads to these caches any more, so they are told by what they hold: a block of a cache's
 * size in which every list has as many blocks as its counter says, each of its list's size. An
 * empty one looks like any zeroed block and is not told.
 */
#include "base/mem.h"
#include "heap/dynsym.h"
#include "heap/glibc_chunks.h"

static bool is_orphan(const struct glibc_state *s, const struct glibc *g, uint64_t addr,
		      const struct glibc_cache_layout *l)
{
	for (size_t i = 0; i < g->nr_caches; i++)
		if (g->caches[i].addr == addr)
			return false;
	return l && glibc_cache_shape(g, addr, l) == 2 && glibc_cache_proven(s, g, addr, l);
}

/* A thread that makes an arena puts its cache first in there. */
static bool has_orphan_first(const struct glibc_state *s, const struct glibc *g,
			     const struct glibc_arena *a)
{
	const struct glibc_piece *piece = NULL;
	uint64_t head;

	for (size_t i = 0; i < a->nr_pieces && !piece; i++)
		if (a->addr >= a->pieces[i].start && a->addr < a->pieces[i].first)
			piece = &a->pieces[i];
	return piece && scatter_word(g->memory, piece->first + g->word, &head) &&
	       is_orphan(s, g, piece->first + 2 * g->word,
			 glibc_cache_layout(g, head & ~(uint64_t)CHUNK_FLAGS));
}

/* libc says whether there has ever been a second thread (2.32 on). */
static bool was_threaded(struct glibc_state *s, const struct glibc *g)
{
	struct dynsym d;
	uint64_t at;
	uint8_t single;

	return g->module && dynsym_open(&d, &s->memory, g->word, g->module) &&
	       dynsym_find(&d, "__libc_single_threaded", &at, NULL) &&
	       scatter_read(&s->memory, at, &single, 1) && single == 0;
}

/* To look at every block costs as much as a walk: only where threads are seen to be missing. */
static bool may_have_orphans(struct glibc_state *s, const struct glibc *g)
{
	size_t threads;

	target_threads(g->target, &threads);
	if (threads == 1 && (g->nr_arenas > 1 || was_threaded(s, g)))
		return true;
	for (size_t i = 1; i < g->nr_arenas; i++)
		if (has_orphan_first(s, g, &g->arenas[i]))
			return true;
	return false;
}

static void look_through(const struct glibc_state *s, struct glibc *g, const struct glibc_arena *a,
			 const struct glibc_piece *piece, struct window *w)
{
	struct chunk_walk cw;
	struct chunk c;

	chunk_walk_init(&cw, g, a, piece, w);
	while (chunk_next(&cw, &c)) {
		struct glibc_cache cache = {.addr = c.addr + 2 * g->word};

		if (c.kind != CHUNK_USED)
			continue;
		cache.layout = glibc_cache_layout(g, c.bytes);
		if (cache.layout && is_orphan(s, g, cache.addr, cache.layout))
			ARRAY_PUSH(g->caches, g->nr_caches, g->cap_caches, cache);
	}
}

void glibc_find_orphans(struct glibc_state *s)
{
	for (size_t i = 0; i < s->nr; i++) {
		struct glibc *g = &s->libs[i];
		struct window w;

		if (!may_have_orphans(s, g))
			continue;
		window_init(&w, g->target, 0);
		for (size_t k = 0; k < g->nr_arenas; k++)
			for (size_t n = 0; n < g->arenas[k].nr_pieces; n++)
				look_through(s, g, &g->arenas[k], &g->arenas[k].pieces[n], &w);
		window_release(&w);
	}
}
