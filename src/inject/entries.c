/* All entry points of a process: its modules one by one; see entries.h. */
#include "inject/entries.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "inject/apart.h"
#include "inject/exports.h"
#include "inject/link_order.h"
#include "inject/module_names.h"
#include "target/process.h"
#include "target/target.h"

#define UNKNOWN_SIZE_BYTES 512 /* of a function whose size its symbol does not tell */

/*
 * glibc's loader has a small malloc of its own, for itself and for the time before libc is there.
 * musl's loader is its libc.
 */
static bool is_glibc_loader(const struct target_module *m, struct exports *x)
{
	return m->flags & TARGET_MODULE_LOADER && exports_has(x, "_rtld_global");
}

static void skip(struct entries *e, const char *name, const struct target_module *m,
		 const char *why)
{
	struct entry_skipped s = {name, m->flags & TARGET_MODULE_MAIN ? "" : m->path, why};

	ARRAY_PUSH(e->skipped, e->nr_skipped, e->cap_skipped, s);
}

static bool is_proper_name(const struct entry *e)
{
	return !strcmp(e->name, inject_function_name(e->function));
}

static int compare_entries(const void *p, const void *q)
{
	const struct entry *a = p, *b = q;

	if (a->addr != b->addr)
		return a->addr < b->addr ? -1 : 1;
	if (a->function != b->function)
		return a->function < b->function ? -1 : 1;
	if (is_proper_name(a) != is_proper_name(b))
		return is_proper_name(a) ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* Of entries [first, nr), which are of one module. */
static void mark_aliases(struct entries *e, const struct target_module *m, size_t first)
{
	size_t to = first;

	if (e->nr > first)
		qsort(e->items + first, e->nr - first, sizeof(*e->items), compare_entries);
	for (size_t i = first; i < e->nr; i++) {
		struct entry *at = &e->items[i];
		const struct entry *before = to > first ? &e->items[to - 1] : NULL;

		at->is_alias_of_earlier = before && before->addr == at->addr;
		if (at->is_alias_of_earlier && inject_function_shape(before->function) !=
						       inject_function_shape(at->function)) {
			skip(e, at->name, m, "its code is another function's as well");
			continue;
		}
		e->items[to++] = *at;
	}
	e->nr = to;
}

void entry_read_bytes(struct target *t, struct entry *e)
{
	size_t want = e->size ? e->size : UNKNOWN_SIZE_BYTES;

	if (want > ENTRY_BYTES_MAX)
		want = ENTRY_BYTES_MAX;
	e->bytes = mem_alloc(want);
	e->bytes_nr = target_read(t, e->addr, e->bytes, want);
}

/* The first malloc that others can mean. */
static void settle_allocator(struct entries *e, const struct module_names *f,
			     const struct target_module *m)
{
	for (size_t i = 0; i < f->nr && !e->allocator_addr; i++) {
		const struct module_name *n = &f->items[i];

		if (n->name->function != INJECT_malloc || n->name->family != INJECT_FAMILY_C ||
		    (n->is_local && !f->is_static) || !module_names_counts(f, n))
			continue;
		e->allocator_addr = n->addr;
		e->allocator = f->allocator;
		e->allocator_module = m->flags & TARGET_MODULE_MAIN ? "" : m->path;
	}
}

static void add_entries(struct entries *e, struct target *t, const struct module_names *f,
			const struct target_module *m)
{
	size_t first = e->nr;

	for (size_t i = 0; i < f->nr; i++) {
		const struct module_name *n = &f->items[i];
		struct entry entry = {
			.function = n->name->function,
			.addr = n->addr,
			.size = n->size,
			.module = m->flags & TARGET_MODULE_MAIN ? "" : m->path,
			.name = n->name->name,
			.allocator = module_names_allocator(f, n),
		};

		if (!module_names_counts(f, n))
			continue;
		if (n->is_chosen)
			skip(e, n->name->name, m, "its code is chosen when the program starts");
		else
			ARRAY_PUSH(e->items, e->nr, e->cap, entry);
	}
	mark_aliases(e, m, first);
	for (size_t i = first; i < e->nr; i++) {
		if (!e->items[i].is_alias_of_earlier)
			entry_read_bytes(t, &e->items[i]);
	}
}

/* What the module has; false: its program cannot be searched, as it is stripped. */
static bool look_at_module(struct entries *e, struct target *t, const struct target_module *m)
{
	bool is_main = m->flags & TARGET_MODULE_MAIN, is_static, stripped;
	struct exports x;
	struct module_names f;

	exports_open(&x, t, m);
	if (!strcmp(m->path, "[vdso]")) {
		e->vdso_clock_gettime = exports_address(&x, "__vdso_clock_gettime");
	} else if (is_glibc_loader(m, &x)) {
		if (!e->dl_debug_state)
			e->dl_debug_state = exports_address(&x, "_dl_debug_state");
	} else if (!text_starts_with(text_base_name(m->path), "libseep-rec")) {
		is_static = is_main && !e->has_loader;
		module_names_collect(t, m, &x, is_static, &f);
		e->modules_nr++;
		settle_allocator(e, &f, m);
		add_entries(e, t, &f, m);
		if (!e->dl_find_object)
			e->dl_find_object = f.dl_find_object;
		if (!e->dl_debug_state)
			e->dl_debug_state = f.dl_debug_state;
		stripped = is_static && f.stripped;
		module_names_release(&f);
		exports_release(&x);
		return !stripped;
	}
	exports_release(&x);
	return true;
}

/* struct r_debug: as the loader has told the program, or from the loader where it was called
 * itself. */
static uint64_t find_r_debug(struct target *t)
{
	size_t nr;
	const struct target_module *modules = target_modules(t, &nr);
	uint64_t found = 0;

	for (size_t i = 0; i < nr && !found; i++) {
		struct exports x;

		exports_open(&x, t, &modules[i]);
		if (modules[i].flags & TARGET_MODULE_MAIN)
			found = x.debug;
		if (modules[i].flags & TARGET_MODULE_LOADER && !found)
			found = exports_address(&x, "_r_debug");
		exports_release(&x);
	}
	return found;
}

/* A program needs one when it needs libraries; a program without may have started as a loader's. */
static bool has_loader(struct target *t)
{
	size_t nr;
	const struct target_module *modules = target_modules(t, &nr);
	bool found = false;

	for (size_t i = 0; i < nr && !found; i++) {
		struct exports x;

		exports_open(&x, t, &modules[i]);
		found = modules[i].flags & TARGET_MODULE_LOADER ||
			(modules[i].flags & TARGET_MODULE_MAIN && x.needs_others);
		exports_release(&x);
	}
	return found;
}

static int explain_nothing(struct target *t, bool stripped, struct error *e)
{
	const struct target_module *m = target_main_module(t);
	bool is_go = m && m->flags & TARGET_MODULE_GO;
	const char *why = "it has no malloc that is known";

	if (stripped)
		why = is_go ? "its program is written in Go, static and stripped"
			    : "its program is static and stripped";
	else if (is_go)
		why = "its program is written in Go, and has no malloc of C's";
	error_set(e, -ENOENT, EXIT_TARGET, "cannot find the allocator of process %d: %s",
		  target_process(t)->pid, why);
	if (stripped)
		error_hint(e,
			   "run a build that keeps its symbol table, or one that is linked "
			   "dynamically%s",
			   is_go ? "; what Go allocates by itself is not seen in any" : "");
	else
		error_hint(e, "seep knows malloc of C libraries and programs, jemalloc, tcmalloc "
			      "and mimalloc; what Go or a virtual machine has of its own is none");
	return -ENOENT;
}

static bool any_allocator(const struct entries *e)
{
	for (size_t i = 0; i < e->nr; i++) {
		switch (inject_function_shape(e->items[i].function)) {
		case INJECT_CLOSES_1:
		case INJECT_LOCKS_1:
		case INJECT_FINDS_OBJECT:
		case INJECT_ITERATES_1_2:
		case INJECT_FORKS:
		case INJECT_SYSTEM_CALLS:
			break;
		default:
			return true;
		}
	}
	return false;
}

int entries_find(struct target *t, struct entries *ret, struct error *e)
{
	struct entries found = ENTRIES_INIT;
	const struct target_module *modules;
	bool stripped = false;
	size_t *order, nr, listed;

	if (target_word_bytes(t) != 8 || target_machine(t) != EM_X86_64) {
		error_set(e, -ENOTSUP, EXIT_TARGET, "process %d is no 64-bit x86 program",
			  target_process(t)->pid);
		error_hint(e, "the recorder is for such programs only; seep heaps and seep leaks "
			      "look at others, too");
		return -ENOTSUP;
	}
	modules = target_modules(t, &nr);
	found.allocator = "unknown";
	found.allocator_module = "";
	found.has_loader = has_loader(t);
	found.r_debug = find_r_debug(t);
	order = link_order(t, found.r_debug, &listed);
	for (size_t i = 0; i < nr; i++) {
		if (!look_at_module(&found, t, &modules[order[i]]))
			stripped = true;
	}
	free(order);
	if (!any_allocator(&found)) {
		entries_release(&found);
		return explain_nothing(t, stripped, e);
	}
	apart_find(t, &found);
	*ret = found;
	return 0;
}

void entries_release(struct entries *e)
{
	for (size_t i = 0; i < e->nr; i++)
		free(e->items[i].bytes);
	free(e->items);
	free(e->skipped);
	*e = (struct entries)ENTRIES_INIT;
}
