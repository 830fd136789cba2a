/*
 * DWARF through elfutils' libdw and libdwfl.
 *
 *   debug ── units: range -> unit           made from all unit heads at the first look-up, because
 *             │                             .debug_aranges is missing from what clang makes
 *             └─ functions: range -> function     made when the first address falls into the unit
 *                  │
 *                  └─ calls: range -> inlined call, deepest wins    made at the function's first
 */
#include "sym/debug.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "sym/dwfl.h"
#include "sym/image.h"
#include "sym/ranges.h"

enum {
	TREE_DEPTH_MAX = 200, /* nested DIEs; deeper ones are not looked at */
	UNITS_MAX = 1 << 20,
	FUNCTIONS_MAX = 1 << 20, /* in a unit */
	CALLS_MAX = 1 << 18,	 /* inlined into one function */
	RANGES_MAX = 1 << 16,	 /* of one DIE */
	SYMBOLS_MAX = 16 << 20,
};

#define NO_CALL UINT32_MAX
#define WEIGHT_START                                                                               \
	UINT64_MAX /* as a weight: each range's own start, so that the nearest wins                \
		    */

struct call { /* a function inlined at a place */
	Dwarf_Die die;
	uint32_t caller; /* index of the call that this one is in, NO_CALL: the function itself */
};

struct function {
	Dwarf_Die die;
	struct call *calls;
	size_t nr, cap;
	struct ranges ranges;
	bool indexed;
};

struct unit {
	Dwarf_Die head; /* has the line table */
	Dwarf_Die tree; /* has the functions: head, or its split half */
	struct function *functions;
	size_t nr, cap;
	struct ranges ranges;
	bool indexed;
};

struct debug {
	struct debug_options options;
	Dwfl_Callbacks callbacks;
	Dwfl *dwfl;
	Dwfl_Module *module;
	bool dwarf_tried, debug_asked;
	Dwarf *dwarf; /* NULL: none */
	Dwarf *alternate;
	int alternate_fd;
	Dwarf_Addr bias; /* address = DWARF's address + bias */
	struct unit *units;
	size_t nr, cap;
	struct ranges ranges;
};

/* --- opening --- */

static int find_elf(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
		    char **path, Elf **elf)
{
	struct debug *d = *user;

	if (!d->options.debuginfod)
		return -1;
	return dwfl_build_id_find_elf(module, user, name, base, path, elf);
}

/*
 * libdwfl asks for the debug file and, through the same call, for the file that it shares with
 * others. The latter is set by ourselves (load_alternate), so only the first question is answered.
 */
static int find_debug(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
		      const char *file, const char *link, GElf_Word crc, char **path)
{
	struct debug *d = *user;
	const struct image *img = d->options.image;
	const unsigned char *id;
	GElf_Addr id_addr;
	int fd;

	if (d->debug_asked || (img && image_has_dwarf(img)))
		return -1;
	d->debug_asked = true;
	fd = d->options.open_debug ? d->options.open_debug(d->options.arg) : -1;
	/* Without a build-id libdwfl would take any file of the right name. */
	if (fd < 0 && d->options.debuginfod && dwfl_module_build_id(module, &id, &id_addr) > 0)
		fd = dwfl_standard_find_debuginfo(module, user, name, base, file, link, crc, path);
	return fd;
}

static struct debug *debug_new(const struct debug_options *o)
{
	struct debug *d = mem_alloc(sizeof(*d));

	d->options = *o;
	d->alternate_fd = -1;
	d->callbacks.find_elf = find_elf;
	d->callbacks.find_debuginfo = find_debug;
	d->callbacks.section_address = dwfl_offline_section_address;
	d->dwfl = dwfl_begin(&d->callbacks);
	if (d->dwfl)
		dwfl_report_begin(d->dwfl);
	return d;
}

static struct debug *report_end(struct debug *d)
{
	void **user;

	if (d->module && !dwfl_report_end(d->dwfl, NULL, NULL)) {
		dwfl_module_info(d->module, &user, NULL, NULL, NULL, NULL, NULL, NULL);
		*user = d;
		return d;
	}
	debug_close(d);
	return NULL;
}

struct debug *debug_open(int fd, const char *path, const struct debug_options *o)
{
	struct debug *d = debug_new(o);

	if (d->dwfl)
		d->module = dwfl_report_elf(d->dwfl, path, path, fd, 0, true);
	if (!d->module)
		close(fd);
	return report_end(d);
}

