/* The look before the recorder is put into a process; see preflight.h. */
#include "inject/preflight_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "inject/pairs.h"
#include "target/condition.h"
#include "target/maps.h"
#include "target/process.h"
#include "target/seccomp.h"
#include "target/target.h"
#include "wire/layout.h"

#define MIB (1ull << 20)
/* The tables grow with what the program allocates; this is a beginning. */
#define MEMORY_BYTES (16 * MIB)
/* Of its own beside the tables: the recorder, and for each thread that allocates. */
#define IMAGE_BYTES (3 * MIB)
#define THREAD_BYTES (3 * MIB)

static void fill(struct preflight_item *item, enum preflight_code code, const char *hint,
		 const char *format, va_list args)
{
	struct str text = STR_INIT;
	char *raw;

	if (vasprintf(&raw, format, args) < 0)
		raw = mem_strdup("");
	text_printable(&text, raw, strlen(raw));
	item->code = code;
	snprintf(item->text, sizeof(item->text), "%s", text.data);
	snprintf(item->hint, sizeof(item->hint), "%s", hint);
	str_release(&text);
	free(raw);
}

void preflight_refuse(struct preflight *p, enum preflight_code code, const char *hint,
		      const char *format, ...)
{
	va_list args;

	ARRAY_GROW(p->refuse, p->nr_refuse, p->cap_refuse);
	va_start(args, format);
	fill(&p->refuse[p->nr_refuse++], code, hint, format, args);
	va_end(args);
}

void preflight_note(struct preflight *p, enum preflight_code code, const char *hint,
		    const char *format, ...)
{
	va_list args;

	ARRAY_GROW(p->notes, p->nr_notes, p->cap_notes);
	va_start(args, format);
	fill(&p->notes[p->nr_notes++], code, hint, format, args);
	va_end(args);
}

/* What another part says in an error of its own. */
static void refuse_error(struct preflight *p, enum preflight_code code, const struct error *e)
{
	preflight_refuse(p, code, e->hint, "%s", e->message);
}

static void check_memory_shared(struct preflight *p, int32_t pid, const struct condition *c)
{
	if (c->in_vfork)
		preflight_refuse(p, PREFLIGHT_VFORK,
				 "wait until that child has started its program, and try again",
				 "process %d is in vfork(): a child uses its memory", pid);
	else if (c->sharer)
		preflight_refuse(p, PREFLIGHT_SHARED,
				 "what is changed in one is changed in both; seep run records such "
				 "a program from its start",
				 "process %d shares its memory with process %d", pid, c->sharer);
	else if (c->waiting_tid)
		preflight_refuse(
			p, PREFLIGHT_WAITS,
			"it waits for a disk, a network file system or a driver: try again "
			"when that has answered",
			"thread %d of process %d waits and cannot be stopped (state D)",
			c->waiting_tid, pid);
}

static void check_traced(struct preflight *p, int32_t pid, const struct condition *c)
{
	if (c->tracer)
		preflight_refuse(p, PREFLIGHT_TRACED,
				 "a process has one tracer (debugger, strace) at a time: end that "
				 "one",
				 "process %d is traced by process %d ('%s')", pid, c->tracer,
				 c->tracer_name);
	else if (c->stopped)
		preflight_refuse(p, PREFLIGHT_STOPPED, "let it go on first: kill -CONT PID",
				 "process %d is stopped", pid);
}

/* Filters are asked once the process stands still; here only whether they can be. */
static void check_filters(struct preflight *p, int32_t pid, const struct condition *c)
{
	p->suspend_seccomp = seccomp_may_ask();
	if (c->seccomp == 1)
		preflight_refuse(p, PREFLIGHT_SECCOMP,
				 "the kernel would kill it for the first call that the recorder "
				 "makes",
				 "process %d is in strict seccomp mode", pid);
	else if (c->seccomp && !p->suspend_seccomp)
		preflight_refuse(p, PREFLIGHT_SECCOMP,
				 "run seep as root (with the capability SYS_ADMIN), which may see "
				 "what the filter lets pass",
				 "process %d has a seccomp filter, which might kill it for a call "
				 "of the recorder's",
				 pid);
	p->filtered = c->seccomp != 0;
}

static uint64_t private_bytes(const struct condition *c)
{
	return IMAGE_BYTES + c->threads_nr * THREAD_BYTES;
}

/* Do the smallest tables fit into what is left to it? */
static bool tables_fit(const struct condition *c)
{
	uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	struct wire_header *h = aligned_alloc(_Alignof(struct wire_header), sizeof(*h));
	bool fit;

	if (!h)
		return false;
	memset(h, 0, sizeof(*h));
	fit = wire_layout(h, ram, wire_room(UINT64_MAX, c->address_limit)) &&
	      c->address_used < c->address_limit &&
	      h->file_bytes + private_bytes(c) < c->address_limit - c->address_used;
	free(h);
	return fit;
}

