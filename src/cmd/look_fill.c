/* Fills the rows of a snapshot; see look_fill.h. */
#include "cmd/look_fill.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "heap/heap.h"
#include "model/histogram.h"
#include "model/regions.h"
#include "model/snapshot.h"
#include "target/maps.h"
#include "target/proc.h"
#include "target/process.h"
#include "target/smaps.h"
#include "target/target.h"
#include "target/thread_area.h"
#include "target/usage.h"

_Static_assert((int)SMAPS_VM_LOCKED == REGION_VM_LOCKED && (int)SMAPS_VM_HUGE == REGION_VM_HUGE &&
		       (int)SMAPS_VM_NO_HUGE == REGION_VM_NO_HUGE &&
		       (int)SMAPS_VM_NO_DUMP == REGION_VM_NO_DUMP &&
		       (int)SMAPS_VM_NO_FORK == REGION_VM_NO_FORK &&
		       (int)SMAPS_VM_WIPE_FORK == REGION_VM_WIPE_FORK &&
		       (int)SMAPS_VM_IO == REGION_VM_IO &&
		       (int)SMAPS_VM_NO_RESERVE == REGION_VM_NO_RESERVE &&
		       (int)SMAPS_VM_GROWS_DOWN == REGION_VM_GROWS_DOWN &&
		       (int)SMAPS_VM_HUGETLB == REGION_VM_HUGETLB &&
		       (int)SMAPS_VM_SEALED == REGION_VM_SEALED &&
		       (int)SMAPS_VM_USERFAULT == REGION_VM_USERFAULT,
	       "region_vm_flags are smaps_vm_flags");

/* Neighbours mostly have the same path: then it is that of the last row. */
static uint32_t path_of(struct snapshot *s, const char *path)
{
	if (s->nr_regions) {
		uint32_t last = s->regions[s->nr_regions - 1].path;

		if (strcmp(strings_get(&s->strings, last), path) == 0)
			return last;
	}
	return strings_add(&s->strings, path);
}

static struct region region_of(struct snapshot *s, const struct map *m)
{
	return (struct region){
		.start = m->start,
		.end = m->end,
		.offset = m->offset,
		.path = path_of(s, m->path),
		.prot = m->prot,
		.owner = NO_INDEX,
	};
}

static void add_plain_regions(struct snapshot *s, const struct maps *maps)
{
	for (size_t i = 0; i < maps->nr; i++) {
		struct region r = region_of(s, &maps->items[i]);

		ARRAY_PUSH(s->regions, s->nr_regions, s->cap_regions, r);
	}
}

static void add_used_region(struct snapshot *s, const struct smaps_region *from)
{
	struct region r = region_of(s, from->map);

	r.vm_flags = from->vm_flags;
	r.rss = from->rss;
	r.pss = from->pss;
	r.shared_clean = from->shared_clean;
	r.shared_dirty = from->shared_dirty;
	r.private_clean = from->private_clean;
	r.private_dirty = from->private_dirty;
	r.anonymous = from->anonymous;
	r.lazy_free = from->lazy_free;
	r.swap = from->swap;
	r.locked = from->locked;
	r.huge = from->huge;
	ARRAY_PUSH(s->regions, s->nr_regions, s->cap_regions, r);
}

void look_use_read(struct look_use *u, int32_t pid)
{
	struct usage usage;

	u->dir = proc_open(pid);
	if (u->dir < 0)
		return;
	if (!u->smaps.nr && smaps_read_at(u->dir, &u->smaps) < 0) {
		look_use_release(u);
		return;
	}
	if (usage_read_at(u->dir, 0, &usage) < 0)
		return;
	u->figures = (struct process_figures){
		.rss = usage.value[USAGE_RSS],
		.peak_rss = usage.value[USAGE_PEAK_RSS],
		.anonymous = usage.value[USAGE_ANON],
		.file = usage.value[USAGE_FILE],
		.shared_memory = usage.value[USAGE_SHMEM],
		.swap = usage.value[USAGE_SWAP],
		.page_tables = usage.value[USAGE_PAGE_TABLES],
	};
}

void look_use_release(struct look_use *u)
{
	if (u->dir >= 0)
		close(u->dir);
	smaps_release(&u->smaps);
	*u = (struct look_use){.dir = -1};
}

