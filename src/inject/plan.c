/* See plan.h. */
#include "inject/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "inject/blob_image.h"
#include "inject/gap.h"
#include "inject/slots.h"
#include "target/maps.h"
#include "target/target.h"

#define PAGE UINT64_C(4096)
/* Of near memory from its entries; the moved instructions may refer to farther places. */
#define REACH (UINT64_C(1) << 30)

/* ---- which hook ---- */

static const enum wire_hook hook_of_shape[INJECT_SHAPES_NR] = {
	[INJECT_ALLOCATES_1] = WIRE_HOOK_allocates_1,
	[INJECT_ALLOCATES_2] = WIRE_HOOK_allocates_2,
	[INJECT_ALLOCATES_12] = WIRE_HOOK_allocates_12,
	[INJECT_ALLOCATES_23] = WIRE_HOOK_allocates_23,
	[INJECT_ALLOCATES_STRING] = WIRE_HOOK_allocates_string,
	[INJECT_FILLS_1_3] = WIRE_HOOK_fills_1_3,
	[INJECT_FREES_1] = WIRE_HOOK_frees_1,
	[INJECT_REALLOCS_1_2] = WIRE_HOOK_reallocs_1_2,
	[INJECT_REALLOCS_1_23] = WIRE_HOOK_reallocs_1_23,
	[INJECT_REALLOCS_2_3] = WIRE_HOOK_reallocs_2_3,
	[INJECT_REALLOCS_2_34] = WIRE_HOOK_reallocs_2_34,
	[INJECT_REALLOCS_OR_FREES_1_2] = WIRE_HOOK_reallocs_or_frees_1_2,
	[INJECT_REALLOCS_OR_FREES_2_3] = WIRE_HOOK_reallocs_or_frees_2_3,
	[INJECT_REPLACES_1_23] = WIRE_HOOK_replaces_1_23,
	[INJECT_RESIZES_1_2] = WIRE_HOOK_resizes_1_2,
	[INJECT_CLOSES_1] = WIRE_HOOK_closes_1,
	[INJECT_LOCKS_1] = WIRE_HOOK_locks,
	[INJECT_FORKS] = WIRE_HOOK_forks,
	[INJECT_SYSTEM_CALLS] = WIRE_HOOK_system_calls,
	[INJECT_ACQUIRES] = WIRE_HOOK_acquires,
	[INJECT_RELEASES] = WIRE_HOOK_releases,
	[INJECT_FINDS_OBJECT] = WIRE_HOOK_finds_object,
	[INJECT_ITERATES_1_2] = WIRE_HOOK_iterates_1_2,
};

/* A C library's functions are compiled each for itself. */
static bool is_of_libc(const struct entry *e)
{
	return !strcmp(e->allocator, "glibc") || !strcmp(e->allocator, "musl");
}

/* One range: where there are several such modules, all code is in it. */
void plan_find_keepers(const struct plan *p, struct target *t, uint64_t *ret_start,
		       uint64_t *ret_bytes)
{
	*ret_start = *ret_bytes = 0;
	for (size_t i = 0; i < p->nr_entries; i++) {
		const struct entry *e = p->entries[i].entry;
		const struct target_module *m;

		/* dlclose is nobody's. */
		if (!*e->allocator || is_of_libc(e))
			continue;
		m = target_find_module(t, e->addr);
		if (!m || (*ret_bytes && *ret_start != m->start)) {
			*ret_start = 0;
			*ret_bytes = UINT64_MAX;
			return;
		}
		*ret_start = m->start;
		*ret_bytes = m->end - m->start;
	}
}

/* A file's name alone does not make it that allocator: it may hand on what another one gives. */
static bool is_named_rightly(const struct entries *all, const struct entry *e)
{
	static const struct {
		const char *allocator, *function;
	} known[] = {{"jemalloc", "mallocx"}, {"tcmalloc", "tc_malloc"}, {"mimalloc", "mi_malloc"}};
	const char *function = NULL;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(e->allocator, known[i].allocator))
			function = known[i].function;
	for (size_t i = 0; function && i < all->nr; i++)
		if (!strcmp(all->items[i].name, function) &&
		    !strcmp(all->items[i].module, e->module))
			return true;
	return !function;
}

