/* See prepare.h. What the injected recorder expects to find: src/wire/blob.h and rec/session.c. */
#include "inject/prepare.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "inject/attach.h"
#include "inject/blob_modules.h"
#include "inject/calls.h"
#include "inject/claim.h"
#include "inject/entries.h"
#include "inject/inside.h"
#include "inject/pairs.h"
#include "inject/preflight.h"
#include "target/foreign_fd.h"
#include "target/hold.h"
#include "target/launch_table.h"
#include "target/process.h"
#include "target/target.h"
#include "wire/allocator.h"
#include "wire/layout.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3 */
#endif
#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

struct preparation {
	struct attach *a;
	struct calls *c;
	struct launch_table table;
	uint64_t blob;	  /* address of struct wire_blob; 0: not there yet */
	uint64_t mapping; /* of the table */
	int number;	  /* descriptor in the process; -1: not made yet */
	int fd;		  /* the same file, until the table has it; -1 */
};

/* What failed, to be told: "map memory", and why. */
static int failed(const struct preparation *p, const char *what, int64_t err, struct error *e)
{
	const struct process_info *process = target_process(p->a->target);
	int32_t pid = process->pid;

	if (err == -ESRCH && process_check(pid, process->start_ticks) < 0)
		error_set(e, -ESRCH, EXIT_TARGET, "process %d has ended", pid);
	else
		error_set(e, (int)err, EXIT_TARGET, "cannot %s in process %d: %s", what, pid,
			  error_strerror((int)err));
	if (err == -EAGAIN && !strncmp(what, "map", 3))
		error_hint(e, "its memory is locked (mlockall), and its limit on that is reached");
	return (int)err;
}

/* ---- memory for the recorder ---- */

static int map_near(const struct preparation *p, const struct plan_near *n, struct error *e)
{
	int r = claim_map(p->c, p->number, p->fd, n->start, n->bytes);

	return r < 0 ? failed(p, "map memory", r, e) : 0;
}

static int write_at(const struct preparation *p, uint64_t addr, const void *bytes, size_t len)
{
	return inside_poke(p->c->mem, addr, bytes, len);
}

/* Pages of zeroes are there already. */
static int write_pages(const struct preparation *p, size_t from, size_t to)
{
	const struct blob_image *i = &p->a->image;
	static const uint8_t zeroes[WIRE_PAGE];
	int r = 0;

	for (size_t at = from; at < to && !r; at += WIRE_PAGE) {
		size_t len = to - at < WIRE_PAGE ? to - at : WIRE_PAGE;

		if (memcmp(i->bytes + at, zeroes, len))
			r = write_at(p, p->a->plan.blob + at, i->bytes + at, len);
	}
	return r;
}

/* First that by which it is found, should we be killed. */
static int write_image(const struct preparation *p)
{
	const struct blob_image *i = &p->a->image;
	int r = write_pages(p, i->text_bytes, i->bytes_nr);

	return r ? r : write_pages(p, 0, i->text_bytes);
}

/* What is not noted stays mapped, should we be killed; what is noted too early may be another's. */
static int note_near(const struct preparation *p, uint32_t i)
{
	const struct plan_near *n = &p->a->plan.nears[i];
	const struct wire_mapped m = {n->start, n->start + n->bytes};
	uint32_t nr = i + 1;
	int r = INSIDE_POKE(p->c->mem, p->blob, mapped[i], m);

	return r ? r : INSIDE_POKE(p->c->mem, p->blob, mapped_nr, nr);
}

static int write_slots(const struct preparation *p)
{
	const struct plan *plan = &p->a->plan;
	int r = 0;

	for (size_t i = 0; i < plan->nr_entries && !r; i++) {
		const struct plan_entry *n = &plan->entries[i];

		r = write_at(p, n->slot, n->thunk, sizeof(n->thunk));
		if (!r)
			r = write_at(p, n->slot + PLAN_THUNK_BYTES, n->moved.code,
				     n->moved.code_nr);
	}
	for (size_t i = 0; i < plan->nr_slots && !r; i++)
		if (plan->slots[i].is_stub)
			r = write_at(p, plan->slots[i].landing, plan->slots[i].jump,
				     PLAN_LANDING_BYTES);
	return r;
}