struct debug *debug_open_remote(const char *path, uint64_t start, uint64_t end,
				const uint8_t *build_id, size_t build_id_len,
				const struct debug_options *o)
{
	struct debug *d = debug_new(o);
	GElf_Addr bias;

	if (d->dwfl)
		d->module = dwfl_report_module(d->dwfl, path, start, end);
	if (d->module && dwfl_module_report_build_id(d->module, build_id, build_id_len, 0))
		d->module = NULL;
	d = report_end(d);
	if (d && !dwfl_module_getelf(d->module, &bias)) {
		debug_close(d);
		return NULL;
	}
	return d;
}

static void unit_release(struct unit *u)
{
	size_t i;

	for (i = 0; i < u->nr; i++) {
		free(u->functions[i].calls);
		ranges_release(&u->functions[i].ranges);
	}
	free(u->functions);
	ranges_release(&u->ranges);
}

void debug_close(struct debug *d)
{
	size_t i;

	if (!d)
		return;
	for (i = 0; i < d->nr; i++)
		unit_release(&d->units[i]);
	free(d->units);
	ranges_release(&d->ranges);
	if (d->dwfl)
		dwfl_end(d->dwfl);
	if (d->alternate)
		dwarf_end(d->alternate);
	if (d->alternate_fd >= 0)
		close(d->alternate_fd);
	free(d);
}

static void load_alternate(struct debug *d)
{
	int fd = d->options.open_alternate ? d->options.open_alternate(d->options.arg) : -1;

	if (fd < 0)
		return;
	d->alternate_fd = fd;
	d->alternate = dwarf_begin(fd, DWARF_C_READ);
	if (d->alternate)
		dwarf_setalt(d->dwarf, d->alternate);
}

/* --- symbols --- */

bool debug_has_symtab(struct debug *d)
{
	GElf_Addr bias;
	Elf *files[2] = {dwfl_module_getelf(d->module, &bias), NULL};
	size_t i, names;

	if (debug_has_dwarf(d))
		files[1] = dwarf_getelf(d->dwarf);
	for (i = 0; i < 2; i++) {
		Elf_Scn *scn = NULL;
		GElf_Shdr shdr;

		if (!files[i] || elf_getshdrstrndx(files[i], &names))
			continue;
		while ((scn = elf_nextscn(files[i], scn)) && gelf_getshdr(scn, &shdr)) {
			const char *name = elf_strptr(files[i], names, shdr.sh_name);

			if (shdr.sh_type == SHT_SYMTAB || (name && !strcmp(name, ".gnu_debugdata")))
				return true;
		}
	}
	return false;
}

static bool is_wanted(enum debug_symbols which, int type)
{
	if (which == DEBUG_DATA)
		return type == STT_OBJECT;
	return type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
}

void debug_each_symbol(struct debug *d, enum debug_symbols which,
		       void (*fn)(void *arg, const struct debug_symbol *s), void *arg)
{
	int i, nr = dwfl_module_getsymtab(d->module);

	for (i = 0; i < nr && i < SYMBOLS_MAX; i++) {
		struct debug_symbol s = {0};
		GElf_Word section;
		GElf_Addr addr;
		GElf_Sym sym;
		int type;

		s.name = dwfl_module_getsym_info(d->module, i, &sym, &addr, &section, NULL, NULL);
		type = GELF_ST_TYPE(sym.st_info);
		if (!s.name || !*s.name || section == SHN_UNDEF || section == SHN_ABS ||
		    !is_wanted(which, type))
			continue;
		s.addr = addr;
		s.size = sym.st_size;
		s.is_function = type != STT_NOTYPE;
		s.is_local = GELF_ST_BIND(sym.st_info) == STB_LOCAL;
		fn(arg, &s);
	}
}

/* --- walking trees --- */

/* Returns whether to look at the children of die, which is `depth` levels below the root. */
typedef bool (*visit_fn)(void *arg, Dwarf_Die *die, unsigned int depth);

/*
 * Visits all DIEs below root, parents first, without recursion. A tree is written in this order, so
 * positions only grow; a hostile sibling reference that goes back ends the walk instead of looping.
 */
static void walk(Dwarf_Die *root, visit_fn visit, void *arg)
{
	Dwarf_Die path[TREE_DEPTH_MAX + 1];
	unsigned int depth = 0;
	const void *last = root->addr;

	path[0] = *root;
	if (dwarf_child(&path[0], &path[1]))
		return;
	depth = 1;
	while (depth > 0) {
		Dwarf_Die *die = &path[depth];

		if (die->addr <= last)
			return;
		last = die->addr;
		if (visit(arg, die, depth) && depth < TREE_DEPTH_MAX &&
		    !dwarf_child(die, &path[depth + 1])) {
			depth++;
			continue;
		}
		while (depth > 0 && dwarf_siblingof(&path[depth], &path[depth]))
			depth--;
	}
}

/*
 * Adds the ranges of a DIE. Code that the linker threw away is still described, at address 0 or
 * thereabouts; it is known by lying outside of the executable segments.
 */
