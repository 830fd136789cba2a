/* jemalloc 5.x: its heaps are its arenas; see jemalloc.h. */
#include "heap/jemalloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "target/target.h"

#define SAMPLES 512
#define LINES 1024 /* pages of the target that are kept */

struct je_state_of {
	struct je_instance items[JE_INSTANCES_MAX];
	size_t nr;
	struct scatter memory;
};

/* One walk over one arena. */
struct je_walk {
	struct walk *w;
	struct je_instance *in;
	struct scatter *memory;
	size_t heap, next_cached, next_internal;
	uint64_t free_counted, free_by_bitmap;
	uint64_t cached, cached_busy;
	uint64_t nr_busy;
};

/* A heap for each arena that has anything, in the order of their numbers. */
static void add_heaps(struct je_instance *in, struct heaps *h)
{
	bool used[JE_ARENA_NONE + 1] = {false};

	for (size_t i = 0; i < in->nr_pieces; i++)
		used[in->pieces[i].arena & JE_ARENA_NONE] = true;
	for (uint32_t index = 0; index <= JE_ARENA_NONE; index++) {
		struct je_arena a = {.index = index};
		struct heap *heap;

		if (!used[index])
			continue;
		heap = heaps_add(h, &heap_jemalloc, index ? HEAP_ARENA : HEAP_MAIN, &a.heap);
		heap->flags = HEAP_HAS_BLOCKS;
		snprintf(heap->name, sizeof(heap->name), "arena %u", index);
		ARRAY_PUSH(in->arenas, in->nr_arenas, in->cap_arenas, a);
	}
}

static size_t heap_of(const struct je_instance *in, uint32_t arena)
{
	size_t i = 0;

	while (in->arenas[i].index != arena)
		i++;
	return in->arenas[i].heap;
}

static bool joins(const struct heap *heap, const struct je_piece *piece)
{
	const struct heap_span *last = heap->nr_spans ? &heap->spans[heap->nr_spans - 1] : NULL;

	return last && last->end == piece->base &&
	       (last->committed_end == last->end
			? piece->committed
			: last->committed_end == last->start && !piece->committed);
}

static void add_spans(struct je_instance *in, struct heaps *h)
{
	for (size_t i = 0; i < in->nr_pieces; i++) {
		const struct je_piece *piece = &in->pieces[i];
		uint64_t end = piece->base + piece->bytes;
		size_t index = heap_of(in, piece->arena);
		struct heap *heap = heaps_at(h, index);

		if (joins(heap, piece)) {
			struct heap_span *last = &heap->spans[heap->nr_spans - 1];

			last->committed_end = piece->committed ? end : last->committed_end;
			last->end = end;
		} else {
			heap_add_span(heap, index, piece->base,
				      piece->committed ? end : piece->base, end);
		}
	}
}

/* Is a thread inside the allocator? Not to be told where the allocator is part of the program. */
static bool is_inside(const struct target *t, const struct je_instance *in)
{
	size_t nr;
	const struct target_thread *threads = target_threads(t, &nr);

	for (size_t i = 0; i < nr; i++) {
		const struct target_module *m =
			threads[i].has_registers ? target_find_module(t, threads[i].pc) : NULL;

		if (m && !(m->flags & TARGET_MODULE_MAIN) && strcmp(m->path, in->module) == 0)
			return true;
	}
	return false;
}

static void describe_instance(struct je_instance *in, struct heaps *h, bool several)
{
	const char *slash = strrchr(in->module, '/');
	bool inside = is_inside(heaps_target(h), in);

	for (size_t i = 0; i < in->nr_arenas; i++) {
		struct heap *heap = heaps_at(h, in->arenas[i].heap);

		if (inside)
			heap->flags |= HEAP_LOCKED;
		if (several)
			snprintf(heap->name, sizeof(heap->name), "arena %u of %.24s",
				 in->arenas[i].index, slash ? slash + 1 : in->module);
		if (in->nr_caches == 0)
			snprintf(heap->fault, sizeof(heap->fault),
				 "no thread caches were found: what they keep counts as busy");
	}
}

