/* Stacks as lines: walks the tree, spreads inlined functions, and says what kind of code a line is.
 */
#include "model/lines.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "model/snapshot.h"

/* Deeper stacks than this can only come from a damaged or hostile file. */
#define LINES_MAX 65536

/*
 * Functions whose callers are the interesting ones, whatever module they live in: C and C++ entry
 * points, the x-wrappers that stop the program when memory runs out, and Rust's global allocator.
 */
static const char *const allocator_names[] = {
	"malloc",
	"calloc",
	"realloc",
	"reallocarray",
	"memalign",
	"aligned_alloc",
	"posix_memalign",
	"valloc",
	"pvalloc",
	"free",
	"cfree",
	"seep_pool_alloc", /* include/seep/seep.h */
	"mallocx",
	"rallocx",
	"xmalloc",
	"xcalloc",
	"xrealloc",
	"xzalloc",
	"xmallocz",
	"xreallocarray",
	"__libc_malloc",
	"__libc_calloc",
	"__libc_realloc",
	"__libc_memalign",
	"__libc_valloc",
	"__libc_pvalloc",
	"__posix_memalign",
	"__libc_reallocarray",
	"_int_malloc",
	"_int_realloc",
	"_int_memalign",
	"_mid_memalign",
	"sysmalloc",
	"malloc_consolidate",
	"tcache_init",
	"ptmalloc_init",
	"__GI___libc_malloc",
	"__rust_alloc",
	"__rust_alloc_zeroed",
	"__rust_realloc",
	"__rdl_alloc",
	"__rdl_alloc_zeroed",
	"__rdl_realloc",
	"__rg_alloc",
	"__rg_alloc_zeroed",
	"__rg_realloc",
};

/* Families, by how their names begin. */
static const char *const allocator_prefixes[] = {
	"operator new", "_Znw",	      "_Zna",		"je_",	       "mi_malloc",
	"mi_calloc",	"mi_realloc", "mi_heap_malloc", "mi_new",      "tc_malloc",
	"tc_calloc",	"tc_realloc", "tc_new",		"tc_memalign",
};

static const char *const startup_names[] = {
	"_start",
	"__libc_start_main",
	"__libc_start_call_main",
	"__libc_start_main_impl",
	"__libc_init_first",
	"__libc_start_main_stage2",
	"start_thread",
	"clone",
	"clone3",
	"__clone",
	"__clone3",
	"__clone_internal",
	"execute_native_thread_routine",
	"std::execute_native_thread_routine",
	"thread_start",
};

/* Source that comes with compilers and system packages, also where it was inlined into own code. */
static const char *const library_files[] = {"/usr/include/", "/usr/lib/", "/rustc/"};
static const char *const library_inside[] = {"/include/c++/", "/lib/rustlib/src/"};
static const char *const library_functions[] = {
	"std::", "__gnu_cxx::", "core::", "alloc::", "<alloc::", "<core::", "<std::"};

#define NR(array) (sizeof(array) / sizeof((array)[0]))