/* Those whose malloc and free never call another function of theirs that is patched as well. */
static bool is_plain(const struct entries *all, const struct entry *e)
{
	static const char *const plain[] = {"glibc", "jemalloc", "tcmalloc", "musl"};

	if (!all->allocator || !all->allocator_module || strcmp(e->module, all->allocator_module))
		return false;
	/* It may have been compiled together with its callers: see plan_find_keepers(). */
	if (!*e->module && !is_of_libc(e))
		return false;
	if (!is_named_rightly(all, e))
		return false;
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (!strcmp(all->allocator, plain[i]))
			return true;
	return e->is_apart;
}

/* The function that returns NULL where this one throws; INJECT_FUNCTIONS_NR: it does not throw. */
static enum inject_function nothrow_of(enum inject_function f)
{
	switch (f) {
	case INJECT__Znwm:
		return INJECT__ZnwmRKSt9nothrow_t;
	case INJECT__Znam:
		return INJECT__ZnamRKSt9nothrow_t;
	case INJECT__ZnwmSt11align_val_t:
		return INJECT__ZnwmSt11align_val_tRKSt9nothrow_t;
	case INJECT__ZnamSt11align_val_t:
		return INJECT__ZnamSt11align_val_tRKSt9nothrow_t;
	default:
		return INJECT_FUNCTIONS_NR;
	}
}

static const struct entry *find_in_module(const struct entries *all, const char *module,
					  enum inject_function f)
{
	for (size_t i = 0; i < all->nr; i++)
		if (all->items[i].function == f && !strcmp(all->items[i].module, module))
			return &all->items[i];
	return NULL;
}

static bool is_used(const struct plan *p, enum wire_hook hook)
{
	for (size_t i = 0; i < p->nr_entries; i++)
		if (p->entries[i].hook == hook)
			return true;
	return false;
}

/* Malloc and free may be plain under two names each, which are functions of their own. */
static enum wire_hook hook_of(const struct plan *p, const struct entries *all,
			      const struct entry *e)
{
	enum wire_hook shape = hook_of_shape[inject_function_shape(e->function)];
	enum wire_hook first = WIRE_HOOK_malloc, second = WIRE_HOOK_malloc_2;

	if ((e->function != INJECT_malloc && e->function != INJECT_free) || !is_plain(all, e))
		return shape;
	if (e->function == INJECT_free) {
		bool glibc = !strcmp(all->allocator, "glibc");

		first = glibc ? WIRE_HOOK_glibc_free : WIRE_HOOK_free;
		second = glibc ? first : WIRE_HOOK_free_2;
	}
	if (!is_used(p, first))
		return first;
	return is_used(p, second) ? shape : second;
}

/* NULL: it can be had, as *p; else why not. */
static const char *choose(const struct plan *plan, const struct entries *all, struct plan_entry *p)
{
	const struct entry *e = p->entry;
	enum inject_function nothrow = nothrow_of(e->function);

	p->hook = hook_of(plan, all, e);
	if (nothrow != INJECT_FUNCTIONS_NR) {
		p->hook = WIRE_HOOK_new_1;
		p->instead = find_in_module(all, e->module, nothrow);
		if (!p->instead)
			return "it may throw, and its module has no function that does not";
	}
	if (p->by_slots)
		return NULL;
	if (e->addr % PAGE > PAGE - PLAN_JUMP_BYTES)
		return "its first bytes are on two pages";
	if (e->bytes_nr < PLAN_JUMP_BYTES)
		return "its code could not be read";
	return NULL;
}

static void skip(struct plan *p, const struct entry *e, const char *why)
{
	ARRAY_PUSH(p->skipped, p->nr_skipped, p->cap_skipped, ((struct plan_skipped){e, why}));
}

static void choose_all(struct plan *p, const struct entries *all, const uint8_t *wanted)
{
	for (size_t i = 0; i < all->nr; i++) {
		struct plan_entry entry = {.entry = &all->items[i],
					   .by_slots = wanted[i] == ENTRY_BY_SLOTS};
		const char *why;

		if (entry.entry->is_alias_of_earlier || !wanted[i])
			continue;
		why = p->nr_entries < WIRE_PATCHES_MAX ? choose(p, all, &entry)
						       : "there are too many";
		if (why)
			skip(p, entry.entry, why);
		else
			ARRAY_PUSH(p->entries, p->nr_entries, p->cap_entries, entry);
	}
}