static int je_find(struct heaps *h, void **ret_state, struct error *e)
{
	struct target *t = heaps_target(h);
	struct je_state_of *s;
	uint64_t records[SAMPLES];
	size_t found;

	(void)e;
	if (target_word_bytes(t) != 8)
		return 0;
	s = mem_alloc(sizeof(*s));
	scatter_init(&s->memory, t, LINES);
	found = je_find_roots(t, &s->memory, s->items);
	for (size_t i = 0; i < found; i++) {
		struct je_instance in = s->items[i];
		size_t nr = je_sample(&in, t, &s->memory, records, SAMPLES);

		if (je_layout_find(&in, &s->memory, records, nr))
			s->items[s->nr++] = in;
	}
	for (size_t i = 0; i < s->nr; i++) {
		je_collect(&s->items[i], t, &s->memory);
		heaps_add_own(h, s->items[i].root,
			      s->items[i].root + je_root_bytes(&s->items[i].shape));
		add_heaps(&s->items[i], h);
		add_spans(&s->items[i], h);
		je_find_cached(&s->items[i], h, &s->memory);
		describe_instance(&s->items[i], h, s->nr > 1);
	}
	*ret_state = s;
	return 0;
}

/* Is addr in a thread's cache? Addresses must be asked for in ascending order. */
static const struct je_cached *cached_at(struct je_walk *v, uint64_t addr)
{
	const struct je_instance *in = v->in;

	while (v->next_cached < in->nr_cached && in->cached[v->next_cached].addr < addr)
		v->next_cached++;
	if (v->next_cached < in->nr_cached && in->cached[v->next_cached].addr == addr)
		return &in->cached[v->next_cached];
	return NULL;
}

/* What a block is, when it is none of the program's; or NULL. Ascending, too. */
static const char *internal_at(struct je_walk *v, uint64_t addr)
{
	const struct je_instance *in = v->in;

	while (v->next_internal < in->nr_internals && in->internals[v->next_internal].addr < addr)
		v->next_internal++;
	if (v->next_internal < in->nr_internals && in->internals[v->next_internal].addr == addr)
		return in->internals[v->next_internal].what;
	return NULL;
}

/* State of a block that its extent has handed out or not. */
static void set_state(struct je_walk *v, struct heap_block *b, bool busy)
{
	const struct je_cached *cached = cached_at(v, b->addr);

	v->cached += cached != NULL;
	v->cached_busy += cached && busy;
	b->state = BLOCK_FREE;
	if (!busy)
		return;
	v->nr_busy++;
	b->state = BLOCK_BUSY;
	if (cached) {
		b->state = BLOCK_CACHED;
		b->tid = cached->tid;
		return;
	}
	b->what = internal_at(v, b->addr);
	if (b->what)
		b->state = BLOCK_INTERNAL;
}

static int emit_rest(struct je_walk *v, uint64_t start, uint64_t end, const char *what)
{
	struct heap_block b = {.addr = start,
			       .start = start,
			       .total = end - start,
			       .heap = v->heap,
			       .state = BLOCK_OVERHEAD,
			       .what = what};

	return start < end ? walk_emit(v->w, &b) : 0;
}

static int walk_slab(struct je_walk *v, const struct je_extent *x)
{
	uint64_t bits[JE_BITMAP_WORDS], size;
	unsigned int nr = je_regions(v->in, x), busy;

	if (!je_busy_read(v->in, v->memory, x, bits, &busy)) {
		walk_fault(v->w, v->heap, x->base, "a slab's size class %u cannot be", x->index);
		return emit_rest(v, x->base, x->base + x->bytes, "slab that cannot be read");
	}
	v->free_counted += x->nr_free;
	v->free_by_bitmap += nr - busy;
	size = v->in->sizes.bytes[x->index];
	for (unsigned int i = 0; i < nr; i++) {
		struct heap_block b = {.addr = x->base + i * size,
				       .size = size,
				       .start = x->base + i * size,
				       .total = size,
				       .heap = v->heap};
		int r;

		set_state(v, &b, bits[i / 64] >> (i % 64) & 1);
		r = walk_emit(v->w, &b);
		if (r)
			return r;
	}
	return emit_rest(v, x->base + nr * size, x->base + x->bytes, "end of a slab");
}

static int walk_large(struct je_walk *v, const struct je_extent *x)
{
	struct heap_block b = {.addr = x->addr,
			       .size = je_large_bytes(v->in, x),
			       .start = x->base,
			       .total = x->bytes,
			       .heap = v->heap};

	set_state(v, &b, true);
	return walk_emit(v->w, &b);
}

static int walk_free(struct je_walk *v, const struct je_extent *x)
{
	struct heap_block b = {.addr = x->base,
			       .size = x->bytes,
			       .start = x->base,
			       .total = x->bytes,
			       .heap = v->heap,
			       .state = BLOCK_FREE};

	return walk_emit(v->w, &b);
}