static void add_used_regions(struct snapshot *s, const struct look_use *use)
{
	s->figures = use->figures;
	if (use->smaps.nr > s->cap_regions) {
		free(s->regions);
		s->regions = mem_alloc_array(use->smaps.nr, sizeof(*s->regions));
		s->cap_regions = use->smaps.nr;
	}
	for (size_t i = 0; i < use->smaps.nr; i++)
		add_used_region(s, &use->smaps.items[i]);
}

static void add_threads(struct snapshot *s, struct target *t)
{
	size_t nr;
	const struct target_thread *threads = target_threads(t, &nr);

	s->nr_threads = 0;
	for (size_t i = 0; i < nr; i++) {
		struct thread_area area;

		thread_area_find(t, &threads[i], &area);
		ARRAY_PUSH(s->threads, s->nr_threads, s->cap_threads,
			   ((struct thread_info){
				   .tid = threads[i].tid,
				   .name = strings_add(&s->strings, threads[i].name),
				   .heap = NO_INDEX,
				   .sp = threads[i].sp,
				   .tp = threads[i].tp,
				   .stack_start = area.stack_start,
				   .stack_end = area.stack_end,
				   .tls_start = area.tls_start,
				   .tls_end = area.tls_end,
			   }));
	}
}

/* A region_measure. */
static bool measure(void *context, uint64_t start, uint64_t end, uint64_t *ret_resident,
		    uint64_t *ret_swapped)
{
	struct target_residency r;

	if (target_residency(context, start, end, &r) < 0)
		return false;
	*ret_resident = r.resident_bytes;
	*ret_swapped = r.swapped_bytes;
	return true;
}

static bool has_module(const struct snapshot *s, const struct target_module *m)
{
	for (size_t i = 0; i < s->nr_modules; i++) {
		const struct module *known = &s->modules[i];

		if (known->start < m->end && m->start < known->end &&
		    !(known->flags & MODULE_UNLOADED))
			return true;
	}
	return false;
}

static void add_modules(struct snapshot *s, struct target *t)
{
	size_t nr;
	const struct target_module *modules = target_modules(t, &nr);

	_Static_assert(TARGET_BUILD_ID_MAX == BUILD_ID_MAX, "one length of build-ids");
	for (size_t i = 0; i < nr; i++) {
		const struct target_module *m = &modules[i];
		struct module row = {
			.path = strings_add(&s->strings, m->path),
			.start = m->start,
			.end = m->end,
			.bias = m->bias,
			.build_id_len = m->build_id_len,
		};

		if (has_module(s, m))
			continue;
		memcpy(row.build_id, m->build_id, sizeof(row.build_id));
		if (m->flags & TARGET_MODULE_MAIN)
			row.flags |= MODULE_MAIN;
		if (m->flags & TARGET_MODULE_DELETED)
			row.flags |= MODULE_REPLACED;
		ARRAY_PUSH(s->modules, s->nr_modules, s->cap_modules, row);
	}
}

void look_fill_process(struct snapshot *s, struct target *t, const struct look_use *use)
{
	s->nr_regions = 0;
	s->has_region_use = use && use->smaps.nr &&
			    process_check_at(use->dir, target_process(t)->start_ticks) == 0;
	if (s->has_region_use)
		add_used_regions(s, use);
	else
		add_plain_regions(s, target_maps(t));
	add_threads(s, t);
	add_modules(s, t);
	regions_split(s, measure, t);
	s->method = strings_add(&s->strings, target_kind_name(target_how(t)->kind));
	s->pause_ns = target_how(t)->pause_ns;
}

