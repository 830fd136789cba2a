/*
 * The symbolizer: finds and opens a module's files at its first address, asks DWARF, then the
 * symbol table, then the PLT, and remembers every answer.
 */
#include "sym/sym.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "sym/debug.h"
#include "sym/demangle.h"
#include "sym/image.h"
#include "sym/names.h"
#include "sym/perfmap.h"
#include "sym/plt.h"
#include "sym/search.h"
#include "sym/symtab.h"
#include "sym/unwind.h"
#include "sym/vdso.h"

struct answer {
	struct sym_frame *frames;
	size_t nr;
};

struct module {
	struct sym *owner;
	struct sym_module is;	/* path and build_id are ours */
	bool looked_for, found; /* its file */
	bool opened, has_variables;
	struct found file; /* what the target runs, or its debug file when that is all there is */
	struct found debug_file;
	struct debug *debug; /* NULL: no symbols */
	struct symtab symtab;
	struct symtab variables; /* when first asked for */
	struct plt plt;
	enum sym_source source;
	struct str why;
	struct map answers; /* address -> index + 1 into the symbolizer's answers */
};

struct sym {
	struct sym_options options;
	struct search search;
	struct names names;
	struct module **modules;
	size_t nr_modules, cap_modules;
	struct answer *answers;
	size_t nr_answers, cap_answers;
	struct module jit; /* answers only */
	struct perfmap perfmap;
	bool perfmap_read;
	int root_fd; /* -1: the target sees what we see */
	struct str scratch;
	struct unwinder *unwinder; /* NULL: not needed yet */
};

static int open_root(const struct sym_options *o)
{
	if (o->root && *o->root)
		return open(o->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return o->root_fd > 0 ? fcntl(o->root_fd, F_DUPFD_CLOEXEC, 0) : -1;
}

struct sym *sym_new(const struct sym_options *options)
{
	struct sym *s = mem_alloc(sizeof(*s));

	s->options = *options;
	s->options.paths = s->options.root = NULL; /* the caller's; not needed any more */
	s->root_fd = open_root(options);
	search_init(&s->search, options, s->root_fd);
	names_init(&s->names);
	str_init(&s->scratch);
	return s;
}

static void module_free(struct module *m)
{
	symtab_release(&m->symtab);
	symtab_release(&m->variables);
	plt_release(&m->plt);
	debug_close(m->debug);
	found_release(&m->debug_file);
	found_release(&m->file);
	str_release(&m->why);
	map_release(&m->answers);
	free((char *)m->is.path);
	free((uint8_t *)m->is.build_id);
	free(m);
}

void sym_free(struct sym *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->nr_modules; i++)
		module_free(s->modules[i]);
	free(s->modules);
	for (i = 0; i < s->nr_answers; i++)
		free(s->answers[i].frames);
	free(s->answers);
	map_release(&s->jit.answers);
	if (s->perfmap_read)
		perfmap_release(&s->perfmap);
	unwinder_free(s->unwinder);
	search_release(&s->search);
	names_release(&s->names);
	str_release(&s->scratch);
	if (s->root_fd >= 0)
		close(s->root_fd);
	free(s);
}

int sym_add_module(struct sym *s, const struct sym_module *is)
{
	struct module *m = mem_alloc(sizeof(*m));

	m->owner = s;
	m->is = *is;
	m->is.path = mem_strdup(is->path ? is->path : "");
	m->is.build_id = NULL;
	if (is->build_id_len > 0) {
		uint8_t *id = mem_alloc(is->build_id_len);

		memcpy(id, is->build_id, is->build_id_len);
		m->is.build_id = id;
	}
	m->file = m->debug_file = (struct found)FOUND_NONE;
	str_init(&m->why);
	ARRAY_PUSH(s->modules, s->nr_modules, s->cap_modules, m);
	return (int)s->nr_modules - 1;
}

/* --- opening a module --- */

static int give_away(const struct found *f)
{
	return f->fd < 0 ? -1 : fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
}

static int open_debug(void *arg)
{
	struct module *m = arg;

	/* Of a file that came from a server there is nothing else here; see search_module(). */
	if (m->file.image)
		search_debug(&m->owner->search, &m->file, &m->debug_file);
	return give_away(&m->debug_file);
}

static int open_alternate(void *arg)
{
	struct module *m = arg;
	const struct found *of = m->debug_file.fd >= 0 ? &m->debug_file : &m->file;
	struct found alternate = FOUND_NONE;
	int fd = -1;

	if (of->image && search_alternate(&m->owner->search, of, &alternate))
		fd = give_away(&alternate);
	found_release(&alternate);
	return fd;
}

