/* What goes into a core; see core_plan.h. */
#include "target/core_plan.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "target/proc.h"
#include "target/smaps.h"
#include "target/target_private.h"

#define HEAD_BYTES 4096u
/*
 * Untouched memory is zeros, which cost nothing in a sparse file; but reservations of terabytes
 * would exceed what file systems allow.
 */
#define ZEROS_MAX (1ull << 30)

int core_proc_dir(struct target *t)
{
	int dir = t->ops->proc_dir ? t->ops->proc_dir(t) : -1;

	if (dir < 0)
		return proc_open(t->process.pid);
	dir = fcntl(dir, F_DUPFD_CLOEXEC, 3);
	return dir < 0 ? -errno : dir;
}

int core_shared_open(struct target *t, const struct map *m)
{
	char name[64];
	struct stat st;
	int dir = core_proc_dir(t), fd, err;

	if (dir < 0)
		return dir;
	snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, m->start, m->end);
	/* Looked at first: opening a device can do things. */
	err = fstatat(dir, name, &st, 0) < 0 ? -errno : 0;
	if (!err && !S_ISREG(st.st_mode))
		err = -ENOTSUP;
	fd = err ? err : openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (!err && fd < 0)
		fd = -errno;
	close(dir);
	return fd;
}

static bool starts_elf(struct target *t, const struct map *m)
{
	char magic[SELFMAG];

	return m->offset == 0 && (m->prot & MAP_READ) &&
	       target_read_all(t, m->start, magic, sizeof(magic)) &&
	       memcmp(magic, ELFMAG, SELFMAG) == 0;
}

/* What is known of one mapping. */
struct known {
	const struct smaps_region *use; /* NULL: not in smaps */
	bool smaps;			/* of other mappings it is known */
	bool frozen;			/* it does not change any more */
};

/* Not in the clone, or wiped there: only reading knows what became of it. */
static bool escapes_fork(const struct known *k)
{
	return k->use ? k->use->vm_flags & (SMAPS_VM_NO_FORK | SMAPS_VM_WIPE_FORK) : k->smaps;
}

static enum core_source decide_private(const struct map *m, const struct known *k, bool everything)
{
	const struct smaps_region *use = k->use;
	bool huge = use && (use->vm_flags & SMAPS_VM_HUGETLB);
	bool touched = !use || use->anonymous || use->swap || huge;

	/* Between this look and the reading it may be written to. */
	if (!k->frozen)
		touched |= !m->inode || (m->prot & MAP_WRITE);
	if (m->inode) {
		if (!use && !everything)
			touched = m->prot & MAP_WRITE;
		return everything || touched ? CORE_MEMORY : CORE_NOTHING;
	}
	if (huge || escapes_fork(k))
		return CORE_MEMORY;
	if (touched)
		return CORE_ANONYMOUS;
	/* The kernel's zero page is in no figure of smaps, and is zeros. */
	return m->prot && m->end - m->start <= ZEROS_MAX ? CORE_ZEROS : CORE_NOTHING;
}

static enum core_source decide(const struct map *m, const struct known *k, bool everything)
{
	uint32_t flags = k->use ? k->use->vm_flags : 0;

	if (strcmp(m->path, "[vdso]") == 0)
		return CORE_MEMORY;
	if (strncmp(m->path, "[vvar", 5) == 0 || (flags & SMAPS_VM_IO))
		return CORE_NOTHING;
	if ((flags & SMAPS_VM_NO_DUMP) && !everything)
		return CORE_NOTHING;
	if (!(m->prot & MAP_IS_SHARED))
		return decide_private(m, k, everything);
	/* A file without a name is nothing but memory. */
	if (everything || (m->deleted && !(flags & SMAPS_VM_HUGETLB)))
		return CORE_SHARED;
	return CORE_NOTHING;
}

static void add_piece(struct target *t, const struct map *m, const struct known *k, bool everything,
		      struct core_plan *p)
{
	struct core_piece piece = {.map = m, .source = decide(m, k, everything)};
	bool unread =
		(k->use && (k->use->vm_flags & SMAPS_VM_IO)) || strncmp(m->path, "[vvar", 5) == 0;

	if (piece.source != CORE_NOTHING) {
		piece.bytes = m->end - m->start;
	} else if (m->inode && !unread && !(m->prot & MAP_IS_SHARED) && starts_elf(t, m)) {
		piece.source = CORE_MEMORY;
		piece.bytes = m->end - m->start < HEAD_BYTES ? m->end - m->start : HEAD_BYTES;
	}
	p->bytes += piece.bytes;
	if (m->prot & MAP_READ && !unread)
		p->left_out += m->end - m->start - piece.bytes;
	ARRAY_PUSH(p->items, p->nr, p->cap, piece);
}

static void read_use(struct target *t, struct smaps *ret)
{
	int dir = core_proc_dir(t);

	if (dir < 0)
		return;
	if (smaps_read_at(dir, ret) < 0)
		*ret = (struct smaps){.nr = 0};
	close(dir);
}

void core_plan_make(struct target *t, bool everything, struct core_plan *ret)
{
	struct core_plan p = {.nr = 0};
	struct smaps use = {.nr = 0};
	struct known k = {.frozen = t->how.kind != TARGET_LIVE};
	size_t at = 0;

	read_use(t, &use);
	k.smaps = use.nr > 0;
	for (size_t i = 0; i < t->maps.nr; i++) {
		const struct map *m = &t->maps.items[i];

		/* The kernel's own page, above all addresses of programs. */
		if (strcmp(m->path, "[vsyscall]") == 0)
			continue;
		while (at < use.nr && use.items[at].map->end <= m->start)
			at++;
		k.use = NULL;
		if (at < use.nr && use.items[at].map->start <= m->start &&
		    use.items[at].map->end >= m->end)
			k.use = &use.items[at];
		add_piece(t, m, &k, everything, &p);
	}
	smaps_release(&use);
	*ret = p;
}

void core_plan_release(struct core_plan *p)
{
	free(p->items);
	*p = (struct core_plan){.nr = 0};
}