static bool add_ranges(const struct debug *d, struct ranges *r, Dwarf_Die *die, uint64_t weight,
		       uint32_t id)
{
	const struct image *img = d->options.image;
	Dwarf_Addr base, lo, hi;
	ptrdiff_t at = 0;
	bool any = false;
	size_t n = 0;

	while (n++ < RANGES_MAX && (at = dwarf_ranges(die, at, &base, &lo, &hi)) > 0) {
		any = true;
		if (lo > 0 && (!img || image_is_code(img, lo + d->bias)))
			ranges_add(r, lo, hi, weight == WEIGHT_START ? lo : weight, id);
	}
	return any;
}

/* --- units and functions --- */

struct function_walk {
	const struct debug *d;
	struct unit *unit;
};

static bool visit_function(void *arg, Dwarf_Die *die, unsigned int depth)
{
	struct function_walk *w = arg;
	struct unit *u = w->unit;

	(void)depth;
	switch (dwarf_tag(die)) {
	case DW_TAG_subprogram:
		if (u->nr < FUNCTIONS_MAX &&
		    add_ranges(w->d, &u->ranges, die, WEIGHT_START, (uint32_t)u->nr))
			ARRAY_PUSH(u->functions, u->nr, u->cap, ((struct function){.die = *die}));
		return true; /* nested functions, methods of local classes */
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type: /* methods of Rust's */
	case DW_TAG_lexical_block:
		return true;
	default:
		return false;
	}
}

static void index_functions(const struct debug *d, struct unit *u)
{
	struct function_walk w = {.d = d, .unit = u};

	if (u->indexed)
		return;
	u->indexed = true;
	walk(&u->tree, visit_function, &w);
	ranges_flatten(&u->ranges);
}

/* A unit that does not say which code it describes is asked function by function. */
static void add_unit_by_functions(struct debug *d, struct unit *u, uint32_t id)
{
	size_t i;

	index_functions(d, u);
	for (i = 0; i < u->ranges.nr; i++) {
		const struct range *r = &u->ranges.items[i];

		ranges_add(&d->ranges, r->lo, r->hi, r->lo, id);
	}
}

static void index_units(struct debug *d)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die head, split;
	uint8_t type;

	while (d->nr < UNITS_MAX &&
	       !dwarf_get_units(d->dwarf, cu, &cu, NULL, &type, &head, &split)) {
		struct unit u = {.head = head, .tree = head};

		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		if (type == DW_UT_skeleton && split.addr &&
		    dwarf_tag(&split) == DW_TAG_compile_unit)
			u.tree = split;
		if (!add_ranges(d, &d->ranges, &u.head, WEIGHT_START, (uint32_t)d->nr))
			add_unit_by_functions(d, &u, (uint32_t)d->nr);
		ARRAY_PUSH(d->units, d->nr, d->cap, u);
	}
	ranges_flatten(&d->ranges);
}

bool debug_has_dwarf(struct debug *d)
{
	if (!d->dwarf_tried) {
		d->dwarf_tried = true;
		d->dwarf = dwfl_module_getdwarf(d->module, &d->bias);
		if (d->dwarf) {
			load_alternate(d);
			index_units(d);
		}
	}
	return d->ranges.nr > 0;
}

/* --- inlined calls --- */

struct call_walk {
	const struct debug *d;
	struct function *function;
	uint32_t open[TREE_DEPTH_MAX + 2]; /* the call that level's children are in */
};

static bool visit_call(void *arg, Dwarf_Die *die, unsigned int depth)
{
	struct call_walk *w = arg;
	struct function *f = w->function;
	int tag = dwarf_tag(die);

	w->open[depth + 1] = w->open[depth];
	if (tag == DW_TAG_inlined_subroutine) {
		struct call call = {.die = *die, .caller = w->open[depth]};

		if (f->nr >= CALLS_MAX)
			return false;
		add_ranges(w->d, &f->ranges, die, depth, (uint32_t)f->nr);
		w->open[depth + 1] = (uint32_t)f->nr;
		ARRAY_PUSH(f->calls, f->nr, f->cap, call);
		return true;
	}
	return tag == DW_TAG_lexical_block || tag == DW_TAG_try_block || tag == DW_TAG_catch_block;
}

static void index_calls(const struct debug *d, struct function *f)
{
	struct call_walk w = {.d = d, .function = f};

	if (f->indexed)
		return;
	f->indexed = true;
	w.open[0] = w.open[1] = NO_CALL;
	walk(&f->die, visit_call, &w);
	ranges_flatten(&f->ranges);
}

/* --- one address --- */