static bool one_of(const char *name, const char *const *names, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (name[0] == names[i][0] && strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

static bool begins_with_one_of(const char *name, const char *const *prefixes, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (name[0] == prefixes[i][0] &&
		    strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	}
	return false;
}

/* "__libc_start_main@@GLIBC_2.34" is __libc_start_main. Returns the length without the version. */
static size_t unversioned(const char *name)
{
	const char *at = strchr(name, '@');

	return at ? (size_t)(at - name) : strlen(name);
}

static bool is_allocator(const char *function, const struct wrapper_names *wrappers)
{
	if (one_of(function, allocator_names, NR(allocator_names)) ||
	    begins_with_one_of(function, allocator_prefixes, NR(allocator_prefixes)))
		return true;
	for (size_t i = 0; wrappers && i < wrappers->nr; i++) {
		if (fnmatch(wrappers->patterns[i], function, 0) == 0)
			return true;
	}
	return false;
}

static bool is_library_source(const struct line *line)
{
	if (line->file[0] == 0)
		return begins_with_one_of(line->function, library_functions, NR(library_functions));
	for (size_t i = 0; i < NR(library_inside); i++) {
		if (strstr(line->file, library_inside[i]))
			return true;
	}
	return begins_with_one_of(line->file, library_files, NR(library_files));
}

static enum line_kind kind_of(const struct line *line, uint32_t module_flags,
			      const struct wrapper_names *wrappers)
{
	char function[128];
	size_t len = unversioned(line->function);

	if (module_flags & MODULE_RECORDER)
		return LINE_RECORDER;
	/* Every name in the tables is short; a longer one keeps its full text. */
	if (len < sizeof(function)) {
		memcpy(function, line->function, len);
		function[len] = 0;
		if (is_allocator(function, wrappers))
			return LINE_ALLOCATOR;
		if (one_of(function, startup_names, NR(startup_names)))
			return LINE_STARTUP;
	} else if (is_allocator(line->function, wrappers)) {
		return LINE_ALLOCATOR;
	}
	if ((module_flags & MODULE_SYSTEM) && !(module_flags & MODULE_MAIN))
		return LINE_LIBRARY;
	return is_library_source(line) ? LINE_LIBRARY : LINE_OWN;
}

void lines_init(struct lines *l)
{
	memset(l, 0, sizeof(*l));
}

void lines_release(struct lines *l)
{
	if (!l)
		return;
	free(l->items);
	lines_init(l);
}

static struct line *add_line(struct lines *l)
{
	static const struct line blank = {.function = "", .file = "", .module = ""};

	ARRAY_PUSH(l->items, l->nr, l->cap, blank);
	return &l->items[l->nr - 1];
}

static void add_mark(struct lines *l, enum special_frame special)
{
	struct line *line = add_line(l);

	line->kind = LINE_MARK;
	line->special = (uint8_t)special;
}

static void add_tag(struct lines *l, const char *text)
{
	struct line *line = add_line(l);

	line->kind = LINE_TAG;
	line->function = text;
}

static void add_frame(struct lines *l, const struct snapshot *s, const struct frame *f,
		      const struct wrapper_names *wrappers)
{
	const struct module *module = f->module == NO_INDEX ? NULL : &s->modules[f->module];
	uint32_t flags = module ? module->flags : 0;
	uint32_t nr = f->symbols_nr ? f->symbols_nr : 1;

	for (uint32_t i = 0; i < nr && l->nr < LINES_MAX; i++) {
		struct line *line = add_line(l);

		line->address = f->pc;
		line->module_offset = f->pc;
		if (module) {
			line->module = strings_get(&s->strings, module->path);
			line->module_offset = f->pc - module->bias;
			line->build_id = module->build_id;
			line->build_id_len = module->build_id_len;
		}
		line->inlined = i + 1 < nr;
		if (f->symbols_nr) {
			const struct symbol *symbol = &s->symbols[f->symbols_first + i];

			line->function = strings_get(&s->strings, symbol->function);
			line->file = strings_get(&s->strings, symbol->file);
			line->line = symbol->line;
			line->function_offset = line->inlined ? 0 : symbol->offset;
		}
		line->kind = kind_of(line, flags, wrappers);
		/* A private allocator without symbols: its innermost frames are still its own. */
		if (line->function[0] == 0 && (flags & MODULE_ALLOCATOR) &&
		    (l->nr == 1 || l->items[l->nr - 2].kind == LINE_RECORDER ||
		     l->items[l->nr - 2].kind == LINE_ALLOCATOR))
			line->kind = LINE_ALLOCATOR;
	}
}

/* The C library's start-up code has no names without its debug symbols. */
static bool is_tail(const struct line *line)
{
	/* seep run --leaks may stand between the C library and main. */
	if (line->kind == LINE_STARTUP || line->kind == LINE_RECORDER)
		return true;
	return line->function[0] == 0 && line->kind == LINE_LIBRARY &&
	       (strncmp(text_base_name(line->module), "libc.so", 7) == 0 ||
		strncmp(text_base_name(line->module), "libc-2", 6) == 0);
}

static void find_bounds(struct lines *l)
{
	l->inner = 0;
	l->outer = l->nr;
	while (l->inner < l->nr && (l->items[l->inner].kind == LINE_ALLOCATOR ||
				    l->items[l->inner].kind == LINE_RECORDER))
		l->inner++;
	/* Nothing but allocator: the call into it is all there is to show. */
	if (l->inner == l->nr)
		l->inner = l->nr - 1;
	while (l->outer > l->inner + 1 && is_tail(&l->items[l->outer - 1]))
		l->outer--;
}

/*
 * Tags stand together, before the start-up code that they are outside of: nobody reads that far.
 */
static void gather_tags(struct lines *l)
{
	size_t code = 0, tail;
	struct line *tags;

	for (size_t i = 0; i < l->nr; i++)
		code += l->items[i].kind != LINE_TAG;
	if (code == l->nr)
		return;
	tags = mem_alloc_array(l->nr - code, sizeof(*tags));
	for (size_t i = 0, to = 0, t = 0; i < l->nr; i++) {
		if (l->items[i].kind == LINE_TAG)
			tags[t++] = l->items[i];
		else
			l->items[to++] = l->items[i];
	}
	for (tail = code; tail && is_tail(&l->items[tail - 1]);)
		tail--;
	memmove(&l->items[tail + l->nr - code], &l->items[tail], (code - tail) * sizeof(*tags));
	memcpy(&l->items[tail], tags, (l->nr - code) * sizeof(*tags));
	free(tags);
}

void lines_tags(const struct lines *l, struct str *out)
{
	bool any = false;

	for (size_t i = l->nr; i-- > 0;) {
		if (l->items[i].kind != LINE_TAG)
			continue;
		str_printf(out, "%s%s", any ? " " : "", l->items[i].function);
		any = true;
	}
}

void lines_of_stack(struct lines *l, const struct snapshot *s, uint32_t node,
		    const struct wrapper_names *wrappers)
{
	l->nr = 0;
	while (node != 0 && node < s->nr_nodes && l->nr < LINES_MAX) {
		const struct stack_node *n = &s->nodes[node];

		if (n->special == FRAME_TAG)
			add_tag(l, strings_get(&s->strings, n->tag));
		else if (n->special != FRAME_NONE)
			add_mark(l, n->special);
		else if (n->frame < s->nr_frames)
			add_frame(l, s, &s->frames[n->frame], wrappers);
		if (n->parent >= node)
			break;
		node = n->parent;
	}
	if (l->nr == 0)
		add_mark(l, FRAME_UNKNOWN_STACK);
	gather_tags(l);
	find_bounds(l);
}
