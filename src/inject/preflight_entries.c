/* Whether each entry can be taken; see preflight.h. */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
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
	const char *slash = strrchr(path, '/');

	if (!*path)
		return "the program";
	return slash ? slash + 1 : path;
}

/* Without these nothing can be said of the program's memory. */
static bool is_needed(const struct entries *all, const struct entry *e)
{
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

/* How many bytes of it are taken; 0: it cannot be moved, which has been told. */
static uint8_t check_movable(struct preflight *p, const struct entry *e)
{
	struct moved m;
	const char *why = "its first bytes are on two pages";

	/* Such a jump cannot be written at one instant. */
	if (e->addr % PAGE_BYTES <= PAGE_BYTES - JUMP_BYTES &&
	    moved_make(e->bytes, e->bytes_nr, e->addr, e->addr + NEAR_BYTES, JUMP_BYTES, &m,
		       &why) == 0)
		return m.taken;
	if (is_needed(&p->entries, e))
		preflight_refuse(p, PREFLIGHT_NOT_MOVABLE,
				 "seep run records it from its start, by other means",
				 "cannot stand before %s of %s: %s", e->name,
				 module_name(e->module), why);
	else
		preflight_note(p, PREFLIGHT_ENTRY, "", "%s of %s is not recorded: %s%s", e->name,
			       module_name(e->module), why,
			       frees(e) ? "; blocks that it frees will be shown as live" : "");
	return 0;
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

void preflight_entries(struct preflight *p)
{
	struct original original = {.fd = -1};
	struct entries *all = &p->entries;

	p->taken = mem_alloc(all->nr);
	for (size_t i = 0; i < all->nr; i++) {
		const struct entry *e = &all->items[i];

		if (e->is_alias_of_earlier)
			continue;
		original_open(&original, p, e);
		if (differs(p, e, original.fd)) {
			refuse_patched(p, e);
			if (preflight_has(p, PREFLIGHT_RECORDED))
				break; /* the others are the same story */
		} else {
			p->taken[i] = check_movable(p, e);
		}
	}
	for (size_t i = 0; i < all->nr_skipped; i++)
		preflight_note(p, PREFLIGHT_ENTRY, "", "%s of %s is not recorded: %s",
			       all->skipped[i].name, module_name(all->skipped[i].module),
			       all->skipped[i].why);
	if (original.fd >= 0)
		close(original.fd);
}
