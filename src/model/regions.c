/*
 * What regions are for: who claims them (modules, heaps, threads), then their names, then what
 * their neighbours are. Everything is a sweep over sorted rows, so 65,000 regions take
 * milliseconds.
 */
#include "model/regions.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/region_names.h"
#include "model/snapshot.h"

/* Regions' prot; see struct region. */
#define PROT_ANY 7u
#define PROT_W 2u
#define PROT_X 4u
#define PROT_SHARED 8u

/* Where nobody knows how far a thread's memory reaches, a larger region is most likely not that. */
#define STACK_USUAL ((uint64_t)8 << 20)
#define TLS_USUAL ((uint64_t)256 << 10)

/* Sizes of thread stacks that are told apart, to know those that an ended thread left behind. */
#define STACK_SHAPES_MAX 16

/* An address that a thread has, and whose it is. */
struct spot {
	uint64_t addr;
	uint32_t thread;
};

struct spots {
	struct spot *items; /* ascending */
	size_t nr, cap;
};

struct stack_shape {
	uint64_t guard_bytes, stack_bytes;
};

struct classing {
	struct snapshot *s;
	struct region_claim *claims;
	const struct module **modules; /* still loaded ones, ascending by start */
	size_t nr_modules;
	struct spots sps, tps;
	struct region_area *areas;
	size_t nr_areas;
	struct stack_shape shapes[STACK_SHAPES_MAX];
	size_t nr_shapes;
};

const char *region_kind_name(enum region_kind kind)
{
	static const char *const names[REGION_KINDS] = {
		[REGION_UNKNOWN] = "anonymous", [REGION_IMAGE] = "image",
		[REGION_MAPPED_FILE] = "file",	[REGION_SHARED] = "shared",
		[REGION_HEAP] = "heap",		[REGION_BLOCK] = "block",
		[REGION_STACK] = "stack",	[REGION_GUARD] = "guard",
		[REGION_RESERVED] = "reserved", [REGION_TLS] = "tls",
		[REGION_JIT] = "jit",		[REGION_DEVICE] = "device",
		[REGION_KERNEL] = "kernel",	[REGION_RECORDER] = "recorder",
	};

	return (size_t)kind < REGION_KINDS ? names[kind] : "anonymous";
}

static int by_start(const void *a, const void *b)
{
	const struct module *x = *(const struct module *const *)a;
	const struct module *y = *(const struct module *const *)b;

	return (x->start > y->start) - (x->start < y->start);
}

static int by_addr(const void *a, const void *b)
{
	const struct spot *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return (x->thread > y->thread) - (x->thread < y->thread);
}

static bool is_file(const struct snapshot *s, const struct region *r)
{
	return *strings_get(&s->strings, r->path) == '/';
}

/* A loader makes something of a program executable or writable; who only reads the file does not.
 */
static bool is_loaded(const struct region *r)
{
	return (r->prot & (PROT_X | PROT_W)) || r->anonymous || r->swap;
}

/* Leaves out files that look like modules and are only read. Both lists ascend. */
static void keep_loaded(struct classing *c)
{
	const struct snapshot *s = c->s;
	size_t kept = 0, i = 0;

	for (size_t m = 0; m < c->nr_modules; m++) {
		const struct module *module = c->modules[m];
		uint64_t end = module->end;
		bool loaded = false;

		/* They should not overlap; no region is looked at twice if they do. */
		if (m + 1 < c->nr_modules && c->modules[m + 1]->start < end)
			end = c->modules[m + 1]->start;
		while (i < s->nr_regions && s->regions[i].end <= module->start)
			i++;
		for (size_t k = i; k < s->nr_regions && s->regions[k].start < end; k++)
			loaded |= is_file(s, &s->regions[k]) ? is_loaded(&s->regions[k])
							     : s->regions[k].prot & PROT_X;
		if (loaded)
			c->modules[kept++] = module;
	}
	c->nr_modules = kept;
}

static void sort_modules(struct classing *c)
{
	c->modules = mem_alloc_array(c->s->nr_modules + 1, sizeof(*c->modules));
	for (size_t i = 0; i < c->s->nr_modules; i++) {
		if (!(c->s->modules[i].flags & MODULE_UNLOADED))
			c->modules[c->nr_modules++] = &c->s->modules[i];
	}
	if (c->nr_modules)
		qsort(c->modules, c->nr_modules, sizeof(*c->modules), by_start);
	keep_loaded(c);
}

static void add_spot(struct spots *spots, uint64_t addr, size_t thread)
{
	if (addr)
		ARRAY_PUSH(spots->items, spots->nr, spots->cap,
			   ((struct spot){addr, (uint32_t)thread}));
}

static void sort_spots(struct classing *c)
{
	for (size_t i = 0; i < c->s->nr_threads; i++) {
		add_spot(&c->sps, c->s->threads[i].sp, i);
		add_spot(&c->tps, c->s->threads[i].tp, i);
	}
	if (c->sps.nr)
		qsort(c->sps.items, c->sps.nr, sizeof(*c->sps.items), by_addr);
	if (c->tps.nr)
		qsort(c->tps.items, c->tps.nr, sizeof(*c->tps.items), by_addr);
}

