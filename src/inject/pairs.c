/* See pairs.h. */
#include "inject/pairs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "inject/entries.h"
#include "inject/exports.h"
#include "inject/symbols.h"
#include "target/maps.h"
#include "target/module_file.h"
#include "target/process.h"
#include "target/target.h"
#include "wire/blob.h"

#define VERSIONS_MAX 4
#define NAME_LEAST 4 /* shorter ones are looked for among exports only */
#define PLACE(n) ((uint32_t)(n) << WIRE_PAIR_PLACE_SHIFT)

/* ---- what the user typed ---- */

static int bad_pair(const char *text, struct error *e)
{
	error_set(e, -EINVAL, EXIT_USAGE, "'%s' is no pair of functions", text);
	error_hint(e, "write open=FUNC:close=FUNC, several FUNC with commas between; FUNC@2 where "
		      "the second argument has or points to the handle, FUNC@int where a number is "
		      "returned, FUNC@ok where a close that does not return 0 is none, "
		      "LIBRARY/FUNC where several have it");
	return -EINVAL;
}

/* Functions that everybody knows to have their handle elsewhere, or to release it at times only. */
static uint32_t usual_place(const char *name, bool opens)
{
	static const struct {
		const char *name;
		uint32_t place;
	} known[] = {
		{"sqlite3_open", 2},	  {"sqlite3_open16", 2},       {"sqlite3_open_v2", 2},
		{"sqlite3_prepare", 4},	  {"sqlite3_prepare_v2", 4},   {"sqlite3_prepare_v3", 5},
		{"sqlite3_prepare16", 4}, {"sqlite3_prepare16_v2", 4}, {"getaddrinfo", 4},
	};

	if (!opens)
		return PLACE(1) | (strcmp(name, "sqlite3_close") ? 0 : WIRE_PAIR_JUDGED);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i].name, name))
			return PLACE(known[i].place);
	return 0;
}

/* What stands behind '@'; false: it is none. */
static bool parse_place(const char *text, size_t len, bool opens, uint32_t *ret_what)
{
	uint32_t place = 0, flags = 0;

	if (len && *text >= '1' && *text <= '6') {
		place = (uint32_t)(*text++ - '0');
		len--;
	}
	if (opens && !place && len == 3 && !strncmp(text, "int", 3))
		flags = WIRE_PAIR_NUMBER;
	else if (!opens && len == 2 && !strncmp(text, "ok", 2))
		flags = WIRE_PAIR_JUDGED;
	else if (len || !place)
		return false;
	*ret_what = PLACE(place || opens ? place : 1) | flags;
	return true;
}

static bool add_function(struct pairs *p, const char *text, size_t len, bool opens)
{
	const char *at = memchr(text, '@', len), *slash = memchr(text, '/', len), *name;
	const char *end = at ? at : text + len;
	struct pair_function f = {.opens = opens};

	name = slash ? slash + 1 : text;
	if (end <= name || end - name >= EXPORTS_NAME_BYTES || (slash && slash == text) ||
	    memchr(name, '/', (size_t)(text + len - name)) || memchr(text, '=', len))
		return false;
	f.name = mem_strndup(name, (size_t)(end - name));
	f.library = mem_strndup(text, slash ? (size_t)(slash - text) : 0);
	f.what = usual_place(f.name, opens);
	if (at && !parse_place(at + 1, (size_t)(text + len - at - 1), opens, &f.what)) {
		free(f.name);
		free(f.library);
		return false;
	}
	f.what |= (uint32_t)p->nr_kinds;
	ARRAY_PUSH(p->items, p->nr, p->cap, f);
	return true;
}

static bool add_functions(struct pairs *p, const char *text, const char *end, bool opens)
{
	for (;;) {
		const char *comma = memchr(text, ',', (size_t)(end - text));

		if (!add_function(p, text, (size_t)((comma ? comma : end) - text), opens))
			return false;
		if (!comma)
			return true;
		text = comma + 1;
	}
}

static int add_kind(struct pairs *p, const char *name, struct error *e)
{
	if (p->nr_kinds == PAIR_KINDS_MAX)
		return error_set(e, -EINVAL, EXIT_USAGE, "there are more than %d pairs",
				 PAIR_KINDS_MAX);
	p->kinds[p->nr_kinds++] = mem_strdup(name);
	return 0;
}

