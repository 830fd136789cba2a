/* Functions by name, anywhere in a process; see pairs.h. */
#include "inject/pairs.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "inject/entries.h"
#include "inject/exports.h"
#include "inject/symbols.h"
#include "target/maps.h"
#include "target/module_file.h"
#include "target/process.h"
#include "target/target.h"

#define VERSIONS_MAX 4
#define NAME_LEAST 4 /* shorter ones are looked for among exports only */
#define NAME_MOST 63

/* ---- what the user typed ---- */

static int bad_pair(const char *text, struct error *e)
{
	error_set(e, -EINVAL, EXIT_USAGE, "'%s' is no pair of functions", text);
	error_hint(e, "write open=FUNC:close=FUNC; open=FUNC@arg2 where the handle is stored where "
		      "the second argument points, open=FUNC@int where it is a number");
	return -EINVAL;
}

static bool is_name(const char *text, size_t len)
{
	return len > 0 && len <= NAME_MOST && !memchr(text, '@', len) && !memchr(text, '=', len);
}

/* What stands behind the function's name, from '@' on; len 0: nothing. */
static bool parse_handle(const char *text, size_t len, struct pair *p)
{
	if (len == 0)
		p->handle = PAIR_RESULT;
	else if (len == 4 && !strncmp(text, "@int", 4))
		p->handle = PAIR_NUMBER;
	else if (len == 5 && !strncmp(text, "@arg", 4) && text[4] >= '1' && text[4] <= '6')
		p->handle = PAIR_AT, p->argument = (uint8_t)(text[4] - '0');
	else
		return false;
	return true;
}

int pair_parse(const char *text, struct pair *ret, struct error *e)
{
	static const char open_is[] = "open=", close_is[] = ":close=";
	struct pair p = {.open = NULL};
	const char *open, *end, *close;
	size_t len;

	if (!text_starts_with(text, open_is))
		return bad_pair(text, e);
	open = text + sizeof(open_is) - 1;
	end = strchr(open, ':');
	if (!end || !text_starts_with(end, close_is))
		return bad_pair(text, e);
	close = end + sizeof(close_is) - 1;
	len = strcspn(open, "@:");
	if (!is_name(open, len) || !parse_handle(open + len, (size_t)(end - open) - len, &p) ||
	    !is_name(close, strlen(close)) || strchr(close, ':'))
		return bad_pair(text, e);
	p.open = mem_strndup(open, len);
	p.close = mem_strdup(close);
	*ret = p;
	return 0;
}

void pair_release(struct pair *p)
{
	free(p->open);
	free(p->close);
	*p = (struct pair){.open = NULL};
}

/* ---- where they are ---- */

struct wanted {
	const char *name;
	const struct pair *pair;
	bool opens, found;
};

struct search {
	struct target *target;
	const struct target_module *module;
	struct wanted *wanted;
	size_t nr;
	struct entries *entries;
};

static void add(struct search *s, struct wanted *w, uint64_t addr, uint64_t size)
{
	const struct map *map = maps_find(target_maps(s->target), addr);
	struct entry e = {
		.function = w->opens ? INJECT_acquires : INJECT_releases,
		.addr = addr,
		.size = size,
		.module = s->module->flags & TARGET_MODULE_MAIN ? "" : s->module->path,
		.name = w->name,
		.allocator = "",
		.handle = (uint8_t)w->pair->handle,
		.argument = w->pair->argument,
	};

	if (!map || !(map->prot & MAP_EXEC))
		return;
	w->found = true;
	for (size_t i = 0; i < s->entries->nr; i++) {
		if (s->entries->items[i].addr == addr)
			return;
	}
	entry_read_bytes(s->target, &e);
	ARRAY_PUSH(s->entries->items, s->entries->nr, s->entries->cap, e);
}

static void search_exports(struct search *s)
{
	struct export found[VERSIONS_MAX];
	struct exports x;

	exports_open(&x, s->target, s->module);
	for (size_t i = 0; i < s->nr; i++) {
		size_t nr = exports_find(&x, s->wanted[i].name, found, VERSIONS_MAX);

		for (size_t j = 0; j < nr; j++) {
			if (found[j].is_function && !found[j].is_chosen)
				add(s, &s->wanted[i], found[j].addr, found[j].size);
		}
	}
	exports_release(&x);
}

static void see_symbol(void *arg, const struct symbol *symbol)
{
	struct search *s = arg;

	for (size_t i = 0; i < s->nr; i++) {
		if (!symbol->is_chosen && !strcmp(s->wanted[i].name, symbol->name))
			add(s, &s->wanted[i], symbol->addr + s->module->bias, symbol->size);
	}
}

static void search_symbols(struct search *s)
{
	const char **names = mem_alloc_array(s->nr + 1, sizeof(*names));
	int fd = module_file_open(s->target, s->module);
	size_t nr = 0;

	for (size_t i = 0; i < s->nr; i++) {
		if (strlen(s->wanted[i].name) >= NAME_LEAST)
			names[nr++] = s->wanted[i].name;
	}
	if (fd >= 0 && nr)
		symbols_each(fd, names, see_symbol, s);
	if (fd >= 0)
		close(fd);
	free(names);
}

/* What unloads modules must be seen whatever is recorded. */
static void copy_known(struct target *t, const struct entries *known, struct entries *ret)
{
	ret->allocator = "unknown";
	ret->allocator_module = "";
	if (!known)
		return;
	ret->modules_nr = known->modules_nr;
	ret->dl_find_object = known->dl_find_object;
	ret->dl_debug_state = known->dl_debug_state;
	ret->r_debug = known->r_debug;
	ret->vdso_clock_gettime = known->vdso_clock_gettime;
	ret->has_loader = known->has_loader;
	for (size_t i = 0; i < known->nr; i++) {
		struct entry e = known->items[i];

		if (inject_function_shape(e.function) != INJECT_CLOSES_1 || e.is_alias_of_earlier)
			continue;
		entry_read_bytes(t, &e);
		ARRAY_PUSH(ret->items, ret->nr, ret->cap, e);
	}
}

static int explain_missing(struct target *t, const char *name, struct error *e)
{
	error_set(e, -ENOENT, EXIT_TARGET, "process %d has no function '%s'",
		  target_process(t)->pid, name);
	error_hint(e, "it is looked for among what its modules export and in their symbol tables, "
		      "by the name that the linker knows");
	return -ENOENT;
}

int pairs_find(struct target *t, const struct pair *pairs, size_t nr, const struct entries *known,
	       struct entries *ret, struct error *e)
{
	struct entries found = ENTRIES_INIT;
	struct search s = {
		.target = t,
		.wanted = mem_alloc_array(2 * nr, sizeof(*s.wanted)),
		.nr = 2 * nr,
		.entries = &found,
	};
	const struct target_module *modules;
	const char *missing = NULL;
	size_t modules_nr;

	for (size_t i = 0; i < nr; i++) {
		s.wanted[2 * i] = (struct wanted){pairs[i].open, &pairs[i], true, false};
		s.wanted[2 * i + 1] = (struct wanted){pairs[i].close, &pairs[i], false, false};
	}
	copy_known(t, known, &found);
	modules = target_modules(t, &modules_nr);
	for (size_t i = 0; i < modules_nr; i++) {
		s.module = &modules[i];
		search_exports(&s);
		search_symbols(&s);
	}
	for (size_t i = 0; i < s.nr && !missing; i++) {
		if (!s.wanted[i].found)
			missing = s.wanted[i].name;
	}
	free(s.wanted);
	if (missing) {
		entries_release(&found);
		return explain_missing(t, missing, e);
	}
	*ret = found;
	return 0;
}
