/* musl's mallocng: all groups together are one heap, big blocks another; see musl.h. */
#include "heap/musl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "target/target.h"

#define DEPTH_MAX 8 /* groups in slots of groups; two are usual */

struct musl_state {
	struct musl musl;
	struct scatter memory;
};

struct musl_walk {
	struct walk *w;
	const struct musl *m;
	struct scatter *memory;
	size_t heap;
	size_t next_group, next_area;
	uint64_t busy, whole; /* blocks handed out; of them with a header that is right */
};

/* A group whose slots are being gone through. */
struct frame {
	const struct musl_group *g;
	unsigned int slot;
};

static void extend_span(struct heap *heap, size_t index, uint64_t start, uint64_t end)
{
	struct heap_span *last = heap->nr_spans ? &heap->spans[heap->nr_spans - 1] : NULL;

	if (last && last->end == start)
		last->end = last->committed_end = end;
	else if (!last || start >= last->end) /* not inside the last one */
		heap_add_span(heap, index, start, end, end);
}

static void add_main(struct heaps *h, struct musl *m)
{
	struct heap *heap = heaps_add(h, &heap_musl, HEAP_MAIN, &m->main_heap);
	size_t g = 0, a = 0;

	heap->flags = HEAP_HAS_BLOCKS;
	heap->addr = m->context;
	snprintf(heap->name, sizeof(heap->name), "main");
	while (g < m->nr_groups || a < m->nr_areas) {
		const struct musl_group *group = g < m->nr_groups ? &m->groups[g] : NULL;

		if (group && (a >= m->nr_areas || group->mem < m->areas[a])) {
			if (group->class != MUSL_CLASS_DIRECT)
				extend_span(heap, m->main_heap, group->mem,
					    group->mem + group->bytes);
			g++;
		} else {
			extend_span(heap, m->main_heap, m->areas[a], m->areas[a] + MUSL_AREA);
			a++;
		}
	}
}

static void add_direct(struct heaps *h, struct musl *m)
{
	struct heap *heap = NULL;

	m->direct_heap = SIZE_MAX;
	for (size_t i = 0; i < m->nr_groups; i++) {
		const struct musl_group *g = &m->groups[i];

		if (g->class != MUSL_CLASS_DIRECT)
			continue;
		if (!heap) {
			heap = heaps_add(h, &heap_musl, HEAP_DIRECT, &m->direct_heap);
			heap->flags = HEAP_HAS_BLOCKS;
			snprintf(heap->name, sizeof(heap->name), "mapped blocks");
		}
		extend_span(heap, m->direct_heap, g->mem, g->mem + g->bytes);
	}
}

static int musl_find(struct heaps *h, void **ret_state, struct error *e)
{
	struct musl_state *s = mem_alloc(sizeof(*s));

	(void)e;
	scatter_init(&s->memory, heaps_target(h), 0);
	s->musl.main_heap = s->musl.direct_heap = SIZE_MAX;
	if (musl_find_context(heaps_target(h), &s->memory, &s->musl)) {
		musl_collect(&s->musl, &s->memory);
		heaps_add_own(h, s->musl.context, s->musl.context_end);
		add_main(h, &s->musl);
		add_direct(h, &s->musl);
	}
	*ret_state = s;
	return 0;
}

static int emit_rest(struct musl_walk *v, uint64_t start, uint64_t end, const char *what)
{
	struct heap_block b = {.addr = start,
			       .start = start,
			       .total = end - start,
			       .heap = v->heap,
			       .state = BLOCK_OVERHEAD,
			       .what = what};

	return start < end ? walk_emit(v->w, &b) : 0;
}

/*
 * The lock is let go before a block's header is written, and taken after it was wiped: so a thread
 * may have one slot whose header says nothing yet, or any more.
 */
static int emit_slot(struct musl_walk *v, const struct musl_group *g, unsigned int i,
		     uint64_t start, uint64_t total)
{
	struct heap_block b = {.addr = musl_slot(g, i) + MUSL_HEADER,
			       .size = musl_stride(g) - MUSL_HEADER,
			       .start = start,
			       .total = total,
			       .heap = v->heap,
			       .state = BLOCK_FREE};

	if (!(g->free_mask >> i & 1)) {
		b.state = BLOCK_BUSY;
		v->busy++;
		v->whole += musl_block(v->memory, g, i, &b.addr, &b.size);
	}
	return walk_emit(v->w, &b);
}

static uint64_t slots_start(const struct musl_group *g)
{
	return musl_slot(g, 0);
}

static uint64_t slots_end(const struct musl_group *g)
{
	return musl_slot(g, g->nr);
}

/* A group that lies in this slot, or NULL. */
static const struct musl_group *group_in(const struct musl_walk *v, const struct musl_group *g,
					 unsigned int slot)
{
	const struct musl_group *next;
	uint64_t start = musl_slot(g, slot), room = musl_stride(g);

	if (v->next_group >= v->m->nr_groups)
		return NULL;
	next = &v->m->groups[v->next_group];
	if (next->mem < start || slots_end(next) < next->mem || slots_end(next) > start + room)
		return NULL;
	return next;
}