static int walk_piece(struct je_walk *v, const struct je_piece *piece)
{
	struct je_extent x;

	if (!piece->committed)
		return 0;
	if (piece->record == 0)
		return emit_rest(v, piece->base, piece->base + piece->bytes, "metadata");
	if (!je_extent_read(v->in, v->memory, piece->record, &x) || x.base != piece->base ||
	    x.bytes != piece->bytes) {
		walk_fault(v->w, v->heap, piece->base, "an extent changed while it was read");
		return emit_rest(v, piece->base, piece->base + piece->bytes,
				 "extent that cannot be read");
	}
	if (x.state != JE_ACTIVE)
		return walk_free(v, &x);
	return x.slab ? walk_slab(v, &x) : walk_large(v, &x);
}

static struct je_instance *instance_of(struct je_state_of *s, size_t heap, uint32_t *ret_arena)
{
	for (size_t i = 0; i < s->nr; i++) {
		for (size_t k = 0; k < s->items[i].nr_arenas; k++) {
			if (s->items[i].arenas[k].heap == heap) {
				*ret_arena = s->items[i].arenas[k].index;
				return &s->items[i];
			}
		}
	}
	return NULL;
}

/*
 * A thread may stand between the change of a slab's bitmap and that of its count, or have given
 * back blocks that its cache still names: then the figures are of a moment in between.
 */
static uint64_t in_between(const struct je_walk *v, uint64_t expected, uint64_t found)
{
	struct heaps *h = walk_heaps(v->w);
	struct heap *heap = heaps_at(h, v->heap);
	uint64_t odd = expected > found ? expected - found : found - expected;
	size_t threads;

	target_threads(heaps_target(h), &threads);
	if (odd && odd <= threads)
		heap->flags |= HEAP_LOCKED;
	return odd && (odd <= threads || heap->flags & HEAP_LOCKED) ? expected : found;
}

static int je_walk(struct walk *w, void *state, size_t i)
{
	struct je_state_of *s = state;
	uint32_t arena;
	struct je_walk v = {
		.w = w, .in = instance_of(s, i, &arena), .memory = &s->memory, .heap = i};

	if (!v.in)
		return 0;
	for (size_t k = 0; k < v.in->nr_pieces; k++) {
		int r = v.in->pieces[k].arena == arena ? walk_piece(&v, &v.in->pieces[k]) : 0;

		if (r)
			return r;
	}
	walk_verdict(w, "free regions in slabs: by their count = by their bitmap", i,
		     v.free_counted, in_between(&v, v.free_counted, v.free_by_bitmap));
	walk_verdict(w, "blocks in thread caches = of them taken from slabs", i, v.cached,
		     in_between(&v, v.cached, v.cached_busy));
	return 0;
}

static void je_finish(struct walk *w, void *state)
{
	struct je_state_of *s = state;

	for (size_t i = 0; i < s->nr; i++)
		walk_verdict(w, "entries in thread caches = blocks of their size", HEAP_ALL,
			     s->items[i].nr_cached + s->items[i].nr_cached_bad,
			     s->items[i].nr_cached);
}

static void je_describe(struct heaps *h, void *state, const struct heap_block *b, struct str *out)
{
	static const char *const states[] = {"active", "dirty", "muzzy", "retained"};
	struct je_state_of *s = state;
	uint32_t arena;
	struct je_instance *in = instance_of(s, b->heap, &arena);
	const struct je_piece *piece = in ? je_find_piece(in, b->start) : NULL;
	struct je_extent x;

	(void)h;
	if (!piece || piece->record == 0 || !je_extent_read(in, &s->memory, piece->record, &x))
		return;
	str_printf(out, "extent 0x%llx, %llu bytes, %s, record at 0x%llx\n",
		   (unsigned long long)x.base, (unsigned long long)x.bytes,
		   x.state < 4 ? states[x.state] : "changing", (unsigned long long)x.record);
	if (x.state != JE_ACTIVE)
		return;
	if (x.slab && x.index >= in->sizes.small)
		str_printf(out, "slab of size class %u, which cannot be\n", x.index);
	else if (x.slab)
		str_printf(out, "slab of %u regions of %llu bytes, %u free; this is region %llu\n",
			   je_regions(in, &x), (unsigned long long)in->sizes.bytes[x.index],
			   x.nr_free,
			   (unsigned long long)((b->start - x.base) / in->sizes.bytes[x.index]));
	else
		str_printf(out, "an extent of its own, size class %u\n", x.index);
}

static void je_free(void *state)
{
	struct je_state_of *s = state;

	for (size_t i = 0; i < s->nr; i++)
		je_instance_release(&s->items[i]);
	scatter_release(&s->memory);
	free(s);
}

const struct heap_ops heap_jemalloc = {
	.allocator = "jemalloc",
	.find = je_find,
	.walk = je_walk,
	.finish = je_finish,
	.describe = je_describe,
	.free_state = je_free,
};
