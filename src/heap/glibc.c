/* glibc's malloc as an allocator of the registry: its heaps, and what a block's header says. */
#include "heap/glibc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "heap/dynsym.h"

#define MEMORY_LINES 1024 /* pages kept of what is read here and there */

static void free_state(void *state)
{
	struct glibc_state *s = state;

	for (size_t i = 0; i < s->nr; i++) {
		struct glibc *g = &s->libs[i];

		for (size_t k = 0; k < g->nr_arenas; k++) {
			for (size_t n = 0; n < g->arenas[k].nr_pieces; n++)
				free(g->arenas[k].pieces[n].fast);
			free(g->arenas[k].pieces);
		}
		free(g->arenas);
		free(g->caches);
	}
	free(s->libs);
	free(s->direct);
	free(s->marks);
	free(s->names);
	scatter_release(&s->memory);
	free(s);
}

/* The ring begins with the newest arena: counted from its end, an arena keeps its number. */
static void name_heap(struct heap *heap, const struct glibc *g, size_t arena, size_t lib)
{
	char of[32] = "";

	if (lib)
		snprintf(of, sizeof(of), " of libc %zu", lib + 1);
	if (arena == 0)
		snprintf(heap->name, sizeof(heap->name), "main%s", of);
	else
		snprintf(heap->name, sizeof(heap->name), "arena %zu%s", g->nr_arenas - arena, of);
}

static void add_arena(struct heaps *h, struct glibc_state *s, size_t lib, size_t arena)
{
	struct glibc *g = &s->libs[lib];
	struct glibc_arena *a = &g->arenas[arena];
	struct heap *heap;

	/* malloc_state: what comes before bins, 254 words of bins, 16 bytes of binmap, 5 words. */
	if (a->is_main)
		heaps_add_own(h, a->addr,
			      a->bins + (254 + 5) * target_word_bytes(heaps_target(h)) + 16);
	if (a->system_mem == 0 && !a->nr_pieces && !a->fault[0])
		return;
	heap = heaps_add(h, &heap_glibc, a->is_main ? HEAP_MAIN : HEAP_ARENA, &a->heap);
	heap->addr = a->addr;
	name_heap(heap, g, arena, lib);
	if (a->nr_pieces)
		heap->flags |= HEAP_HAS_BLOCKS;
	if (a->locked)
		heap->flags |= HEAP_LOCKED;
	for (size_t i = 0; i < a->nr_pieces; i++)
		heap_add_span(heap, a->heap, a->pieces[i].start, a->pieces[i].committed_end,
			      a->pieces[i].reserved_end);
	if (a->fault[0]) {
		heap->flags |= HEAP_SUSPECT;
		heap->fault_addr = a->fault_addr;
		memcpy(heap->fault, a->fault, sizeof(heap->fault));
	}
}

static void add_direct(struct heaps *h, struct glibc_state *s)
{
	struct heap *heap;
	uint64_t wanted = 0;

	for (size_t i = 0; i < s->nr; i++)
		wanted += s->libs[i].par.mmaps;
	if (wanted == 0)
		return;
	heap = heaps_add(h, &heap_glibc, HEAP_DIRECT, &s->direct_heap);
	heap->addr = s->libs[0].par.addr;
	heap->flags |= HEAP_HAS_BLOCKS;
	snprintf(heap->name, sizeof(heap->name), "mapped");
	for (size_t i = 0; i < s->nr_direct; i++)
		heap_add_span(heap, s->direct_heap, s->direct[i].base,
			      s->direct[i].base + s->direct[i].total,
			      s->direct[i].base + s->direct[i].total);
}

static bool exports_malloc(struct glibc_state *s, struct target *t, const struct target_module *m)
{
	struct dynsym d;
	uint64_t addr;

	return dynsym_open(&d, &s->memory, target_word_bytes(t), m) &&
	       dynsym_find(&d, "malloc", &addr, NULL);
}

/* The loader has a malloc for itself (up to 2.30). */
static bool is_loader(const struct target_module *m)
{
	const char *slash = strrchr(m->path, '/');

	return strncmp(slash ? slash + 1 : m->path, "ld", 2) == 0;
}

/* Is this module's malloc the one that the program calls, as far as can be seen? */
static bool serves_malloc(struct glibc_state *s, struct target *t, const struct target_module *own)
{
	size_t nr;
	const struct target_module *modules = target_modules(t, &nr);

	for (size_t i = 0; i < nr; i++)
		if (&modules[i] != own && !is_loader(&modules[i]) &&
		    exports_malloc(s, t, &modules[i]))
			return false;
	return own != NULL;
}