static int write_frames(const struct preparation *p)
{
	size_t len = frames_bytes(&p->a->frames);
	uint8_t *table = mem_alloc(len);
	int r;

	frames_write(&p->a->frames, p->a->plan.table, table);
	r = write_at(p, p->a->plan.table, table, len);
	free(table);
	return r;
}

static int map_all(struct preparation *p, struct error *e)
{
	const struct plan *plan = &p->a->plan;
	int r = 0;

	for (size_t i = 0; i < plan->nr_nears; i++) {
		r = map_near(p, &plan->nears[i], e);
		if (r < 0)
			return r;
		r = i ? note_near(p, (uint32_t)i) : write_image(p);
		if (r < 0)
			return failed(p, "write the recorder", r, e);
		p->blob = plan->blob + p->a->image.text_bytes;
	}
	r = claim_end(p->fd);
	if (!r)
		r = write_slots(p);
	if (!r && frames_bytes(&p->a->frames))
		r = write_frames(p);
	return r < 0 ? failed(p, "write the recorder", r, e) : 0;
}

static int make_executable(const struct preparation *p, struct error *e)
{
	const struct plan *plan = &p->a->plan;

	for (size_t i = 0; i < plan->nr_nears; i++) {
		const struct plan_near *n = &plan->nears[i];
		uint64_t len = i ? n->bytes : plan->blob + p->a->image.text_bytes - n->start;
		int64_t r = calls_make(p->c, SYS_mprotect, n->start, len, PROT_READ | PROT_EXEC, 0,
				       0, 0);

		if (r < 0) {
			failed(p, "make memory executable", r, e);
			if (r == -EACCES)
				error_hint(e, "a security module (SELinux: execmem) forbids it");
			return (int)r;
		}
	}
	return 0;
}

/* ---- the table ---- */