static void drop_from(struct pairs *p, size_t nr)
{
	while (p->nr > nr) {
		free(p->items[--p->nr].name);
		free(p->items[p->nr].library);
	}
}

int pairs_add(struct pairs *p, const char *text, struct error *e)
{
	static const char open_is[] = "open=", close_is[] = ":close=";
	const char *open, *end, *close;
	size_t first = p->nr;
	bool numbers = false;

	end = strchr(text, ':');
	if (!text_starts_with(text, open_is) || !end || !text_starts_with(end, close_is))
		return bad_pair(text, e);
	open = text + sizeof(open_is) - 1;
	close = end + sizeof(close_is) - 1;
	if (strchr(close, ':') || !add_functions(p, open, end, true) ||
	    !add_functions(p, close, close + strlen(close), false)) {
		drop_from(p, first);
		return bad_pair(text, e);
	}
	for (size_t i = first; i < p->nr; i++)
		numbers |= p->items[i].what & WIRE_PAIR_NUMBER;
	for (size_t i = first; i < p->nr && numbers; i++)
		p->items[i].what |= WIRE_PAIR_NUMBER;
	return add_kind(p, p->items[first].name, e);
}

static const struct {
	const char *name;
	bool opens;
	uint32_t what;
} descriptor_functions[] = {
#define OPENS(name, what)                                                                          \
	{                                                                                          \
#name, true, WIRE_PAIR_NUMBER | (what)                                             \
	}
#define CLOSES(name, what)                                                                         \
	{                                                                                          \
#name, false, WIRE_PAIR_NUMBER | PLACE(1) | (what)                                 \
	}
	/* clang-format off */
	OPENS(open, 0), OPENS(open64, 0), OPENS(openat, 0), OPENS(openat64, 0),
	OPENS(creat, 0), OPENS(creat64, 0), OPENS(shm_open, 0), OPENS(memfd_create, 0),
	OPENS(mkstemp, 0), OPENS(mkstemp64, 0), OPENS(mkostemp, 0), OPENS(mkostemp64, 0),
	OPENS(mkstemps, 0), OPENS(mkstemps64, 0), OPENS(mkostemps, 0), OPENS(mkostemps64, 0),
	OPENS(socket, 0), OPENS(accept, 0), OPENS(accept4, 0), OPENS(dup, 0),
	OPENS(dup2, WIRE_PAIR_DUP), OPENS(dup3, WIRE_PAIR_DUP),
	OPENS(fcntl, WIRE_PAIR_FCNTL), OPENS(fcntl64, WIRE_PAIR_FCNTL),
	OPENS(pipe, WIRE_PAIR_TWO | PLACE(1)), OPENS(pipe2, WIRE_PAIR_TWO | PLACE(1)),
	OPENS(socketpair, WIRE_PAIR_TWO | PLACE(4)),
	OPENS(eventfd, 0), OPENS(epoll_create, 0), OPENS(epoll_create1, 0),
	OPENS(timerfd_create, 0), OPENS(signalfd, 0), OPENS(inotify_init, 0),
	OPENS(inotify_init1, 0), OPENS(fanotify_init, 0), OPENS(pidfd_open, 0),
	OPENS(posix_openpt, 0), OPENS(getpt, 0),
	OPENS(fopen, WIRE_PAIR_FILE), OPENS(fopen64, WIRE_PAIR_FILE),
	OPENS(tmpfile, WIRE_PAIR_FILE), OPENS(tmpfile64, WIRE_PAIR_FILE),
	OPENS(popen, WIRE_PAIR_FILE), OPENS(opendir, WIRE_PAIR_DIR),
	CLOSES(close, 0), CLOSES(close_range, WIRE_PAIR_RANGE),
	CLOSES(fclose, WIRE_PAIR_FILE), CLOSES(pclose, WIRE_PAIR_FILE),
	CLOSES(closedir, WIRE_PAIR_DIR),
	/* clang-format on */
};