/* ---- where ---- */

/* The near memory that can serve this address, a new one if need be; -1: there are too many. */
static int near_of(struct plan *p, uint64_t addr)
{
	struct plan_near *n = p->nears;
	size_t i;

	for (i = 0; i < p->nr_nears; i++, n++) {
		uint64_t low = addr < n->low ? addr : n->low;
		uint64_t high = addr > n->high ? addr : n->high;

		if (high - low < REACH / 2) {
			n->low = low;
			n->high = high;
			return (int)i;
		}
	}
	if (i == PLAN_NEARS_MAX)
		return -1;
	*n = (struct plan_near){.low = addr, .high = addr};
	p->nr_nears++;
	return (int)i;
}

static void share_out(struct plan *p)
{
	size_t nr = 0;

	for (size_t i = 0; i < p->nr_entries; i++) {
		int near = near_of(p, p->entries[i].entry->addr);

		if (near < 0) {
			skip(p, p->entries[i].entry, "it is too far from all others");
			continue;
		}
		p->entries[nr] = p->entries[i];
		p->entries[nr].near = (size_t)near;
		p->entries[nr++].slot = p->nears[near].nr++ * PLAN_SLOT_BYTES;
	}
	p->nr_entries = nr;
}

static void insert(struct maps *maps, struct map m)
{
	size_t at;

	for (at = maps->nr++; at && maps->items[at - 1].start > m.start; at--)
		maps->items[at] = maps->items[at - 1];
	maps->items[at] = m;
}

/*
 * A copy of the mappings with those that are planned, so that the next ones go elsewhere, and with
 * a heap that has nothing yet.
 */
static struct maps with_planned(const struct maps *maps, uint64_t heap_start, const struct plan *p,
				size_t nr)
{
	struct maps more = {.nr = maps->nr, .cap = maps->nr + nr + 1};

	more.items = mem_alloc_array(more.cap, sizeof(*more.items));
	if (maps->nr)
		memcpy(more.items, maps->items, maps->nr * sizeof(*more.items));
	if (heap_start && !maps_find_path(maps, "[heap]", 0))
		insert(&more,
		       (struct map){.start = heap_start, .end = heap_start, .path = "[heap]"});
	for (size_t i = 0; i < nr; i++)
		insert(&more, (struct map){.start = p->nears[i].start,
					   .end = p->nears[i].start + p->nears[i].bytes,
					   .path = ""});
	return more;
}

static int place(struct plan *p, const struct blob_image *image, size_t table_bytes,
		 const struct maps *maps, uint64_t heap_start, struct error *e)
{
	for (size_t i = 0; i < p->nr_nears; i++) {
		struct plan_near *n = &p->nears[i];
		struct maps all = with_planned(maps, heap_start, p, i);

		n->bytes = n->nr * PLAN_SLOT_BYTES + (i ? 0 : table_bytes);
		n->bytes = (n->bytes + PAGE - 1) & ~(PAGE - 1);
		/* The recorder itself lies behind the first. */
		if (i == 0)
			n->bytes += image->all_bytes;
		n->start = gap_find(&all, n->low, n->high, n->bytes, REACH);
		free(all.items);
		if (!n->start) {
			error_set(e, -ENOSPC, EXIT_TARGET,
				  "there is no room for the recorder near address %#llx",
				  (unsigned long long)n->low);
			error_hint(e, "the process has mapped all addresses within a gigabyte");
			return -ENOSPC;
		}
	}
	if (p->nr_nears) {
		p->blob = p->nears[0].start + p->nears[0].bytes - image->all_bytes;
		p->table = p->nears[0].start + p->nears[0].nr * PLAN_SLOT_BYTES;
	}
	return 0;
}

/* ---- the first instructions ---- */

static void move_all(struct plan *p)
{
	size_t nr = 0;

	for (size_t i = 0; i < p->nr_entries; i++) {
		struct plan_entry *n = &p->entries[i];
		const struct entry *e = n->entry;
		const char *why = NULL;

		n->slot += p->nears[n->near].start;
		if (n->by_slots) {
			p->entries[nr++] = *n;
			continue;
		}
		if (moved_make(e->bytes, e->bytes_nr, e->addr, n->slot + PLAN_THUNK_BYTES,
			       PLAN_JUMP_BYTES, &n->moved, &why) < 0) {
			skip(p, e, why);
			continue;
		}
		p->entries[nr++] = *n;
	}
	p->nr_entries = nr;
}