/* All slots of a group, and of the groups in them, ascending. */
static int walk_group(struct musl_walk *v, const struct musl_group *top)
{
	struct frame frames[DEPTH_MAX] = {{.g = top}};
	unsigned int depth = 1;
	int r = emit_rest(v, top->mem, slots_start(top), "head of a group");

	while (depth && !r) {
		struct frame *f = &frames[depth - 1];
		const struct musl_group *inner;

		if (f->slot == f->g->nr) {
			uint64_t end = slots_end(f->g);

			depth--;
			if (depth) {
				struct frame *outer = &frames[depth - 1];

				r = emit_rest(v, end, musl_slot(outer->g, outer->slot + 1),
					      "end of a group");
				outer->slot++;
			}
			continue;
		}
		inner = depth < DEPTH_MAX ? group_in(v, f->g, f->slot) : NULL;
		if (inner) {
			v->next_group++;
			frames[depth++] = (struct frame){.g = inner};
			r = emit_rest(v, musl_slot(f->g, f->slot), slots_start(inner),
				      "head of a group");
			continue;
		}
		r = emit_slot(v, f->g, f->slot, musl_slot(f->g, f->slot), musl_stride(f->g));
		f->slot++;
	}
	return r ? r : emit_rest(v, slots_end(top), top->mem + top->bytes, "end of a group");
}

static int walk_main(struct musl_walk *v)
{
	const struct musl *m = v->m;
	uint64_t reach = 0;
	int r = 0;

	while (!r && (v->next_group < m->nr_groups || v->next_area < m->nr_areas)) {
		const struct musl_group *g =
			v->next_group < m->nr_groups ? &m->groups[v->next_group] : NULL;

		if (!g || (v->next_area < m->nr_areas && m->areas[v->next_area] < g->mem)) {
			uint64_t area = m->areas[v->next_area++];

			r = emit_rest(v, area, area + MUSL_AREA, "records of groups");
			continue;
		}
		v->next_group++;
		if (g->class == MUSL_CLASS_DIRECT)
			continue;
		if (g->mem < reach) {
			walk_fault(v->w, v->heap, g->mem, "a group lies over the one before it");
			continue;
		}
		reach = g->mem + g->bytes;
		r = walk_group(v, g);
	}
	return r;
}

static int walk_direct(struct musl_walk *v)
{
	int r = 0;

	for (size_t i = 0; !r && i < v->m->nr_groups; i++) {
		const struct musl_group *g = &v->m->groups[i];

		if (g->class == MUSL_CLASS_DIRECT)
			r = emit_slot(v, g, 0, g->mem, g->bytes);
	}
	return r;
}

/* How many blocks may be in between being made and being freed: one a thread. */
static uint64_t in_between(struct musl_walk *v)
{
	uint64_t odd = v->busy - v->whole;
	size_t threads;

	target_threads(heaps_target(walk_heaps(v->w)), &threads);
	if (odd == 0 || odd > threads)
		return 0;
	heaps_at(walk_heaps(v->w), v->heap)->flags |= HEAP_LOCKED;
	return odd;
}

static void check_classes(struct musl_walk *v)
{
	uint64_t expected = 0, found = 0;

	for (unsigned int c = 0; c < MUSL_CLASSES; c++)
		expected += v->m->used_by_class[c];
	for (size_t i = 0; i < v->m->nr_groups; i++)
		if (v->m->groups[i].class < MUSL_CLASSES && v->m->groups[i].freeable)
			found += v->m->groups[i].nr;
	walk_verdict(v->w, "slots: by size class = in groups", v->heap, expected, found);
	walk_verdict(v->w, "records of groups = groups that point back", v->heap,
		     v->m->nr_groups + v->m->nr_bad, v->m->nr_groups);
}

static int musl_walk(struct walk *w, void *state, size_t i)
{
	struct musl_state *s = state;
	struct musl_walk v = {.w = w, .m = &s->musl, .memory = &s->memory, .heap = i};
	int r = i == s->musl.main_heap ? walk_main(&v) : walk_direct(&v);

	if (r)
		return r;
	walk_verdict(w, "blocks handed out = blocks with a header that fits", i, v.busy,
		     v.whole + in_between(&v));
	if (i == s->musl.main_heap)
		check_classes(&v);
	return 0;
}

/* The innermost group around addr, or NULL. */
static const struct musl_group *group_of(const struct musl *m, uint64_t addr)
{
	const struct musl_group *best = NULL;

	for (size_t i = 0; i < m->nr_groups && m->groups[i].mem <= addr; i++)
		if (addr - m->groups[i].mem < m->groups[i].bytes)
			best = &m->groups[i];
	return best;
}

static void musl_describe(struct heaps *h, void *state, const struct heap_block *b, struct str *out)
{
	struct musl_state *s = state;
	const struct musl_group *g = group_of(&s->musl, b->start + MUSL_HEADER);

	(void)h;
	if (!g)
		return;
	str_printf(out, "group 0x%llx of %u slots, record at 0x%llx\n", (unsigned long long)g->mem,
		   g->nr, (unsigned long long)g->record);
	if (g->class == MUSL_CLASS_DIRECT)
		str_printf(out, "a mapping of its own, %llu bytes\n", (unsigned long long)g->bytes);
	else if (b->start >= slots_start(g) && b->start < slots_end(g))
		str_printf(out, "slot %llu of %llu bytes, size class %u\n",
			   (unsigned long long)((b->start - slots_start(g)) / musl_stride(g)),
			   (unsigned long long)musl_stride(g), g->class);
}

static void musl_free(void *state)
{
	struct musl_state *s = state;

	free(s->musl.groups);
	free(s->musl.areas);
	scatter_release(&s->memory);
	free(s);
}

const struct heap_ops heap_musl = {
	.allocator = "musl",
	.find = musl_find,
	.walk = musl_walk,
	.describe = musl_describe,
	.free_state = musl_free,
};