static void add_heap(struct snapshot *s, const struct heap *h)
{
	struct heap_row row = {
		.addr = h->addr,
		.allocator = strings_add(&s->strings, h->allocator),
		.name = strings_add(&s->strings, h->name),
		.fault = strings_add(&s->strings, h->fault),
		.fault_addr = h->fault_addr,
		.parent = h->parent == SIZE_MAX ? NO_INDEX : (uint32_t)h->parent,
		.kind = (uint8_t)h->kind,
		.flags = (uint8_t)h->flags,
		.figures = h->figures,
	};

	for (size_t i = 0; i < h->nr_spans; i++) {
		struct heap_span span = h->spans[i];

		span.heap = (uint32_t)s->nr_heaps;
		ARRAY_PUSH(s->spans, s->nr_spans, s->cap_spans, span);
	}
	for (size_t i = 0; i < h->nr_tids; i++) {
		for (size_t k = 0; k < s->nr_threads; k++) {
			if (s->threads[k].tid == h->tids[i])
				s->threads[k].heap = (uint32_t)s->nr_heaps;
		}
	}
	ARRAY_PUSH(s->heaps, s->nr_heaps, s->cap_heaps, row);
}

static void add_checks(struct snapshot *s, const struct heaps *h)
{
	size_t nr;
	const struct heap_verdict *verdicts = heaps_verdicts(h, &nr);

	for (size_t i = 0; i < nr; i++) {
		const struct heap_verdict *v = &verdicts[i];

		ARRAY_PUSH(s->checks, s->nr_checks, s->cap_checks,
			   ((struct heap_check){
				   .what = strings_add(&s->strings, v->what),
				   .heap = v->heap == HEAP_ALL ? NO_INDEX : (uint32_t)v->heap,
				   .expected = v->expected,
				   .found = v->found,
			   }));
	}
}

/* What the visitor needs; known: the blocks that were there before, ascending. */
struct gather {
	struct snapshot *s;
	size_t nr_known;
	bool with_blocks;
	struct histogram *sizes; /* NULL: not wanted */
};

static struct block *find_known(struct gather *g, uint64_t addr)
{
	size_t low = 0, high = g->nr_known;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (g->s->blocks[middle].addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < g->nr_known && g->s->blocks[low].addr == addr)
		return &g->s->blocks[low];
	return NULL;
}

static int gather_block(void *context, const struct heap_block *b)
{
	struct gather *g = context;
	struct snapshot *s = g->s;
	struct block *known;

	if (b->state != BLOCK_BUSY && b->state != BLOCK_INTERNAL)
		return 0;
	if (g->sizes && b->state == BLOCK_BUSY)
		histogram_add(g->sizes, (uint32_t)b->heap, b->size);
	if (!g->with_blocks)
		return 0;
	known = find_known(g, b->addr);
	if (known) {
		known->heap = (uint32_t)b->heap;
		known->state = (uint8_t)b->state;
		return 0;
	}
	ARRAY_PUSH(s->blocks, s->nr_blocks, s->cap_blocks,
		   ((struct block){
			   .addr = b->addr,
			   .size = b->size,
			   .stack = NO_INDEX,
			   .age_ms = UINT32_MAX,
			   .heap = (uint32_t)b->heap,
			   .state = (uint8_t)b->state,
		   }));
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	const struct block *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

static int by_start(const void *a, const void *b)
{
	const struct heap_span *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	/* A sub-heap that begins where its parent does comes after it. */
	return (x->end < y->end) - (x->end > y->end);
}

void look_fill_spans(struct snapshot *s, const struct heaps *h)
{
	for (size_t i = 0; i < heaps_nr(h); i++)
		add_heap(s, heaps_get(h, i));
	if (s->nr_spans)
		qsort(s->spans, s->nr_spans, sizeof(*s->spans), by_start);
}

int look_fill_heaps(struct snapshot *s, struct heaps *h, bool with_blocks, struct histogram *sizes,
		    struct error *e)
{
	struct gather g = {
		.s = s,
		.nr_known = s->nr_blocks,
		.with_blocks = with_blocks,
		.sizes = sizes,
	};
	int err = heaps_walk(h, HEAP_ALL, with_blocks || sizes ? gather_block : NULL, &g, e);

	if (err < 0)
		return err;
	look_fill_spans(s, h);
	add_checks(s, h);
	if (with_blocks) {
		if (s->nr_blocks)
			qsort(s->blocks, s->nr_blocks, sizeof(*s->blocks), by_addr);
		s->has_blocks = true;
	}
	if (!*strings_get(&s->strings, s->allocator))
		s->allocator = strings_add(&s->strings, heaps_allocator(h));
	s->has_heaps = true;
	return 0;
}