/* Follows DW_AT_abstract_origin and DW_AT_specification; sets frame->mangled. */
static void name_function(Dwarf_Die *die, struct debug_frame *frame)
{
	static const unsigned int names[] = {DW_AT_linkage_name, DW_AT_MIPS_linkage_name,
					     DW_AT_name};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]) && !frame->function; i++) {
		Dwarf_Attribute attr;

		if (dwarf_attr_integrate(die, names[i], &attr))
			frame->function = dwarf_formstring(&attr);
		frame->mangled = frame->function && names[i] != DW_AT_name;
	}
}

static const char *folder_of(struct unit *u)
{
	Dwarf_Attribute attr;

	return dwarf_attr(&u->head, DW_AT_comp_dir, &attr) ? dwarf_formstring(&attr) : NULL;
}

static void line_of_address(struct unit *u, uint64_t addr, struct debug_frame *frame)
{
	Dwarf_Line *line = dwarf_getsrc_die(&u->head, addr);
	int number;

	if (!line)
		return;
	frame->file = dwarf_linesrc(line, NULL, NULL);
	if (!dwarf_lineno(line, &number) && number > 0)
		frame->line = (uint32_t)number;
}

static uint64_t number_of(Dwarf_Die *die, unsigned int name)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;

	return dwarf_attr(die, name, &attr) && !dwarf_formudata(&attr, &value) ? value : 0;
}

static void line_of_call(struct unit *u, Dwarf_Die *call, struct debug_frame *frame)
{
	uint64_t file = number_of(call, DW_AT_call_file), line = number_of(call, DW_AT_call_line);
	Dwarf_Files *files;
	size_t nr;

	frame->line = line <= INT32_MAX ? (uint32_t)line : 0;
	if (dwarf_hasattr(call, DW_AT_call_file) && !dwarf_getsrcfiles(&u->tree, &files, &nr) &&
	    file < nr)
		frame->file = dwarf_filesrc(files, file, NULL, NULL);
}

static uint64_t start_of(Dwarf_Die *function, uint64_t addr)
{
	Dwarf_Addr base, lo, hi, entry;
	ptrdiff_t at = 0;
	size_t n = 0;

	while (n++ < RANGES_MAX && (at = dwarf_ranges(function, at, &base, &lo, &hi)) > 0) {
		if (addr < lo || addr >= hi)
			continue;
		if (!dwarf_entrypc(function, &entry) && entry >= lo && entry <= addr)
			return entry;
		return lo;
	}
	return addr;
}

static struct unit *find_unit(struct debug *d, uint64_t addr)
{
	const struct range *r = debug_has_dwarf(d) ? ranges_find(&d->ranges, addr - d->bias) : NULL;

	return r ? &d->units[r->id] : NULL;
}

static struct function *find_function(const struct debug *d, struct unit *u, uint64_t addr)
{
	const struct range *r;

	index_functions(d, u);
	r = ranges_find(&u->ranges, addr);
	return r ? &u->functions[r->id] : NULL;
}

static uint32_t find_call(const struct debug *d, struct function *f, uint64_t addr)
{
	const struct range *r;

	index_calls(d, f);
	r = ranges_find(&f->ranges, addr);
	return r ? r->id : NO_CALL;
}

/*
 * From the innermost call outwards. What the line table says belongs to the innermost function;
 * each call then gives the line in the function around it.
 */
static size_t unroll(struct unit *u, struct function *f, uint32_t call, bool inlines,
		     struct debug_frame frames[DEBUG_FRAMES_MAX])
{
	struct debug_frame *frame = &frames[0];
	size_t nr = 1;

	for (; call != NO_CALL; call = f->calls[call].caller) {
		const char *folder = frame->folder;

		name_function(&f->calls[call].die, frame);
		/* The real function must be the last one even where there are too many. */
		if (inlines && nr < DEBUG_FRAMES_MAX) {
			frame = &frames[nr++];
		}
		*frame = (struct debug_frame){.folder = folder};
		line_of_call(u, &f->calls[call].die, frame);
	}
	name_function(&f->die, frame);
	return nr;
}

size_t debug_find(struct debug *d, uint64_t addr, bool inlines,
		  struct debug_frame frames[DEBUG_FRAMES_MAX])
{
	struct unit *u = find_unit(d, addr);
	struct function *f;
	uint64_t at;
	size_t nr;

	frames[0] = (struct debug_frame){0};
	if (!u)
		return 0;
	at = addr - d->bias;
	frames[0].folder = folder_of(u);
	line_of_address(u, at, &frames[0]);
	f = find_function(d, u, at);
	if (!f)
		return 0;
	nr = unroll(u, f, find_call(d, f, at), inlines, frames);
	frames[nr - 1].start = start_of(&f->die, at) + d->bias;
	return nr;
}