/* What the recorder maps for itself counts there; as much again is left to the program. */
static bool data_fits(const struct condition *c)
{
	return c->data_limit == UINT64_MAX ||
	       (c->data_used < c->data_limit &&
		c->data_limit - c->data_used >= 2 * private_bytes(c));
}

static void check_room(struct preflight *p, int32_t pid, const struct condition *c)
{
	if (c->all_locked)
		preflight_refuse(p, PREFLIGHT_LOCKED,
				 "the recorder's tables would be locked as well, all at once; seep "
				 "run records such a program from its start",
				 "process %d has locked all of its memory (mlockall)", pid);
	if (c->address_limit != UINT64_MAX && !tables_fit(c))
		preflight_refuse(
			p, PREFLIGHT_ADDRESS_SPACE,
			"raise its limit: prlimit --as=unlimited --pid PID",
			"process %d may use only %llu MiB of addresses (RLIMIT_AS) and has "
			"%llu MiB of them: the recorder's tables do not fit",
			pid, (unsigned long long)(c->address_limit / MIB),
			(unsigned long long)(c->address_used / MIB));
	if (!data_fits(c))
		preflight_refuse(
			p, PREFLIGHT_DATA, "raise its limit: prlimit --data=unlimited --pid PID",
			"process %d may have only %llu MiB of data (RLIMIT_DATA) and has %llu MiB "
			"of it: the recorder takes %llu MiB",
			pid, (unsigned long long)(c->data_limit / MIB),
			(unsigned long long)(c->data_used / MIB),
			(unsigned long long)(private_bytes(c) / MIB));
	if (c->memory_room < MEMORY_BYTES)
		preflight_refuse(p, PREFLIGHT_MEMORY,
				 "raise the limit of the group: the recorder's tables count there",
				 "the control group of process %d has only %llu MiB of memory left",
				 pid, (unsigned long long)(c->memory_room / MIB));
}

static void check_condition(struct preflight *p, int32_t pid)
{
	struct condition c;
	struct error e = {0};
	int r = condition_read(pid, &c);

	if (r < 0) {
		process_explain(pid, r, "state", &e);
		refuse_error(p, PREFLIGHT_NOT_READABLE, &e);
		return;
	}
	p->threads_nr = c.threads_nr;
	p->catches_traps = c.catches_traps;
	if (!p->at_start)
		check_traced(p, pid, &c);
	check_memory_shared(p, pid, &c);
	check_filters(p, pid, &c);
	if (c.shadow_stack)
		preflight_refuse(p, PREFLIGHT_SHADOW_STACK,
				 "start it with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off",
				 "process %d has a shadow stack, which forbids how the recorder "
				 "stands before functions",
				 pid);
	check_room(p, pid, &c);
	if (*c.confined)
		preflight_note(p, PREFLIGHT_CONFINED, "",
			       "a security module confines the process (%s): it may forbid new "
			       "code, and then nothing is changed",
			       c.confined);
}

/* A module whose file is called so, or begins so. */
static const struct target_module *find_named(const struct preflight *p, const char *prefix)
{
	size_t nr;
	const struct target_module *modules = target_modules(p->target, &nr);

	for (size_t i = 0; i < nr; i++) {
		const char *slash = strrchr(modules[i].path, '/');

		if (slash && text_starts_with(slash + 1, prefix))
			return &modules[i];
	}
	return NULL;
}

/* Programs that translate others: what is changed in the code would do nothing, or harm. */
static void check_translated(struct preflight *p, int32_t pid)
{
	static const struct {
		const char *prefix, *name;
	} translators[] = {
		{"vgpreload_", "valgrind"},
		{"libdynamorio.so", "DynamoRIO"},
		{"pinbin", "Pin"},
		{"qemu-x86_64",
		 "qemu"}, /* not qemu-system-x86_64, which is a program like others */
	};

	for (size_t i = 0; i < sizeof(translators) / sizeof(translators[0]); i++) {
		if (find_named(p, translators[i].prefix))
			preflight_refuse(p, PREFLIGHT_TRANSLATED,
					 "attach to one that runs by itself",
					 "process %d runs under %s, which translates its code", pid,
					 translators[i].name);
	}
}