/* No arena has memory, and nobody else serves the program: it has not allocated yet. */
static void find_idle(struct heaps *h, struct glibc_state *s)
{
	const struct target_module *own = s->nr ? s->libs[0].module : s->unused;

	if (heaps_nr(h) == 0 && s->nr <= 1 && serves_malloc(s, heaps_target(h), own))
		heaps_set_idle(h, heap_glibc.allocator);
}

static int find(struct heaps *h, void **ret_state, struct error *e)
{
	struct target *t = heaps_target(h);
	struct glibc_state *s;

	(void)e;
	if (target_word_bytes(t) != 4 && target_word_bytes(t) != 8)
		return 0;
	s = mem_alloc(sizeof(*s));
	s->direct_heap = HEAP_ALL;
	scatter_init(&s->memory, t, MEMORY_LINES);
	glibc_find_libs(s, t);
	if (s->nr == 0) {
		find_idle(h, s);
		free_state(s);
		return 0;
	}
	for (size_t i = 0; i < s->nr; i++) {
		glibc_find_par(&s->libs[i]);
		glibc_find_pieces(&s->libs[i]);
	}
	glibc_find_direct(s, t);
	for (size_t i = 0; i < s->nr; i++) {
		const struct glibc *g = &s->libs[i];

		if (g->par.known)
			heaps_add_own(h, g->par.addr, g->par.addr + g->word);
		for (size_t k = 0; k < g->nr_arenas; k++)
			add_arena(h, s, i, k);
	}
	add_direct(h, s);
	glibc_find_threads(s, h);
	find_idle(h, s);
	*ret_state = s;
	return 0;
}

/* Books of all heaps together: what the caches' counters say and what is in their lists. */
static void finish(struct walk *w, void *state)
{
	const struct glibc_state *s = state;

	if (s->cache_counted == s->cache_listed || s->threads_inside == 0)
		walk_verdict(w, "blocks in thread caches by their counters = in their lists",
			     HEAP_ALL, s->cache_counted, s->cache_listed);
}

static void describe_links(struct glibc_state *s, const struct glibc *g, uint64_t chunk,
			   struct str *out)
{
	uint64_t fd, bk;

	if (scatter_word(&s->memory, chunk + 2 * g->word, &fd) &&
	    scatter_word(&s->memory, chunk + 3 * g->word, &bk))
		str_printf(out, "next free 0x%llx, previous free 0x%llx\n", (unsigned long long)fd,
			   (unsigned long long)bk);
}

static void describe(struct heaps *h, void *state, const struct heap_block *b, struct str *out)
{
	struct glibc_state *s = state;
	const struct glibc *g = &s->libs[0];
	uint64_t chunk = b->addr - 2 * g->word, prev, head;

	(void)h;
	if (b->state == BLOCK_OVERHEAD || !scatter_word(&s->memory, chunk, &prev) ||
	    !scatter_word(&s->memory, chunk + g->word, &head))
		return;
	str_printf(out, "chunk 0x%llx, size 0x%llx\n", (unsigned long long)chunk,
		   (unsigned long long)(head & ~(uint64_t)CHUNK_FLAGS));
	str_printf(out, "flags%s%s%s%s\n", head & CHUNK_PREV_INUSE ? " PREV_INUSE" : "",
		   head & CHUNK_IS_MMAPPED ? " IS_MMAPPED" : "",
		   head & CHUNK_NON_MAIN ? " NON_MAIN_ARENA" : "",
		   head & CHUNK_FLAGS ? "" : " none");
	if (head & CHUNK_IS_MMAPPED)
		str_printf(out, "mapping begins 0x%llx bytes before\n",
			   (unsigned long long)(prev & ~(g->direct_full ? 1ull : 0ull)));
	else if (!(head & CHUNK_PREV_INUSE))
		str_printf(out, "previous chunk is free, size 0x%llx\n", (unsigned long long)prev);
	if (b->state == BLOCK_FREE)
		describe_links(s, g, chunk, out);
	if (b->state == BLOCK_CACHED && b->tid)
		str_printf(out, "in the cache of thread %d\n", (int)b->tid);
	else if (b->state == BLOCK_CACHED)
		str_add(out, "in a fast list\n");
}

const struct heap_ops heap_glibc = {
	.allocator = "glibc",
	.find = find,
	.walk = glibc_walk,
	.finish = finish,
	.describe = describe,
	.in_hand = glibc_in_hand,
	.free_state = free_state,
};
