/* seep attach --dry-run; see attach_dry.h. */
#include "cmd/attach_dry.h"

#include <string.h>

#include "base/str.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "inject/preflight.h"
#include "sym/demangle.h"
#include "target/process.h"
#include "target/target.h"

#define VALUE_COLUMN 12
#define NAMES_COLUMN 4
#define WIDTH 100

static void add_foreign(struct str *out, const char *text)
{
	text_printable(out, text, strlen(text));
}

static void add_key(struct str *out, const char *key)
{
	str_printf(out, "%-*s", VALUE_COLUMN, key);
}

static void add_module(struct str *out, const char *path)
{
	add_foreign(out, *path ? path : "the program itself");
}

/* Those that are had by slots are told one by one, among the notes. */
static bool begins_with_jump(const struct preflight *p, size_t i)
{
	return p->taken[i] && p->taken[i] != ENTRY_BY_SLOTS;
}

/* The functions of one module, which stand together. */
static void add_functions(struct str *out, const struct preflight *p, const char *module)
{
	struct str names = STR_INIT;

	for (size_t i = 0; i < p->entries.nr; i++) {
		const struct entry *e = &p->entries.items[i];

		if (e->module != module || !begins_with_jump(p, i))
			continue;
		if (names.len)
			str_add(&names, ", ");
		demangle(e->name, &names);
	}
	if (names.len) {
		str_printf(out, "%*s", NAMES_COLUMN - 2, "");
		add_module(out, module);
		str_printf(out, "\n%*s", NAMES_COLUMN, "");
		text_wrap(out, names.data, NAMES_COLUMN, NAMES_COLUMN, WIDTH);
		str_add_char(out, '\n');
	}
	str_release(&names);
}

static size_t taken_nr(const struct preflight *p)
{
	size_t nr = 0;

	for (size_t i = 0; i < p->entries.nr; i++)
		nr += begins_with_jump(p, i);
	return nr;
}

static void add_plan(struct str *out, const struct preflight *p)
{
	const char *last = NULL;

	add_key(out, "allocator");
	str_add(out, p->entries.allocator);
	str_add(out, " of ");
	add_module(out, p->entries.allocator_module);
	str_add_char(out, '\n');
	add_key(out, "threads");
	str_printf(out, "%zu, which stand still while functions are changed\n", p->threads_nr);
	add_key(out, "functions");
	str_printf(out, "%zu, each of which would begin with a jump to the recorder\n",
		   taken_nr(p));
	for (size_t i = 0; i < p->entries.nr; i++) {
		if (p->entries.items[i].module != last)
			add_functions(out, p, p->entries.items[i].module);
		last = p->entries.items[i].module;
	}
	if (p->filtered) {
		add_key(out, "seccomp");
		str_add(out, "its filters are asked once it stands still; if they forbid what the "
			     "recorder calls, nothing is changed\n");
	}
}

static void add_items(struct str *out, const char *key, const struct preflight_item *items,
		      size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		add_key(out, key);
		text_wrap(out, items[i].text, VALUE_COLUMN, VALUE_COLUMN, WIDTH);
		str_add_char(out, '\n');
		if (!*items[i].hint)
			continue;
		add_key(out, "  hint");
		text_wrap(out, items[i].hint, VALUE_COLUMN, VALUE_COLUMN, WIDTH);
		str_add_char(out, '\n');
	}
}

int attach_dry_show(int pid, const struct preflight *p)
{
	const char *name = p->target ? process_name(target_process(p->target)) : "process";
	struct str out = STR_INIT;
	int status;

	add_foreign(&out, name);
	str_printf(&out, " (%d): %s; nothing was done\n\n", pid,
		   p->nr_refuse ? "would not be recorded" : "would be recorded");
	add_items(&out, "refused", p->refuse, p->nr_refuse);
	if (p->taken)
		add_plan(&out, p);
	add_items(&out, "note", p->notes, p->nr_notes);
	status = cmd_print(out.data, out.len);
	str_release(&out);
	if (status)
		return status;
	return p->nr_refuse ? EXIT_TARGET : EXIT_DONE;
}