/* The thread with the lowest spot in the region, or NO_INDEX. */
static uint32_t find_spot(const struct spots *spots, const struct region *r)
{
	size_t low = 0, high = spots->nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (spots->items[middle].addr < r->start)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < spots->nr && spots->items[low].addr < r->end)
		return spots->items[low].thread;
	return NO_INDEX;
}

/* The module in whose range the region begins, if it lies mostly there; NO_INDEX none. */
static uint32_t find_module(const struct classing *c, const struct region *r)
{
	size_t low = 0, high = c->nr_modules;
	const struct module *m;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c->modules[middle]->start <= r->start)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NO_INDEX;
	m = c->modules[low - 1];
	/* The kernel joins a .bss and the anonymous memory behind it. */
	if (r->start >= m->end || (r->end > m->end && m->end - r->start < r->end - m->end))
		return NO_INDEX;
	return (uint32_t)(m - c->s->modules);
}

static void set(struct region *r, enum region_kind kind, uint32_t owner)
{
	r->kind = (uint8_t)kind;
	r->owner = owner;
}

static bool is_empty(const struct region *r)
{
	return !(r->prot & PROT_ANY) && r->rss == 0 && r->swap == 0;
}

static void set_heap(struct classing *c, struct region *r, uint32_t heap)
{
	if (is_empty(r))
		set(r, REGION_RESERVED, heap);
	else if (c->s->heaps[heap].kind == HEAP_DIRECT)
		set(r, REGION_BLOCK, heap);
	else if (c->s->heaps[heap].kind == HEAP_UNKNOWN)
		set(r, REGION_UNKNOWN, NO_INDEX);
	else
		set(r, REGION_HEAP, heap);
}

/* Of what is known of threads' memory: is most of the region that, and whose? */
static bool set_by_area(const struct classing *c, struct region *r)
{
	size_t i = regions_area_above(c->areas, c->nr_areas, r->start), largest = i;
	uint64_t covered = 0, most = 0;

	for (; i < c->nr_areas && c->areas[i].start < r->end; i++) {
		const struct region_area *a = &c->areas[i];
		uint64_t from = a->start > r->start ? a->start : r->start;
		uint64_t part = (a->end < r->end ? a->end : r->end) - from;

		covered += part;
		if (part > most) {
			most = part;
			largest = i;
		}
	}
	if (covered == 0)
		return false;
	set(r, REGION_UNKNOWN, NO_INDEX);
	if (covered >= (r->end - r->start) / 2 ||
	    (c->areas[largest].is_tls && r->end - r->start <= TLS_USUAL))
		set(r, c->areas[largest].is_tls ? REGION_TLS : REGION_STACK,
		    c->areas[largest].thread);
	return true;
}

/* Nothing to be had right below, as below a stack. */
static bool is_above_guard(const struct snapshot *s, const struct region *r)
{
	return r > s->regions && r[-1].end == r->start && is_empty(&r[-1]) &&
	       !(r[-1].prot & PROT_SHARED);
}

/* A thread pointer lies at the top of the stack that the C library made for its thread. */
static bool set_by_thread(struct classing *c, struct region *r)
{
	uint32_t by_sp = find_spot(&c->sps, r), by_tp = find_spot(&c->tps, r);
	uint32_t thread = by_sp == NO_INDEX ? by_tp : by_sp;
	bool is_tls;

	if (set_by_area(c, r))
		return r->kind == REGION_STACK || r->kind == REGION_TLS;
	if (thread == NO_INDEX)
		return false;
	is_tls = by_sp == NO_INDEX && c->s->threads[by_tp].tid == c->s->identity.pid;
	if (r->end - r->start > (is_tls ? TLS_USUAL : STACK_USUAL) && !is_above_guard(c->s, r))
		return false;
	set(r, is_tls ? REGION_TLS : REGION_STACK, thread);
	return true;
}

/* Memory without a file. */
static void set_anonymous(struct classing *c, size_t i, enum region_kind by_name)
{
	struct region *r = &c->s->regions[i];
	const struct region_claim *claim = &c->claims[i];
	bool accessible = r->prot & PROT_ANY;

	if (claim->heap != NO_INDEX && claim->bytes >= (r->end - r->start) / 2)
		set_heap(c, r, claim->heap);
	else if (accessible && set_by_thread(c, r))
		return;
	else if (by_name != REGION_UNKNOWN)
		set(r, by_name, NO_INDEX);
	else if (is_empty(r))
		set(r, REGION_RESERVED, NO_INDEX);
	else
		set(r, r->prot & PROT_X ? REGION_JIT : REGION_UNKNOWN, NO_INDEX);
}

static uint32_t main_thread(const struct snapshot *s)
{
	for (size_t i = 0; i < s->nr_threads; i++) {
		if (s->threads[i].tid == s->identity.pid)
			return (uint32_t)i;
	}
	return NO_INDEX;
}

