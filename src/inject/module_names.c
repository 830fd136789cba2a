/*
 * What one module has; see module_names.h. A name alone proves nothing, so names count by families,
 * each with a few that such an allocator cannot be without.
 */
#include "inject/module_names.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "inject/exports.h"
#include "inject/symbols.h"
#include "target/maps.h"
#include "target/module_file.h"
#include "target/target.h"

#define VERSIONS_MAX 4 /* of one exported name */

static const struct {
	enum inject_family family;
	const char *names[4];
} needed[] = {
	{INJECT_FAMILY_C, {"malloc", "free"}},
	{INJECT_FAMILY_JEMALLOC, {"mallocx", "rallocx", "dallocx", "sdallocx"}},
	{INJECT_FAMILY_JE, {"je_malloc", "je_calloc", "je_realloc", "je_free"}},
	{INJECT_FAMILY_RJEM, {"_rjem_malloc", "_rjem_calloc", "_rjem_realloc"}},
	{INJECT_FAMILY_TC, {"tc_malloc", "tc_realloc", "tc_memalign", "tc_free"}},
	{INJECT_FAMILY_MI, {"mi_malloc", "mi_free", "mi_heap_malloc"}},
};

/* What a module has for itself alone, it must have completely. */
static const char *const local_c[] = {"malloc", "calloc", "realloc", "free", NULL};

/* Functions inside: who has them is that allocator, linked into a program. */
static const struct {
	const char *name, *allocator;
} insides[] = {
	{"_int_malloc", "glibc"},	      /* glibc malloc/malloc.c */
	{"ptmalloc_init", "glibc"},	      /* the same */
	{"__libc_malloc_impl", "musl"},	      /* musl 1.2.2 src/malloc/ */
	{"__malloc_alloc_meta", "musl"},      /* mallocng/glue.h */
	{"__malloc_donate", "musl"},	      /* every malloc of musl's */
	{"je_arena_malloc_hard", "jemalloc"}, /* jemalloc 5 src/arena.c */
};

static const char *const more_names[] = {
	"_int_malloc",	       "ptmalloc_init",	  "__libc_malloc_impl",
	"__malloc_alloc_meta", "__malloc_donate", "je_arena_malloc_hard",
	"_dl_find_object",     "_dl_debug_state", NULL,
};

struct collector {
	struct target *target;
	const struct target_module *module;
	struct module_names *f;
	const char *inside;
};

static bool is_code(const struct collector *c, uint64_t addr)
{
	const struct map *m = maps_find(target_maps(c->target), addr);

	return m && m->prot & MAP_EXEC && addr >= c->module->start && addr < c->module->end;
}

static void add(struct collector *c, struct module_name n)
{
	struct module_names *f = c->f;

	if (!is_code(c, n.addr))
		return;
	for (size_t i = 0; i < f->nr; i++) {
		if (f->items[i].name == n.name && f->items[i].addr == n.addr)
			return;
	}
	ARRAY_PUSH(f->items, f->nr, f->cap, n);
}

static void collect_exports(struct collector *c, struct exports *x)
{
	struct export e[VERSIONS_MAX];

	for (size_t i = 0; i < inject_names_nr; i++) {
		const struct inject_name *name = &inject_names[i];
		size_t nr = exports_find(x, name->name, e, VERSIONS_MAX);

		for (size_t j = 0; j < nr; j++) {
			if (e[j].is_function)
				add(c, (struct module_name){.name = name,
							    .addr = e[j].addr,
							    .size = e[j].size,
							    .is_chosen = e[j].is_chosen});
		}
	}
	c->f->dl_find_object = exports_address(x, "_dl_find_object");
	c->f->dl_debug_state = exports_address(x, "_dl_debug_state");
	if (exports_has(x, "gnu_get_libc_version"))
		c->inside = "glibc";
	else if (exports_has(x, "__dls2b")) /* ldso/dynlink.c */
		c->inside = "musl";
}

static void add_symbol(void *arg, const struct symbol *s)
{
	struct collector *c = arg;
	uint64_t addr = s->addr + c->module->bias;
	const struct inject_name *name;

	if (!strcmp(s->name, "_dl_find_object") && !c->f->dl_find_object)
		c->f->dl_find_object = addr;
	if (!strcmp(s->name, "_dl_debug_state") && !c->f->dl_debug_state)
		c->f->dl_debug_state = addr;
	for (size_t i = 0; i < sizeof(insides) / sizeof(insides[0]); i++) {
		if (!strcmp(s->name, insides[i].name) && !c->inside)
			c->inside = insides[i].allocator;
	}
	name = inject_name_find(s->name);
	if (name)
		add(c, (struct module_name){.name = name,
					    .addr = addr,
					    .size = s->size,
					    .is_local = s->is_local,
					    .is_chosen = s->is_chosen});
}

