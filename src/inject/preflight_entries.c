/* Whether each entry can be taken; see preflight.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "inject/inside.h"
#include "inject/moved.h"
#include "inject/preflight_private.h"
#include "target/foreign_fd.h"
#include "target/maps.h"
#include "target/module_file.h"
#include "target/proc.h"
#include "target/process.h"
#include "target/target.h"

#define JUMP_BYTES 5
#define JUMP 0xe9
#define BREAKPOINT 0xcc
#define PAGE_BYTES 4096
#define NEAR_BYTES (1 << 26) /* some place near: where it will really be, the plan says */
#define COMPARED_BYTES 16

/* "malloc of libjemalloc.so.2", "malloc of the program" */
static const char *module_name(const char *path)
{
	return *path ? text_base_name(path) : "the program";
}

/* Without these nothing can be said of the program's memory. */
static bool is_needed(const struct entries *all, const struct entry *e)
{
	if (e->is_needed)
		return true;
	switch (e->function) {
	case INJECT_malloc:
	case INJECT_calloc:
	case INJECT_realloc:
	case INJECT_free:
	case INJECT_posix_memalign:
		return !strcmp(e->module, all->allocator_module) || e->addr == all->allocator_addr;
	default:
		return false;
	}
}

static bool frees(const struct entry *e)
{
	return inject_function_shape(e->function) == INJECT_FREES_1;
}

/* How many bytes of it are taken; 0: it cannot be moved, and why. */
static uint8_t check_movable(const struct entry *e, const char **ret_why)
{
	struct moved m;

	*ret_why = "its first bytes are on two pages";
	/* Such a jump cannot be written at one instant. */
	if (e->addr % PAGE_BYTES <= PAGE_BYTES - JUMP_BYTES &&
	    moved_make(e->bytes, e->bytes_nr, e->addr, e->addr + NEAR_BYTES, JUMP_BYTES, &m,
		       ret_why) == 0)
		return m.taken;
	return 0;
}

static void tell_unmovable(struct preflight *p, const struct entry *e, const char *why)
{
	if (is_needed(&p->entries, e))
		preflight_refuse(p, PREFLIGHT_NOT_MOVABLE,
				 e->is_needed
					 ? "without it nothing is known of what it acquires or "
					   "releases"
				 : p->entries.has_loader
					 ? "seep run records it from its start, by other means"
					 : "",
				 "cannot stand before %s of %s: %s", e->name,
				 module_name(e->module), why);
	else
		preflight_note(p, PREFLIGHT_ENTRY, "", "%s of %s is not recorded: %s%s", e->name,
			       module_name(e->module), why,
			       frees(e) ? "; blocks that it frees will be shown as live" : "");
}

/* A module's file, opened once for all entries of it. */
struct original {
	const char *module;
	int fd;
};

static void original_open(struct original *o, struct preflight *p, const struct entry *e)
{
	const struct target_module *m = target_find_module(p->target, e->addr);

	if (o->module == e->module)
		return;
	if (o->fd >= 0)
		close(o->fd);
	o->module = e->module;
	o->fd = m ? module_file_open(p->target, m) : -1;
}

/* How its file has it; false: that cannot be known, or it is the same. */
static bool differs(struct preflight *p, const struct entry *e, int fd)
{
	const struct map *map = maps_find(target_maps(p->target), e->addr);
	uint8_t in_file[COMPARED_BYTES];
	size_t nr = e->bytes_nr < sizeof(in_file) ? e->bytes_nr : sizeof(in_file);

	if (fd < 0 || !map || !map->inode)
		return false;
	if (pread(fd, in_file, nr, (off_t)(e->addr - map->start + map->offset)) != (ssize_t)nr)
		return false;
	return memcmp(in_file, e->bytes, nr) != 0;
}

/* Is it our own recorder that has changed the entries? */
static bool is_ours(const struct preflight *p)
{
	int dir = proc_open(target_process(p->target)->pid);
	int mem = dir >= 0 ? foreign_memory(dir) : -1;
	bool found = mem >= 0 && inside_find(mem, target_maps(p->target)) != 0;

	if (mem >= 0)
		close(mem);
	if (dir >= 0)
		close(dir);
	return found;
}

static bool is_code(const struct preflight *p, uint64_t addr)
{
	const struct map *m = maps_find(target_maps(p->target), addr);

	return m && m->prot & MAP_EXEC;
}

/*
 * Does what another tool has put there lead on to code of its own, so that the entry can be called?
 * A breakpoint may be a probe of the kernel's that changes where calls return to, and then nobody
 * can tell which are under way; unless the process has a handler for it, and no probe was ever hit.
 */
static bool leads_on(const struct preflight *p, const struct entry *e)
{
	static const uint8_t jump_far[] = {0xff, 0x25};
	const size_t far_bytes = sizeof(jump_far) + sizeof(int32_t);
	int32_t distance;
	uint64_t word;

	if (e->bytes[0] == BREAKPOINT)
		return p->catches_traps && !maps_find_path(target_maps(p->target), "[uprobes]", 0);
	if (e->bytes[0] == JUMP && e->bytes_nr >= JUMP_BYTES) {
		memcpy(&distance, e->bytes + 1, sizeof(distance));
		return is_code(p, e->addr + JUMP_BYTES + (uint64_t)(int64_t)distance);
	}
	if (e->bytes_nr < far_bytes || memcmp(e->bytes, jump_far, sizeof(jump_far)) != 0)
		return false;
	memcpy(&distance, e->bytes + sizeof(jump_far), sizeof(distance));
	return target_read_word(p->target, e->addr + far_bytes + (uint64_t)(int64_t)distance,
				&word) &&
	       is_code(p, word);
}