/* Under a high number, so that the program's own descriptors get those that they would get. */
static int make_file(struct preparation *p, struct error *e)
{
	int64_t any = calls_make_named(p->c, SYS_memfd_create, WIRE_NAME,
				       MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL),
		number;

	if (any == -EINVAL)
		any = calls_make_named(p->c, SYS_memfd_create, WIRE_NAME,
				       MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (any < 0)
		return failed(p, "make a file for the tables", any, e);
	number = calls_make(p->c, SYS_fcntl, (uint64_t)any, 1030 /* F_DUPFD_CLOEXEC */,
			    WIRE_FD_BASE, 0, 0, 0);
	if (number >= 0)
		calls_make(p->c, SYS_close, (uint64_t)any, 0, 0, 0, 0, 0);
	else
		number = any; /* RLIMIT_NOFILE is low */
	p->number = (int)number;
	return 0;
}

/* The recorder is told of it before it is there. */
static int open_file(struct preparation *p, struct error *e)
{
	struct wire_blob *b = blob_image_blob(&p->a->image);
	struct foreign_file file;

	p->fd = foreign_open(p->c->hold->dir, p->number);
	if (p->fd < 0)
		return failed(p, "open the file for the tables", p->fd, e);
	if (!foreign_identify(p->c->hold->dir, p->number, &file))
		return failed(p, "open the file for the tables", -ESRCH, e);
	b->table_fd = p->number;
	b->table_device = file.device;
	b->table_inode = file.inode;
	return 0;
}

static int make_table(struct preparation *p, struct error *e)
{
	int32_t pid = target_process(p->a->target)->pid;
	struct rlimit as = {.rlim_cur = RLIM_INFINITY};
	int fd = p->fd;

	prlimit(pid, RLIMIT_AS, NULL, &as);
	p->fd = -1;
	return launch_table_adopt(fd, pid, as.rlim_cur, p->a->mode, &p->table, e);
}

/*
 * Where all memory is locked as soon as it is mapped (mlockall), the kernel would fill the whole
 * sparse file. What may not be read is not filled, and is unlocked before it may be.
 */
static int64_t map_unlocked(const struct preparation *p, uint64_t bytes)
{
	int64_t at = calls_make(p->c, SYS_mmap, 0, bytes, PROT_NONE, MAP_SHARED | MAP_NORESERVE,
				(uint64_t)p->number, 0),
		r;

	if (at < 0)
		return at;
	r = calls_make(p->c, SYS_munlock, (uint64_t)at, bytes, 0, 0, 0, 0);
	if (!r)
		r = calls_make(p->c, SYS_mprotect, (uint64_t)at, bytes, PROT_READ | PROT_WRITE, 0,
			       0, 0);
	if (r < 0) {
		calls_make(p->c, SYS_munmap, (uint64_t)at, bytes, 0, 0, 0, 0);
		return r;
	}
	return at;
}

/* All of it, or less of the live table where the system does not let us. */
static int map_table(struct preparation *p, struct error *e)
{
	struct wire_header *h = p->table.header;
	int64_t at = -ENOMEM;
	uint64_t bytes = 0;

	for (uint32_t chunks = h->chunks_cap; chunks >= WIRE_CHUNKS_MIN && at == -ENOMEM;
	     chunks /= 2) {
		bytes = h->chunks_off + chunks * WIRE_CHUNK_BYTES;
		h->chunks_cap = chunks;
		at = map_unlocked(p, bytes);
	}
	if (at < 0)
		return failed(p, "map the tables", at, e);
	p->mapping = (uint64_t)at;
	at = calls_make(p->c, SYS_madvise, p->mapping, bytes, MADV_DONTFORK, 0, 0, 0);
	if (at < 0)
		return failed(p, "keep the tables from its children", at, e);
	calls_make(p->c, SYS_madvise, p->mapping, bytes, MADV_DONTDUMP, 0, 0, 0);
	return 0;
}

/* ---- what the recorder is told ---- */

/* The first node is nobody's, the next ones are marks; see struct wire_node. */
static int write_marks(const struct preparation *p)
{
	struct wire_node marks[WIRE_NODE_FIRST] = {{0}};
	ssize_t done;

	for (uint32_t i = WIRE_NODE_UNKNOWN; i < WIRE_NODE_FIRST; i++)
		marks[i].pc = i;
	marks[WIRE_NODE_UNKNOWN].count = 1;
	done = pwrite(p->table.fd, marks, sizeof(marks), (off_t)p->table.header->nodes_off);
	return done == (ssize_t)sizeof(marks) ? 0 : -EIO;
}

/*
 * The names of the kinds of resources are the first tags. And by its own number the recorder knows
 * a child of vfork(), which has the same memory, but descriptors of its own.
 */
static int write_kinds(const struct preparation *p)
{
	const struct pairs *pairs = p->a->preflight->pairs;
	struct wire_header *h = p->table.header;
	uint64_t pid;

	for (size_t i = 0; pairs && i < pairs->nr_kinds; i++) {
		struct wire_tag tag = {.state = WIRE_ENTRY_DONE};
		off_t at = (off_t)(h->tags_off + i * sizeof(tag));

		snprintf(tag.name, sizeof(tag.name), "%s", pairs->kinds[i]);
		if (pwrite(p->table.fd, &tag, sizeof(tag), at) != (ssize_t)sizeof(tag))
			return -EIO;
		h->tags_nr++;
		h->kinds_nr++;
	}
	if (!pairs || !pairs->nr_kinds)
		return 0;
	pid = (uint64_t)calls_make(p->c, SYS_getpid, 0, 0, 0, 0, 0, 0);
	return INSIDE_POKE(p->c->mem, p->blob, pid, pid);
}

static uint32_t dense_below(const struct entries *all)
{
	for (size_t i = 0; i < all->nr; i++)
		if (all->items[i].function == INJECT_malloc &&
		    strcmp(all->items[i].module, all->allocator_module))
			return WIRE_DENSE_ANY;
	return wire_dense_below(all->allocator);
}

static void fill_header(const struct preparation *p)
{
	const struct entries *all = p->a->entries;
	struct wire_header *h = p->table.header;

	strncpy(h->allocator, all->allocator, sizeof(h->allocator) - 1);
	h->dense_below = dense_below(all);
	h->ordinary_sizes = WIRE_SIZE_ESCAPE - h->dense_below;
	if (h->dense_below)
		h->slow |= WIRE_SLOW_FREES;
	h->partial_nr = (uint32_t)plan_partial_nr(&p->a->plan);
	h->threads_many = 1;
	h->epoch = 1;
	h->nodes_nr = WIRE_NODE_FIRST;
	h->counts_nr = 2;
	h->pid = target_process(p->a->target)->pid;
	__atomic_store_n(&h->state, WIRE_STATE_RECORDING, __ATOMIC_RELEASE);
}

/* The gate is open from now on, and nobody comes. */
static int write_places(const struct preparation *p)
{
	const struct wire_blob *blob = blob_image_blob(&p->a->image);
	const struct wire_header *h = p->table.header;
	const struct wire_places places = {
		.base = p->mapping,
		.nodes = p->mapping + h->nodes_off,
		.counts = p->mapping + h->counts_off,
		.extra = p->mapping + h->extra_off,
		.index = p->mapping + h->index_off,
		.dense1 = p->mapping + h->dense1_off,
		.modules = p->mapping + h->modules_off,
		.undo = p->mapping + h->undo_off,
		.known = p->mapping + h->known_off,
		.rings = p->mapping + h->rings_off,
		.chunks = p->mapping + h->chunks_off,
		.marks = p->mapping + h->marks_off,
		.tags = p->mapping + h->tags_off,
		.pools = p->mapping + h->pools_off,
		.nodes_cap = h->nodes_cap,
	};
	const struct wire_gate gate = {p->mapping, p->mapping + h->level1_off, p->mapping};
	int r = write_at(p, blob->places, &places, sizeof(places));

	return r ? r : write_at(p, blob->gate, &gate, sizeof(gate));
}

static int connect(struct preparation *p, struct error *e)
{
	const struct wire_blob *blob = blob_image_blob(&p->a->image);
	int r = (int)calls_make(p->c, SYS_madvise, blob->gate, WIRE_PAGE, MADV_WIPEONFORK, 0, 0, 0);

	if (r < 0) {
		failed(p, "have memory wiped at a fork", r, e);
		if (r == -EINVAL)
			error_hint(e, "this kernel has no MADV_WIPEONFORK (Linux 4.14)");
		return r;
	}
	r = write_marks(p);
	if (!r)
		r = write_kinds(p);
	if (!r)
		fill_header(p);
	if (!r)
		r = write_places(p);
	return r < 0 ? failed(p, "write the recorder", r, e) : 0;
}

int prepare_inside(struct attach *a, struct calls *c, uint64_t *ret_blob, struct error *e)
{
	struct preparation p = {.a = a, .c = c, .table = LAUNCH_TABLE_INIT, .number = -1, .fd = -1};
	int r = make_file(&p, e);

	if (!r)
		r = open_file(&p, e);
	if (!r)
		r = map_all(&p, e);
	*ret_blob = p.blob;
	if (!r)
		r = make_executable(&p, e);
	if (!r)
		r = make_table(&p, e);
	if (!r)
		r = map_table(&p, e);
	if (!r)
		r = connect(&p, e);
	if (p.fd >= 0)
		close(p.fd);
	if (!r && a->table)
		*a->table = p.table;
	else
		launch_table_release(&p.table);
	return r;
}
