/* From a snapshot's program counters to its symbols. */
#include "cmd/symbolize.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "base/text.h"
#include "model/lines.h"
#include "model/snapshot.h"
#include "target/maps.h"
#include "target/proc.h"
#include "target/process.h"

/* --- the process, if it is still there --- */

struct live {
	int dir;  /* of /proc; -1: not there, or not to be looked at */
	int root; /* 0: not to be had */
	struct maps maps;
	struct process_info info;
};

static int open_mapped(void *arg, uint64_t address)
{
	struct live *l = arg;
	const struct map *m = maps_find(&l->maps, address);
	char name[64];

	if (!m || m->inode == 0)
		return -1;
	snprintf(name, sizeof(name), "map_files/%llx-%llx", (unsigned long long)m->start,
		 (unsigned long long)m->end);
	return openat(l->dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/*
 * On some file systems (btrfs, overlayfs) maps and stat() give different devices for one file;
 * there the inode alone has to do, if the mapped file still has its name.
 */
static bool is_mapped(void *arg, uint64_t address, uint64_t device, uint64_t inode)
{
	struct live *l = arg;
	const struct map *m = maps_find(&l->maps, address);

	return m && m->inode != 0 && m->inode == inode &&
	       (makedev(m->dev_major, m->dev_minor) == device || !m->deleted);
}

/* Only the very process that the snapshot is of: pids are used again. */
static void live_open(struct live *l, const struct snapshot *s, const struct symbolize_options *o)
{
	const struct identity *id = &s->identity;

	*l = (struct live){.dir = -1, .maps = MAPS_INIT, .info = PROCESS_INFO_INIT};
	if (o->offline || id->pid <= 0 || process_read(id->pid, &l->info, NULL))
		return;
	if (l->info.start_ticks != id->start_ticks || strcmp(l->info.boot_id, id->boot_id) != 0)
		return;
	l->dir = proc_open(id->pid);
	if (l->dir < 0 || process_check_at(l->dir, id->start_ticks) ||
	    maps_read_at(l->dir, &l->maps)) {
		if (l->dir >= 0)
			close(l->dir);
		l->dir = -1;
		return;
	}
	l->root = openat(l->dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (l->root < 0)
		l->root = 0;
}

static void live_close(struct live *l)
{
	if (l->root > 0)
		close(l->root);
	if (l->dir >= 0)
		close(l->dir);
	maps_release(&l->maps);
	process_info_release(&l->info);
}

static struct sym *open_sym(const struct snapshot *s, const struct symbolize_options *o,
			    struct live *l)
{
	struct sym_options so = {
		.paths = o->symbols,
		.no_debuginfod = o->no_debuginfod,
		.no_inlines = o->no_inlines,
	};
	struct sym *sym;
	size_t i;

	if (l->dir >= 0) {
		so.root_fd = l->root;
		so.pid = s->identity.pid;
		so.namespace_pid = l->info.ns_pid;
		so.uid = l->info.uid;
		so.open_mapped = open_mapped;
		so.is_mapped = is_mapped;
		so.process = l;
	}
	sym = sym_new(&so);
	for (i = 0; i < s->nr_modules; i++) {
		const struct module *m = &s->modules[i];

		sym_add_module(sym, &(struct sym_module){
					    .path = strings_get(&s->strings, m->path),
					    .start = m->start,
					    .end = m->end,
					    .bias = m->bias,
					    .build_id = m->build_id,
					    .build_id_len = m->build_id_len,
					    .replaced = m->flags & MODULE_REPLACED,
					    .unloaded = m->flags & MODULE_UNLOADED,
				    });
	}
	return sym;
}

/* --- the frames --- */

struct work {
	struct snapshot *s;
	struct sym *sym;
	struct symbolize_summary *sum;
	struct symbol *old; /* when names are looked up again: what there was */
};

static bool is_sound(const struct snapshot *s)
{
	size_t i;

	for (i = 0; i < s->nr_frames; i++) {
		const struct frame *f = &s->frames[i];

		if (f->module != NO_INDEX && f->module >= s->nr_modules)
			return false;
		if (f->symbols_nr > 0 && (f->symbols_first > s->nr_symbols ||
					  f->symbols_nr > s->nr_symbols - f->symbols_first))
			return false;
	}
	for (i = 0; i < s->nr_modules; i++) {
		if (s->modules[i].build_id_len > BUILD_ID_MAX)
			return false;
	}
	return true;
}

static void append(struct snapshot *s, struct frame *f, const struct sym_frame *names, size_t nr)
{
	size_t i;

	f->symbols_first = (uint32_t)s->nr_symbols;
	f->symbols_nr = (uint32_t)nr;
	for (i = 0; i < nr; i++) {
		struct symbol symbol = {
			.function = strings_add(&s->strings, names[i].function),
			.file = strings_add(&s->strings, names[i].file),
			.line = names[i].line,
			.offset = names[i].offset,
		};

		/* Looked up at pc - 1, shown for pc. */
		if (i + 1 == nr && *names[i].function && symbol.offset < UINT32_MAX)
			symbol.offset++;
		ARRAY_PUSH(s->symbols, s->nr_symbols, s->cap_symbols, symbol);
	}
}

static void move_old(struct work *w, struct frame *f)
{
	struct snapshot *s = w->s;
	uint32_t i, first = (uint32_t)s->nr_symbols;

	for (i = 0; i < f->symbols_nr; i++)
		ARRAY_PUSH(s->symbols, s->nr_symbols, s->cap_symbols, w->old[f->symbols_first + i]);
	f->symbols_first = first;
}

static void resolve_frame(struct work *w, struct frame *f)
{
	struct symbolize_summary *sum = w->sum;
	int module = f->module == NO_INDEX ? -1 : (int)f->module;
	const struct sym_frame *names;
	size_t nr = f->pc > 0 ? sym_resolve(w->sym, module, f->pc - 1, &names) : 0;

	sum->frames++;
	sum->named += nr > 0;
	if (module < 0) {
		sum->outside++;
	} else {
		sum->modules[module].frames++;
		sum->modules[module].named += nr > 0;
	}
	if (nr > 0)
		append(w->s, f, names, nr);
	else if (w->old)
		move_old(w, f);
}

static void sum_up_modules(struct work *w)
{
	struct symbolize_summary *sum = w->sum;
	const char *why;
	size_t i;

	for (i = 0; i < sum->nr_modules; i++) {
		struct symbolize_module *m = &sum->modules[i];

		if (m->frames == 0)
			continue;
		m->source = sym_module_source(w->sym, (int)i, &why);
		m->why = mem_strdup(why);
		sum->modules_with_lines += m->source == SYM_DWARF;
		sum->modules_with_names += m->source == SYM_SYMTAB;
		sum->modules_with_exports += m->source == SYM_EXPORTS;
		sum->modules_without += m->source == SYM_NONE;
	}
}

static void resolve_all(struct work *w, const struct symbolize_options *o)
{
	struct snapshot *s = w->s;
	size_t i;

	if (o->again) {
		w->old = s->symbols;
		s->symbols = NULL;
		s->nr_symbols = s->cap_symbols = 0;
	}
	for (i = 0; i < s->nr_frames; i++) {
		if (s->frames[i].symbols_nr > 0 && !o->again)
			w->sum->kept++;
		else
			resolve_frame(w, &s->frames[i]);
		progress_step(o->progress, 1);
	}
	s->symbols_resolved = true;
}

int symbolize_snapshot(struct snapshot *s, const struct symbolize_options *o,
		       struct symbolize_summary *ret)
{
	struct symbolize_summary sum = {.nr_modules = s->nr_modules};
	struct work w = {.s = s, .sum = &sum};
	struct live live;

	if (!is_sound(s))
		return -EINVAL;
	sum.modules = mem_alloc_array(s->nr_modules, sizeof(*sum.modules));
	live_open(&live, s, o);
	w.sym = open_sym(s, o, &live);
	resolve_all(&w, o);
	sum_up_modules(&w);
	sym_free(w.sym);
	live_close(&live);
	free(w.old);
	if (ret)
		*ret = sum;
	else
		symbolize_summary_release(&sum);
	return 0;
}

void symbolize_summary_release(struct symbolize_summary *summary)
{
	size_t i;

	for (i = 0; i < summary->nr_modules; i++)
		free(summary->modules[i].why);
	free(summary->modules);
	*summary = (struct symbolize_summary){0};
}

struct variables {
	const struct snapshot *snapshot;
	struct live live;
	struct sym *sym;
};

struct variables *variables_open(const struct snapshot *s, const struct symbolize_options *o)
{
	struct variables *v = mem_alloc(sizeof(*v));

	v->snapshot = s;
	live_open(&v->live, s, o);
	v->sym = open_sym(s, o, &v->live);
	return v;
}

void variables_close(struct variables *v)
{
	if (!v)
		return;
	sym_free(v->sym);
	live_close(&v->live);
	free(v);
}

struct sym *variables_sym(struct variables *v)
{
	return v->sym;
}

bool variables_name(struct variables *v, uint64_t address, struct str *before, struct str *behind,
		    uint64_t *ret_base)
{
	uint32_t index = snapshot_find_module(v->snapshot, address);
	const struct module *m;
	const char *name, *path;
	uint64_t offset = 0;

	*ret_base = 0;
	if (index == NO_INDEX)
		return false;
	m = &v->snapshot->modules[index];
	path = text_base_name(strings_get(&v->snapshot->strings, m->path));
	name = sym_variable(v->sym, (int)index, address, &offset);
	*ret_base = name ? address - offset : m->bias;
	text_printable(before, name ? name : path, strlen(name ? name : path));
	if (name && !(m->flags & MODULE_MAIN)) {
		str_add(behind, " (");
		text_printable(behind, path, strlen(path));
		str_add_char(behind, ')');
	}
	return name;
}

uint64_t variables_start(struct variables *v, uint64_t address)
{
	uint32_t index = snapshot_find_module(v->snapshot, address);
	uint64_t offset = 0;

	if (index == NO_INDEX || !sym_variable(v->sym, (int)index, address, &offset))
		return 0;
	return address - offset;
}