static void refuse_patched(struct preflight *p, const struct entry *e)
{
	if (e->bytes[0] == JUMP && is_ours(p))
		preflight_refuse(p, PREFLIGHT_RECORDED, "seep detach takes it out",
				 "process %d has a recorder that nobody reads: it was forked by a "
				 "process that is recorded, or seep was killed",
				 target_process(p->target)->pid);
	else if (e->bytes[0] == BREAKPOINT)
		preflight_refuse(p, PREFLIGHT_PATCHED,
				 "end what has put it there (perf, bpftrace, a debugger), and try "
				 "again",
				 "a breakpoint or probe stands in %s of %s", e->name,
				 module_name(e->module));
	else
		preflight_refuse(p, PREFLIGHT_PATCHED,
				 "another tool may record it: take that out first",
				 "%s of %s was changed in memory by something else", e->name,
				 module_name(e->module));
}

/* ---- by slots ---- */

/* What speaks against changing an entry. */
struct against {
	const char *unmovable; /* why */
	bool changed;	       /* by somebody else */
};

static void tell_slots(struct preflight *p, const struct entry *e, const struct slots_of *s,
		       const struct against *a)
{
	char more[160] = "";
	int len = 0;

	if (s->pointers_nr)
		len = snprintf(more, sizeof(more), ", through %zu pointer%s to it in data",
			       s->pointers_nr, s->pointers_nr == 1 ? "" : "s");
	if (s->unbound_nr)
		snprintf(more + len, sizeof(more) - (size_t)len,
			 ", through %zu slot%s not bound yet", s->unbound_nr,
			 s->unbound_nr == 1 ? "" : "s");
	preflight_note(p, PREFLIGHT_SLOTS, "",
		       "%s of %s is seen in part, its entry being left alone (%s): calls through "
		       "%zu slot%s of %zu module%s are, those inside %s%s and of modules loaded "
		       "later are not%s",
		       e->name, module_name(e->module),
		       a->changed ? "something else has changed it" : a->unmovable, s->nr,
		       s->nr == 1 ? "" : "s", s->modules_nr, s->modules_nr == 1 ? "" : "s",
		       module_name(e->module), more,
		       frees(e) ? "; blocks freed so stay shown as live" : "");
}

static void settle_slots(struct preflight *p, const struct against *against)
{
	const struct entries *all = &p->entries;

	slots_find(p->target, all, p->taken, &p->slots);
	for (size_t i = 0; i < all->nr; i++) {
		const struct entry *e = &all->items[i];

		if (p->taken[i] != ENTRY_BY_SLOTS)
			continue;
		if (p->slots.of[i].nr) {
			tell_slots(p, e, &p->slots.of[i], &against[i]);
			continue;
		}
		p->taken[i] = 0;
		if (against[i].changed)
			refuse_patched(p, e);
		else
			tell_unmovable(p, e, against[i].unmovable);
	}
}

/* Unwinding must not depend on who asks. */
static bool is_of_unwinding(const struct entry *e)
{
	return e->function == INJECT__dl_find_object || e->function == INJECT_dl_iterate_phdr;
}

static bool may_go_by_slots(const struct entry *e)
{
	return *e->module && !is_of_unwinding(e);
}

/*
 * False: nothing more need be said of any. What the program has itself it calls directly: slots
 * would show next to nothing.
 */
static bool check_entry(struct preflight *p, size_t i, int fd, struct against *ret)
{
	const struct entry *e = &p->entries.items[i];

	if (!differs(p, e, fd)) {
		p->taken[i] = check_movable(e, &ret->unmovable);
		if (!p->taken[i] && may_go_by_slots(e))
			p->taken[i] = ENTRY_BY_SLOTS;
		else if (!p->taken[i])
			tell_unmovable(p, e, ret->unmovable);
	} else if (may_go_by_slots(e) && !(e->bytes[0] == JUMP && is_ours(p)) && leads_on(p, e)) {
		ret->changed = true;
		p->taken[i] = ENTRY_BY_SLOTS;
	} else if (!is_of_unwinding(e) || e->is_needed || (e->bytes[0] == JUMP && is_ours(p))) {
		refuse_patched(p, e);
	}
	return !preflight_has(p, PREFLIGHT_RECORDED);
}

static bool any_by_slots(const struct preflight *p)
{
	for (size_t i = 0; i < p->entries.nr; i++)
		if (p->taken[i] == ENTRY_BY_SLOTS)
			return true;
	return false;
}

void preflight_entries(struct preflight *p)
{
	struct original original = {.fd = -1};
	struct entries *all = &p->entries;
	struct against *against = mem_alloc_array(all->nr, sizeof(*against));
	bool go_on = true;

	p->taken = mem_alloc(all->nr);
	for (size_t i = 0; i < all->nr && go_on; i++) {
		if (all->items[i].is_alias_of_earlier)
			continue;
		original_open(&original, p, &all->items[i]);
		go_on = check_entry(p, i, original.fd, &against[i]);
	}
	if (go_on && any_by_slots(p))
		settle_slots(p, against);
	for (size_t i = 0; i < all->nr_skipped; i++)
		preflight_note(p, PREFLIGHT_ENTRY, "", "%s of %s is not recorded: %s",
			       all->skipped[i].name, module_name(all->skipped[i].module),
			       all->skipped[i].why);
	if (original.fd >= 0)
		close(original.fd);
	free(against);
}