/* ---- slots ---- */

/* False: it is too far from all near memory. */
static bool add_slot(struct plan *p, const struct entry *e, const struct slot *s,
		     const struct maps *maps)
{
	const struct map *m = maps_find(maps, s->addr);
	struct plan_slot slot = {
		.entry = e,
		.addr = s->addr,
		.before = s->value,
		.inode = m ? m->inode : 0,
		.is_stub = s->is_stub,
	};
	int near = s->is_stub ? near_of(p, s->addr) : 0;

	if (near < 0)
		return false;
	slot.near = (size_t)near;
	if (s->is_stub)
		slot.landing = p->nears[near].nr++ * PLAN_SLOT_BYTES;
	ARRAY_PUSH(p->slots, p->nr_slots, p->cap_slots, slot);
	return true;
}

/* An entry that has none any more is not had at all. */
static int add_slots(struct plan *p, const struct entries *all, const struct slots *slots,
		     struct error *e, const struct maps *maps)
{
	size_t nr = 0, before;

	for (size_t i = 0; i < p->nr_entries; i++) {
		const struct plan_entry n = p->entries[i];

		before = p->nr_slots;
		for (size_t s = 0; n.by_slots && s < slots->nr; s++)
			if (&all->items[slots->items[s].entry] == n.entry &&
			    !add_slot(p, n.entry, &slots->items[s], maps))
				return error_set(e, -ENOSPC, EXIT_TARGET,
						 "its modules are too far from each other");
		if (n.by_slots && p->nr_slots == before)
			skip(p, n.entry, "nothing leads to it");
		else
			p->entries[nr++] = n;
	}
	p->nr_entries = nr;
	if (nr + p->nr_slots > WIRE_PATCHES_MAX || slots->nr > SLOTS_MAX)
		return error_set(e, -E2BIG, EXIT_TARGET,
				 "its modules call the allocator by too many slots");
	return 0;
}

size_t plan_partial_nr(const struct plan *p)
{
	size_t nr = 0;

	for (size_t i = 0; i < p->nr_entries; i++)
		nr += p->entries[i].by_slots;
	return nr;
}

int plan_make(const struct entries *entries, const uint8_t *wanted, const struct slots *slots,
	      const struct blob_image *image, size_t table_bytes, const struct maps *maps,
	      uint64_t heap_start, struct plan *ret, struct error *e)
{
	struct plan p = PLAN_INIT;
	int r;

	choose_all(&p, entries, wanted);
	share_out(&p);
	r = add_slots(&p, entries, slots, e, maps);
	if (!r)
		r = place(&p, image, table_bytes, maps, heap_start, e);
	if (r < 0) {
		plan_release(&p);
		return r;
	}
	move_all(&p);
	*ret = p;
	return 0;
}

uint64_t plan_real(const struct plan *p, uint64_t addr)
{
	for (size_t i = 0; i < p->nr_entries; i++)
		if (p->entries[i].entry->addr == addr && !p->entries[i].by_slots)
			return p->entries[i].slot + PLAN_THUNK_BYTES;
	return addr;
}

/* All that any unwinder might ask, and there is one at all. */
bool plan_unwinds(const struct plan *p, const struct entries *all)
{
	bool any = false;

	for (size_t i = 0; i < all->nr; i++) {
		enum inject_shape shape = inject_function_shape(all->items[i].function);

		if (shape != INJECT_FINDS_OBJECT && shape != INJECT_ITERATES_1_2)
			continue;
		if (plan_real(p, all->items[i].addr) == all->items[i].addr)
			return false;
		any = true;
	}
	for (size_t i = 0; i < all->nr_skipped; i++)
		if (!strcmp(all->skipped[i].name, "_dl_find_object") ||
		    !strcmp(all->skipped[i].name, "dl_iterate_phdr"))
			return false;
	return any;
}

void plan_release(struct plan *p)
{
	if (!p)
		return;
	free(p->entries);
	free(p->slots);
	free(p->skipped);
	*p = (struct plan)PLAN_INIT;
}