static void collect_symbols(struct collector *c)
{
	int fd = module_file_open(c->target, c->module);

	c->f->stripped = fd < 0 || symbols_each(fd, more_names, add_symbol, c) < 0;
	if (fd >= 0)
		close(fd);
}

/* locals: do those count that only the module itself can mean? */
static bool has(const struct module_names *f, const char *name, bool locals)
{
	for (size_t i = 0; i < f->nr; i++) {
		if ((locals || !f->items[i].is_local) && !strcmp(f->items[i].name->name, name))
			return true;
	}
	return false;
}

static bool names_are_its_own(enum inject_family family)
{
	return family == INJECT_FAMILY_JE || family == INJECT_FAMILY_RJEM ||
	       family == INJECT_FAMILY_TC || family == INJECT_FAMILY_MI;
}

/* In a static program nothing but what is used is there, and it may be local, or free missing. */
static void find_families(struct module_names *f, bool knows_libc)
{
	f->local_c = true;
	for (size_t i = 0; local_c[i]; i++)
		f->local_c = f->local_c && has(f, local_c[i], true);
	if (f->is_static && knows_libc && has(f, "malloc", true))
		f->local_c = true;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		enum inject_family family = needed[i].family;
		bool all = true, locals = names_are_its_own(family) || f->local_c;

		for (size_t j = 0; j < 4 && needed[i].names[j]; j++)
			all = all && has(f, needed[i].names[j], locals);
		f->families[family] = all;
	}
	if (f->is_static && has(f, "malloc", f->local_c))
		f->families[INJECT_FAMILY_C] = true;
}

/* As the recorder names it (rec/session.c), and by what is inside where it is part of a program. */
static const char *name_allocator(const struct collector *c)
{
	const char *base = text_base_name(c->module->path);
	const struct module_names *f = c->f;

	if (c->inside && !strcmp(c->inside, "glibc"))
		return "glibc";
	if (text_starts_with(base, "libjemalloc") || f->families[INJECT_FAMILY_JEMALLOC])
		return "jemalloc";
	if (text_starts_with(base, "libtcmalloc") || f->families[INJECT_FAMILY_TC])
		return "tcmalloc";
	if (text_starts_with(base, "libmimalloc") || f->families[INJECT_FAMILY_MI])
		return "mimalloc";
	if (text_starts_with(base, "ld-musl") || text_starts_with(base, "libc.musl"))
		return "musl";
	return c->inside ? c->inside : "unknown";
}

/* operator new of a C library's program is libstdc++'s, and comes down to malloc. */
static bool supplies_new(const struct module_names *f)
{
	bool c = f->families[INJECT_FAMILY_C] && strcmp(f->allocator, "glibc") != 0 &&
		 strcmp(f->allocator, "musl") != 0;

	return c || f->families[INJECT_FAMILY_JEMALLOC];
}

void module_names_collect(struct target *t, const struct target_module *m, struct exports *x,
			  bool is_static, struct module_names *ret)
{
	struct collector c = {.target = t, .module = m, .f = ret};

	*ret = (struct module_names){.is_static = is_static};
	collect_exports(&c, x);
	collect_symbols(&c);
	find_families(ret, c.inside != NULL);
	ret->allocator = name_allocator(&c);
	ret->families[INJECT_FAMILY_CXX] = supplies_new(ret);
	ret->families[INJECT_FAMILY_LOADER] = is_static || !(m->flags & TARGET_MODULE_MAIN);
}

void module_names_release(struct module_names *f)
{
	free(f->items);
	*f = (struct module_names){.items = NULL};
}

bool module_names_counts(const struct module_names *f, const struct module_name *n)
{
	enum inject_family family = n->name->family;

	/* A program may have one of its own, for its own unwinder. */
	if (n->name->function == INJECT_dl_iterate_phdr)
		return true;
	if (!f->families[family])
		return false;
	return !n->is_local || names_are_its_own(family) ||
	       (f->local_c && family != INJECT_FAMILY_LOADER);
}

const char *module_names_allocator(const struct module_names *f, const struct module_name *n)
{
	switch (n->name->family) {
	case INJECT_FAMILY_LOADER:
		return "";
	case INJECT_FAMILY_JEMALLOC:
	case INJECT_FAMILY_JE:
	case INJECT_FAMILY_RJEM:
		return "jemalloc";
	case INJECT_FAMILY_TC:
		return "tcmalloc";
	case INJECT_FAMILY_MI:
		return "mimalloc";
	default:
		return f->allocator;
	}
}