/* Recorded already, by us; one that was there from the start cannot be taken out. */
static void check_recorded(struct preflight *p, int32_t pid)
{
	if (maps_find_recorder(target_maps(p->target)))
		preflight_refuse(p, PREFLIGHT_RECORDED,
				 find_named(p, "libseep-rec")
					 ? "seep snap shows what it has so far"
					 : "seep snap shows what it has so far; seep "
					   "detach takes the recorder out",
				 "process %d is being recorded already", pid);
}

/* Windows programs: their HeapAlloc is another allocator's, and no file of ELF's. */
static void check_wine(struct preflight *p)
{
	const char *name = process_name(target_process(p->target));
	const struct target_module *m = target_main_module(p->target);
	bool is_wine = text_starts_with(name, "wine");

	if (m && strrchr(m->path, '/'))
		is_wine = is_wine || text_starts_with(strrchr(m->path, '/') + 1, "wine");
	if (is_wine)
		preflight_note(p, PREFLIGHT_WINE, "",
			       "it runs a Windows program (wine): malloc of the Unix side is "
			       "recorded, HeapAlloc is not");
}

static void check_go(struct preflight *p)
{
	const struct target_module *m = target_main_module(p->target);

	if (m && m->flags & TARGET_MODULE_GO)
		preflight_note(p, PREFLIGHT_GO, "",
			       "its program is written in Go: what C code in it allocates is "
			       "recorded, what Go allocates by itself is not");
}

/* Opens it for reading, which needs the same right as tracing it. */
static void open_target(struct preflight *p, int32_t pid)
{
	const struct target_options live = {.wish = TARGET_WISH_LIVE};
	struct error e = {0}, trace = {0};
	int r = target_open_pid(pid, &live, &p->target, &e);

	if (r == 0)
		return;
	p->target = NULL;
	if (r == -EACCES || r == -EPERM) {
		process_explain_trace(pid, -EPERM, &trace);
		refuse_error(p, PREFLIGHT_NOT_READABLE, &trace);
	} else {
		refuse_error(p, PREFLIGHT_NOT_READABLE, &e);
	}
}

static void check_entries(struct preflight *p)
{
	struct error e = {0};
	int r = entries_find(p->target, &p->entries, &e);

	if (r < 0) {
		refuse_error(p, r == -ENOTSUP ? PREFLIGHT_MACHINE : PREFLIGHT_NO_ENTRIES, &e);
		return;
	}
	if (p->pairs && pairs_find(p->target, p->pairs, &p->entries, &e) < 0)
		refuse_error(p, PREFLIGHT_PAIRS, &e);
	preflight_entries(p);
}

static void look(int32_t pid, struct preflight *ret)
{
	if (pid == getpid()) {
		preflight_refuse(ret, PREFLIGHT_SELF, "", "process %d is seep itself", pid);
		return;
	}
	open_target(ret, pid);
	if (!ret->target)
		return;
	target_modules(ret->target, &ret->modules_nr);
	check_condition(ret, pid);
	check_translated(ret, pid);
	check_recorded(ret, pid);
	check_wine(ret);
	check_go(ret);
	/* What it was patched by is known then, and the reason is that. */
	if (!preflight_has(ret, PREFLIGHT_RECORDED))
		check_entries(ret);
}

void preflight(int32_t pid, const struct pairs *pairs, struct preflight *ret)
{
	*ret = (struct preflight){.pairs = pairs, .entries = ENTRIES_INIT};
	look(pid, ret);
}

void preflight_at_start(int32_t pid, struct preflight *ret)
{
	*ret = (struct preflight){.entries = ENTRIES_INIT, .at_start = true};
	look(pid, ret);
}

bool preflight_refuses(const struct preflight *p, struct error *e)
{
	if (!p->nr_refuse)
		return false;
	/* What begins otherwise is a whole message: "no such process: 42". */
	error_set(e, -EPERM, EXIT_TARGET, "%s%s",
		  text_starts_with(p->refuse[0].text, "process ") ? "cannot attach: " : "",
		  p->refuse[0].text);
	if (*p->refuse[0].hint)
		error_hint(e, "%s", p->refuse[0].hint);
	return true;
}

bool preflight_has(const struct preflight *p, enum preflight_code code)
{
	for (size_t i = 0; i < p->nr_refuse; i++) {
		if (p->refuse[i].code == code)
			return true;
	}
	for (size_t i = 0; i < p->nr_notes; i++) {
		if (p->notes[i].code == code)
			return true;
	}
	return false;
}

void preflight_release(struct preflight *p)
{
	entries_release(&p->entries);
	target_close(p->target);
	free(p->taken);
	slots_release(&p->slots);
	free(p->refuse);
	free(p->notes);
	*p = (struct preflight){.entries = ENTRIES_INIT};
}