int pairs_add_descriptors(struct pairs *p, struct error *e)
{
	for (size_t i = 0; i < sizeof(descriptor_functions) / sizeof(descriptor_functions[0]);
	     i++) {
		struct pair_function f = {
			.library = mem_strdup(""),
			.name = mem_strdup(descriptor_functions[i].name),
			.what = descriptor_functions[i].what | (uint32_t)p->nr_kinds,
			.opens = descriptor_functions[i].opens,
			.is_descriptors = true,
		};

		ARRAY_PUSH(p->items, p->nr, p->cap, f);
	}
	return add_kind(p, WIRE_KIND_DESCRIPTORS, e);
}

void pairs_release(struct pairs *p)
{
	drop_from(p, 0);
	for (size_t i = 0; i < p->nr_kinds; i++)
		free(p->kinds[i]);
	free(p->items);
	*p = (struct pairs)PAIRS_INIT;
}

/* ---- where they are ---- */

struct search {
	struct target *target;
	const struct pairs *pairs;
	const struct target_module *module; /* that is being looked at */
	struct entries *entries;
	const struct target_module **found; /* by function: where it was found first */
	bool *claimed;
	int err;
	struct error *e;
};

static int refuse_again(struct search *s, const struct pair_function *f)
{
	error_set(s->e, -EEXIST, EXIT_TARGET,
		  "cannot record function '%s': it is recorded already as another's", f->name);
	error_hint(s->e, "name all functions of one kind in one pair: open=A,B:close=C; functions "
			 "of the allocator, and of descriptors with --fds, are taken");
	return -EEXIST;
}

static int refuse_several(struct search *s, size_t i)
{
	const struct pair_function *f = &s->pairs->items[i];
	const char *first = text_base_name(s->found[i]->path);

	error_set(s->e, -EEXIST, EXIT_TARGET,
		  "cannot record function '%s': it is in several modules, '%s' and '%s'", f->name,
		  first, text_base_name(s->module->path));
	error_hint(s->e, "say which: %s/%s", first, f->name);
	return -EEXIST;
}

/* The function that stands there already, or NULL. */
static const struct entry *find_at(const struct entries *all, uint64_t addr)
{
	for (size_t i = 0; i < all->nr; i++)
		if (all->items[i].addr == addr)
			return &all->items[i];
	return NULL;
}

static void add(struct search *s, size_t i, uint64_t addr, uint64_t size)
{
	const struct pair_function *f = &s->pairs->items[i];
	const struct map *map = maps_find(target_maps(s->target), addr);
	const struct entry *there = find_at(s->entries, addr);
	struct entry e = {
		.function =
			f->opens || f->what & WIRE_PAIR_JUDGED ? INJECT_acquires : INJECT_releases,
		.addr = addr,
		.size = size,
		.module = s->module->flags & TARGET_MODULE_MAIN ? "" : s->module->path,
		.name = f->name,
		.allocator = "",
		.what = f->what,
		.is_needed = !f->is_descriptors || !strcmp(f->name, "close"),
	};

	if (s->err || !map || !(map->prot & MAP_EXEC))
		return;
	if (s->found[i] && s->found[i] != s->module && !f->is_descriptors) {
		s->err = refuse_several(s, i);
		return;
	}
	s->found[i] = s->module;
	if (there) {
		if (there->function != e.function || there->what != e.what)
			s->err = refuse_again(s, f);
		return;
	}
	entry_read_bytes(s->target, &e);
	ARRAY_PUSH(s->entries->items, s->entries->nr, s->entries->cap, e);
}

static bool may_be_in(const struct pair_function *f, const struct target_module *m)
{
	return text_starts_with(text_base_name(m->path), f->library) &&
	       !text_starts_with(text_base_name(m->path), "libseep-rec");
}

/* A C library: a function of its name elsewhere is another one. */
static bool has_descriptors(struct exports *x)
{
	return exports_has(x, "open") && exports_has(x, "close") && exports_has(x, "socketpair");
}