static bool wants_debuginfod(const struct sym *s)
{
	const char *urls = getenv("DEBUGINFOD_URLS");

	return !s->options.no_debuginfod && urls && *urls;
}

static bool open_vdso(struct module *m)
{
	struct found *f = &m->file;

	f->fd = vdso_open();
	f->image = f->fd >= 0 ? image_open(f->fd) : NULL;
	if (f->image && image_has_build_id(f->image, m->is.build_id, m->is.build_id_len)) {
		f->path = mem_strdup(m->is.path);
		return true;
	}
	found_release(f);
	str_add(&m->why, "not the vdso of the running kernel");
	return false;
}

static bool open_file(struct module *m)
{
	if (!strcmp(m->is.path, "[vdso]"))
		return open_vdso(m);
	if (m->is.path[0] == '[' || m->is.path[0] == '\0') {
		str_add(&m->why, "not from a file");
		return false;
	}
	return search_module(&m->owner->search, &m->is, &m->file, &m->why);
}

/* Once. */
static bool find_file(struct module *m)
{
	if (!m->looked_for)
		m->found = open_file(m);
	m->looked_for = true;
	return m->found;
}

static void open_debug_of(struct module *m)
{
	struct debug_options o = {
		.debuginfod = wants_debuginfod(m->owner),
		.open_debug = open_debug,
		.open_alternate = open_alternate,
		.arg = m,
	};

	if (find_file(m)) {
		o.image = m->file.image;
		m->debug = debug_open(give_away(&m->file), m->file.path, &o);
		if (!m->debug)
			str_add(&m->why, "the file cannot be loaded");
	} else if (o.debuginfod && m->is.build_id_len > 0 && m->is.path[0] == '/') {
		m->debug = debug_open_remote(m->is.path, m->is.start - m->is.bias,
					     m->is.end - m->is.bias, m->is.build_id,
					     m->is.build_id_len, &o);
		if (m->debug)
			str_clear(&m->why);
	}
}

static void module_open(struct module *m)
{
	if (m->opened)
		return;
	m->opened = true;
	open_debug_of(m);
	if (!m->debug)
		return;
	plt_init(&m->plt, m->file.image);
	symtab_init(&m->symtab, m->debug, m->file.image);
	if (debug_has_dwarf(m->debug))
		m->source = SYM_DWARF;
	else if (debug_has_symtab(m->debug))
		m->source = SYM_SYMTAB;
	else if (m->symtab.nr > 0)
		m->source = SYM_EXPORTS;
	else
		str_add(&m->why, "stripped, and no separate debug file found");
}

/* --- one address --- */

static const char *readable(struct sym *s, const char *name)
{
	str_clear(&s->scratch);
	demangle(name, &s->scratch);
	return names_add(&s->names, s->scratch.data);
}

static const char *readable_function(struct sym *s, const struct debug_frame *f)
{
	return f->mangled ? readable(s, f->function) : names_add(&s->names, f->function);
}

/* The version is the linker's business: "pthread_create@@GLIBC_2.34". */
static const char *readable_symbol(struct sym *s, const char *name)
{
	size_t len = strcspn(name, "@");
	const char *ret;
	char *bare;

	if (len == 0)
		return readable(s, name);
	bare = mem_strndup(name, len);
	ret = readable(s, bare);
	free(bare);
	return ret;
}

static uint32_t offset_from(uint64_t start, uint64_t addr)
{
	return addr - start > UINT32_MAX ? UINT32_MAX : (uint32_t)(addr - start);
}

static bool is_mangled(const char *name)
{
	return name[0] == '_' && (name[1] == 'Z' || name[1] == 'R' || name[1] == 'D');
}

/*
 * DWARF's short name of a C++ or Rust function lacks its scope and parameters where the compiler
 * wrote no linkage name, and its name of a C function may be an inner alias (__libc_malloc). The
 * symbol table then knows better.
 */
static bool is_better(const char *symbol, const struct debug_frame *real)
{
	return is_mangled(symbol) ? !real->mangled
				  : strspn(symbol, "_") < strspn(real->function, "_");
}

static void name_real(struct sym *s, struct module *m, uint64_t addr, struct debug_frame *real,
		      struct sym_frame *out)
{
	uint64_t start = 0;
	const char *symbol = NULL;

	if (!real->function || !is_mangled(real->function))
		symbol = symtab_find(&m->symtab, addr, &start);
	if (real->function && !(symbol && start == real->start && is_better(symbol, real))) {
		out->function = readable_function(s, real);
		out->offset = offset_from(real->start, addr);
	} else if (symbol) {
		out->function = readable_symbol(s, symbol);
		out->offset = offset_from(start, addr);
	} else {
		out->function = names_add(&s->names, plt_find(&m->plt, addr, &start));
		out->offset = *out->function ? offset_from(start, addr) : 0;
	}
}