static void set_one(struct classing *c, size_t i)
{
	struct region *r = &c->s->regions[i];
	const char *path = strings_get(&c->s->strings, r->path);
	struct region_name name = region_name_of(path, r->prot & PROT_SHARED);
	uint32_t module = find_module(c, r);

	if (name.kind == REGION_RECORDER || name.kind == REGION_DEVICE) {
		set(r, name.kind, NO_INDEX);
	} else if (name.kind == REGION_KERNEL) {
		set(r, REGION_KERNEL, module);
	} else if (module != NO_INDEX && !(r->prot & PROT_SHARED)) {
		bool ours = c->s->modules[module].flags & MODULE_RECORDER;

		set(r, ours ? REGION_RECORDER : REGION_IMAGE, ours ? NO_INDEX : module);
	} else if (name.kind == REGION_STACK && name.is_main) {
		uint32_t thread = find_spot(&c->sps, r);

		set(r, REGION_STACK, thread == NO_INDEX ? main_thread(c->s) : thread);
	} else if (name.anonymous) {
		set_anonymous(c, i, name.kind);
	} else if (r->vm_flags & REGION_VM_IO) {
		set(r, REGION_DEVICE, NO_INDEX);
	} else if (name.kind == REGION_SHARED && (r->prot & PROT_X)) {
		set(r, REGION_JIT, NO_INDEX);
	} else {
		set(r, name.kind, NO_INDEX);
	}
}

/* A file of which a part is executable, and which is no module that somebody found. */
static void spread_image(struct snapshot *s, size_t i)
{
	struct region *r = s->regions;
	size_t first = i, last = i;

	if (r[i].kind != REGION_MAPPED_FILE || (r[i].prot & (PROT_X | PROT_SHARED)) != PROT_X)
		return;
	while (first > 0 && r[first - 1].path == r[i].path && r[first - 1].end == r[first].start)
		first--;
	while (last + 1 < s->nr_regions && r[last + 1].path == r[i].path &&
	       r[last + 1].start == r[last].end)
		last++;
	for (size_t k = first; k <= last; k++) {
		if (r[k].kind == REGION_MAPPED_FILE)
			set(&r[k], REGION_IMAGE, NO_INDEX);
	}
}

/* Is there nothing to be had right below region i? */
static bool has_guard(const struct snapshot *s, size_t i)
{
	const struct region *r = s->regions;

	return i > 0 && r[i - 1].end == r[i].start && r[i - 1].kind == REGION_RESERVED &&
	       r[i - 1].owner == NO_INDEX;
}

static struct stack_shape shape_of(const struct snapshot *s, size_t i)
{
	const struct region *r = s->regions;

	return (struct stack_shape){r[i - 1].end - r[i - 1].start, r[i].end - r[i].start};
}

static bool knows_shape(const struct classing *c, struct stack_shape shape)
{
	for (size_t i = 0; i < c->nr_shapes; i++) {
		if (c->shapes[i].guard_bytes == shape.guard_bytes &&
		    c->shapes[i].stack_bytes == shape.stack_bytes)
			return true;
	}
	return false;
}

static void set_guards(struct classing *c)
{
	struct region *r = c->s->regions;

	for (size_t i = 1; i < c->s->nr_regions; i++) {
		if (r[i].kind != REGION_STACK || !has_guard(c->s, i))
			continue;
		if (r[i].owner != NO_INDEX && c->nr_shapes < STACK_SHAPES_MAX &&
		    !knows_shape(c, shape_of(c->s, i)))
			c->shapes[c->nr_shapes++] = shape_of(c->s, i);
		set(&r[i - 1], REGION_GUARD, r[i].owner);
	}
}

/* The C library keeps the stacks of ended threads: of the same size and guard as a living one's. */
static void set_left_stacks(struct classing *c)
{
	struct region *r = c->s->regions;

	for (size_t i = 1; i < c->s->nr_regions && c->nr_shapes; i++) {
		if (r[i].kind == REGION_UNKNOWN && !(r[i].prot & PROT_SHARED) &&
		    has_guard(c->s, i) && knows_shape(c, shape_of(c->s, i))) {
			set(&r[i], REGION_STACK, NO_INDEX);
			set(&r[i - 1], REGION_GUARD, NO_INDEX);
		}
	}
}

void regions_classify(struct snapshot *s)
{
	struct classing c = {.s = s};

	c.claims = mem_alloc_array(s->nr_regions, sizeof(*c.claims));
	regions_claims(s, c.claims);
	sort_modules(&c);
	sort_spots(&c);
	c.nr_areas = regions_areas(s, &c.areas);
	for (size_t i = 0; i < s->nr_regions; i++)
		set_one(&c, i);
	for (size_t i = 0; i < s->nr_regions; i++)
		spread_image(s, i);
	set_guards(&c);
	set_left_stacks(&c);
	free(c.claims);
	free(c.modules);
	free(c.sps.items);
	free(c.tps.items);
	free(c.areas);
}