static void search_exports(struct search *s)
{
	struct export found[VERSIONS_MAX];
	struct exports x;
	bool is_libc;

	exports_open(&x, s->target, s->module);
	is_libc = has_descriptors(&x);
	if (is_libc && !s->entries->file_number) {
		s->entries->file_number = exports_address(&x, "fileno");
		s->entries->dir_number = exports_address(&x, "dirfd");
	}
	for (size_t i = 0; i < s->pairs->nr; i++) {
		const struct pair_function *f = &s->pairs->items[i];
		size_t nr = 0;

		if (may_be_in(f, s->module) && (is_libc || !f->is_descriptors))
			nr = exports_find(&x, f->name, found, VERSIONS_MAX);
		for (size_t j = 0; j < nr; j++)
			if (found[j].is_function && !found[j].is_chosen)
				add(s, i, found[j].addr, found[j].size);
	}
	exports_release(&x);
}

/* What no module exports may be in a symbol table: claimed. */
static void see_symbol(void *arg, const struct symbol *symbol)
{
	struct search *s = arg;

	for (size_t i = 0; i < s->pairs->nr; i++)
		if (s->claimed[i] && !symbol->is_chosen &&
		    may_be_in(&s->pairs->items[i], s->module) &&
		    !strcmp(s->pairs->items[i].name, symbol->name))
			add(s, i, symbol->addr + s->module->bias, symbol->size);
}

static void search_symbols(struct search *s)
{
	const char **names = mem_alloc_array(s->pairs->nr + 1, sizeof(*names));
	size_t nr = 0;
	int fd;

	for (size_t i = 0; i < s->pairs->nr; i++)
		if (s->claimed[i] && strlen(s->pairs->items[i].name) >= NAME_LEAST)
			names[nr++] = s->pairs->items[i].name;
	fd = nr ? module_file_open(s->target, s->module) : -1;
	if (fd >= 0) {
		symbols_each(fd, names, see_symbol, s);
		close(fd);
	}
	free(names);
}

static void search_all(struct search *s, void (*search)(struct search *))
{
	size_t nr;
	const struct target_module *modules = target_modules(s->target, &nr);

	for (size_t i = 0; i < nr && !s->err; i++) {
		s->module = &modules[i];
		search(s);
	}
}

static int explain_missing(const struct search *s, const struct pair_function *f)
{
	int32_t pid = target_process(s->target)->pid;

	error_set(s->e, -ENOENT, EXIT_TARGET, "process %d has no function '%s'%s%s%s", pid, f->name,
		  *f->library ? " in '" : "", f->library, *f->library ? "'" : "");
	error_hint(s->e, "it is looked for among what its modules export and in their symbol "
			 "tables, by the name that the linker knows; what is loaded later is not "
			 "found");
	return -ENOENT;
}

/*
 * So that exceptions, and the end of a thread that is cancelled, pass through the frame of the
 * recorder in a function that acquires.
 */
static int need_finder(struct search *s)
{
	bool found = false;

	for (size_t i = 0; i < s->entries->nr && s->entries->has_loader; i++) {
		struct entry *e = &s->entries->items[i];

		if (e->function == INJECT__dl_find_object && !e->is_alias_of_earlier)
			found = e->is_needed = true;
	}
	if (found)
		return 0;
	error_set(s->e, -ENOTSUP, EXIT_TARGET,
		  "no pairs can be recorded in process %d: it does not use glibc 2.35 or later as "
		  "a library",
		  target_process(s->target)->pid);
	error_hint(s->e, "an exception, or a thread that is cancelled, could not pass through a "
			 "recorded function; memory alone can be recorded");
	return -ENOTSUP;
}

int pairs_find(struct target *t, const struct pairs *p, struct entries *all, struct error *e)
{
	struct search s = {.target = t, .pairs = p, .entries = all, .e = e};

	if (!p->nr)
		return 0;
	s.found = mem_alloc_array(p->nr, sizeof(*s.found));
	s.claimed = mem_alloc_array(p->nr, sizeof(*s.claimed));
	s.err = need_finder(&s);
	search_all(&s, search_exports);
	for (size_t i = 0; i < p->nr; i++)
		s.claimed[i] = !s.found[i] && !p->items[i].is_descriptors;
	search_all(&s, search_symbols);
	for (size_t i = 0; i < p->nr && !s.err; i++)
		if (!s.found[i] &&
		    (!p->items[i].is_descriptors || !strcmp(p->items[i].name, "close")))
			s.err = explain_missing(&s, &p->items[i]);
	free(s.found);
	free(s.claimed);
	return s.err;
}