static size_t ask_module(struct sym *s, struct module *m, uint64_t addr, struct sym_frame *out)
{
	struct debug_frame frames[DEBUG_FRAMES_MAX];
	size_t i, nr = debug_find(m->debug, addr, !s->options.no_inlines, frames);
	size_t nr_out = nr > 0 ? nr : 1;

	for (i = 0; i < nr_out; i++) {
		out[i] = (struct sym_frame){
			.function = "",
			.file = names_add_path(&s->names, frames[i].folder, frames[i].file),
			.line = frames[i].line,
		};
		if (i + 1 < nr_out)
			out[i].function = readable_function(s, &frames[i]);
	}
	name_real(s, m, addr, &frames[nr_out - 1], &out[nr_out - 1]);
	return nr_out == 1 && !*out[0].function && !*out[0].file ? 0 : nr_out;
}

static const struct perfmap *get_perfmap(struct sym *s)
{
	if (!s->perfmap_read)
		perfmap_init(&s->perfmap, &s->options, s->root_fd);
	s->perfmap_read = true;
	return &s->perfmap;
}

static size_t ask_perfmap(struct sym *s, uint64_t addr, struct sym_frame *out)
{
	uint64_t start;
	const char *name = perfmap_find(get_perfmap(s), addr, &start);

	if (!name)
		return 0;
	*out = (struct sym_frame){
		.function = readable(s, name), .file = "", .offset = offset_from(start, addr)};
	return 1;
}

static struct answer make_answer(struct sym *s, struct module *m, uint64_t address)
{
	struct sym_frame frames[DEBUG_FRAMES_MAX];
	struct answer a = {0};

	if (m == &s->jit)
		a.nr = ask_perfmap(s, address, frames);
	else if (m->debug)
		a.nr = ask_module(s, m, address - m->is.bias, frames);
	if (a.nr > 0) {
		a.frames = mem_alloc_array(a.nr, sizeof(*a.frames));
		memcpy(a.frames, frames, a.nr * sizeof(*a.frames));
	}
	return a;
}

static struct module *get_module(struct sym *s, int module)
{
	if (module < 0 || (size_t)module >= s->nr_modules)
		return NULL;
	module_open(s->modules[module]);
	return s->modules[module];
}

size_t sym_resolve(struct sym *s, int module, uint64_t address, const struct sym_frame **ret_frames)
{
	struct module *m = module < 0 ? &s->jit : get_module(s, module);
	uint64_t *index;
	bool added;

	*ret_frames = NULL;
	if (!m)
		return 0;
	index = map_at(&m->answers, address, &added);
	if (added) {
		ARRAY_PUSH(s->answers, s->nr_answers, s->cap_answers, make_answer(s, m, address));
		*index = s->nr_answers;
	}
	*ret_frames = s->answers[*index - 1].frames;
	return s->answers[*index - 1].nr;
}

const char *sym_variable(struct sym *s, int module, uint64_t address, uint64_t *ret_offset)
{
	struct module *m = get_module(s, module);
	const char *name;
	uint64_t start;

	if (!m || !m->debug)
		return NULL;
	if (!m->has_variables)
		symtab_init_data(&m->variables, m->debug);
	m->has_variables = true;
	name = symtab_find(&m->variables, address - m->is.bias, &start);
	if (!name)
		return NULL;
	*ret_offset = address - m->is.bias - start;
	return readable_symbol(s, name);
}

/* --- calls --- */

size_t sym_unwind(struct sym *s, const struct unwind_thread *t, struct unwind_frame *ret,
		  size_t max)
{
	if (!s->unwinder) {
		s->unwinder = unwinder_new();
		for (size_t i = 0; i < s->nr_modules; i++) {
			struct module *m = s->modules[i];

			if (!m->is.unloaded && find_file(m))
				unwinder_add(s->unwinder, give_away(&m->file), m->file.path,
					     m->is.bias);
		}
	}
	return unwinder_frames(s->unwinder, t, ret, max);
}

/* --- where it came from --- */

enum sym_source sym_module_source(struct sym *s, int module, const char **ret_why)
{
	struct module *m = get_module(s, module);

	*ret_why = "";
	if (!m) {
		if (get_perfmap(s)->nr > 0)
			return SYM_PERF_MAP;
		*ret_why = "not in any module, and no perf map";
		return SYM_NONE;
	}
	*ret_why = m->why.data;
	return m->source;
}

const char *sym_module_file(struct sym *s, int module)
{
	struct module *m = get_module(s, module);

	if (!m)
		return "";
	if (m->debug_file.path)
		return m->debug_file.path;
	return m->file.path ? m->file.path : "";
}
