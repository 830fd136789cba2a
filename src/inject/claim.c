/* See claim.h. */
#include "inject/claim.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inject/calls.h"
#include "target/foreign_fd.h"
#include "target/hold.h"
#include "target/process.h"
#include "target/target.h"
#include "wire/blob.h"
#include "wire/layout.h"

#define MAGIC 0x6d69616c63706565ull /* "eepclaim" */
#define TABLE_LINK "/memfd:" WIRE_NAME " (deleted)"

struct claim {
	uint64_t magic;
	uint64_t start_ticks; /* of the process: others may hold the file as well */
	uint64_t start, end;
};

static uint64_t ticks_of(const struct hold *h)
{
	return target_process(h->target)->start_ticks;
}

static int64_t unmap(struct calls *c, uint64_t start, uint64_t bytes)
{
	return calls_make(c, SYS_munmap, start, bytes, 0, 0, 0, 0);
}

/* Nothing can be read there, and the process has it for nothing else. */
static int64_t take_addresses(struct calls *c, int number, uint64_t start, uint64_t bytes, int how)
{
	return calls_make(c, SYS_mmap, start, bytes, PROT_NONE, MAP_PRIVATE | MAP_NORESERVE | how,
			  (uint64_t)number, 0);
}

int claim_map(struct calls *c, int number, int fd, uint64_t start, uint64_t bytes)
{
	const struct claim claim = {MAGIC, ticks_of(c->hold), start, start + bytes};
	int64_t at = take_addresses(c, number, start, bytes, MAP_FIXED_NOREPLACE);

	if (at >= 0 && at != (int64_t)start) {
		/* A kernel that does not know the flag has put it elsewhere. */
		unmap(c, (uint64_t)at, bytes);
		return -EEXIST;
	}
	if (at < 0)
		return (int)at;
	if (pwrite(fd, &claim, sizeof(claim), 0) != (ssize_t)sizeof(claim))
		return errno ? -errno : -EIO;
	at = calls_make(c, SYS_mmap, start, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, (uint64_t)-1, 0);
	return at < 0 ? (int)at : 0;
}

int claim_end(int fd)
{
	return ftruncate(fd, 0) < 0 ? -errno : 0;
}

int claims_find(const struct hold *h, struct claims *ret)
{
	return foreign_find(h->dir, TABLE_LINK, &ret->numbers, &ret->nr);
}

void claims_release(struct claims *c)
{
	free(c->numbers);
	*c = (struct claims){0};
}

/* ---- what was left ---- */

struct left {
	struct foreign_file file;
	struct claim claim; /* end 0: none yet */
	int fd;
};

/* False: there is no such descriptor, or it is somebody's table. */
static bool open_left(const struct hold *h, int number, struct left *ret)
{
	struct left l = {.fd = -1};
	ssize_t got;

	if (!foreign_identify(h->dir, number, &l.file))
		return false;
	l.fd = foreign_open(h->dir, number);
	if (l.fd < 0)
		return false;
	got = pread(l.fd, &l.claim, sizeof(l.claim), 0);
	if (!got)
		l.claim = (struct claim){0};
	else if (got != (ssize_t)sizeof(l.claim) || l.claim.magic != MAGIC ||
		 l.claim.start_ticks != ticks_of(h) || l.claim.end < l.claim.start) {
		close(l.fd);
		return false;
	}
	*ret = l;
	return true;
}

bool claims_any(const struct hold *h, const struct claims *found)
{
	bool any = false;
	struct left l;

	for (size_t i = 0; i < found->nr && !any; i++) {
		any = open_left(h, found->numbers[i], &l);
		if (any)
			close(l.fd);
	}
	return any;
}

static bool knows(const struct wire_blob *b, uint64_t addr)
{
	for (uint32_t i = 0; b && i < b->mapped_nr; i++)
		if (addr >= b->mapped[i].start && addr < b->mapped[i].end)
			return true;
	return false;
}

static int unmap_file(struct calls *c, const struct foreign_file *file)
{
	struct maps maps = MAPS_INIT;
	int r = maps_read_at(c->hold->dir, &maps);

	for (size_t i = 0; i < maps.nr && !r; i++) {
		const struct map *m = &maps.items[i];

		if (foreign_is_mapped(file, m))
			r = (int)unmap(c, m->start, m->end - m->start);
	}
	maps_release(&maps);
	return r;
}

/*
 * Back the way it was taken, so that at no moment anything is there that nobody knows of. Where the
 * process may have no more mappings, that goes but straight.
 */
static int clear_left(struct calls *c, int number, const struct left *l, const struct wire_blob *b)
{
	uint64_t start = l->claim.start, bytes = l->claim.end - start;
	bool is_claimed = bytes && !knows(b, start), full;
	int64_t r = is_claimed ? take_addresses(c, number, start, bytes, MAP_FIXED) : 0;

	full = r == -ENOMEM;
	if (r >= 0 || full)
		r = claim_end(l->fd);
	if (!r && full)
		r = unmap(c, start, bytes);
	if (!r)
		r = unmap_file(c, &l->file);
	if (r || (b && b->table_inode == l->file.inode && b->table_device == l->file.device))
		return (int)r;
	return (int)calls_make(c, SYS_close, (uint64_t)number, 0, 0, 0, 0, 0);
}

int claims_clear(struct calls *c, const struct claims *found, const struct wire_blob *b)
{
	struct left l;
	int r = 0;

	for (size_t i = 0; i < found->nr && !r; i++) {
		if (!open_left(c->hold, found->numbers[i], &l))
			continue;
		r = clear_left(c, found->numbers[i], &l, b);
		close(l.fd);
	}
	return r;
}
