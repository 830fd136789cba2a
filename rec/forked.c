/* See forked.h. Signals may arrive at any point here, in both processes. */
#include "forked.h"

#include <linux/mman.h>
#include <stddef.h>

#include "bytes.h"
#include "sys.h"

#define PAGE 4096ul
#define HEAD_BYTES offsetof(struct wire_header, chunk_base)
_Static_assert(HEAD_BYTES % PAGE == 0, "pages of its own");

/* Threads that use the tables and whose busy is not set; inherited by a child. */
static uint32_t uses;

bool rec_use_begin(const struct wire_header *h)
{
	__atomic_fetch_add(&uses, 1, __ATOMIC_SEQ_CST);
	if (!rec_is_gone(h))
		return true;
	rec_use_end();
	return false;
}

void rec_use_end(void)
{
	__atomic_fetch_sub(&uses, 1, __ATOMIC_SEQ_CST);
}

/* ---- before ---- */

static bool hook_is_under_way(const struct forking *f)
{
	return (f->wire && f->wire->busy) || __atomic_load_n(&uses, __ATOMIC_SEQ_CST);
}

/* In the parent: it may change what is copied as soon as the child is there. */
static void keep_copy(struct forking *f)
{
	const struct wire_header *h = f->gate.tables;
	uint8_t *p;

	f->copy_bytes = HEAD_BYTES + (f->wire ? h->thread_stride : 0);
	p = sys_mmap(f->copy_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (sys_failed(p))
		return;
	bytes_copy(p, h, HEAD_BYTES);
	if (f->wire)
		bytes_copy(p + HEAD_BYTES, f->wire, h->thread_stride);
	f->copy = p;
	/* Handlers of pthread_atfork may map memory in the child before we can: not there. */
	sys3(SYS_madvise, (long)h, (long)f->tables_bytes, MADV_DOFORK);
}

void forking_begin(struct forking *f)
{
	const struct wire_header *h = rec_gate.header;

	*f = (struct forking){.gate = {rec_gate.header, rec_gate.tables, rec_gate.level1}};
	if (!h)
		return;
	f->wire = self_any();
	f->tables_bytes = h->chunks_off + h->chunks_cap * WIRE_CHUNK_BYTES;
	if (hook_is_under_way(f))
		keep_copy(f);
}

/* ---- after ---- */

/* False: nothing was mapped there. */
static bool map_at(const void *at, size_t bytes, long how)
{
	long r = arch_syscall6(SYS_mmap, (long)at, (long)bytes, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | how, -1, 0);

	if (r == (long)at)
		return true;
	if (!sys_failed((const void *)r)) /* a kernel that does not know MAP_FIXED_NOREPLACE */
		sys2(SYS_munmap, r, (long)bytes);
	return false;
}

/* Whoever takes an injected recorder out of the child has to find it. */
static void list_mapped(const void *at, size_t bytes)
{
#ifdef REC_BLOB
	if (rec_blob.mapped_nr >= WIRE_MAPPED_MAX)
		return;
	rec_blob.mapped[rec_blob.mapped_nr++] =
		(struct wire_mapped){(uint64_t)at, (uint64_t)at + bytes};
#else
	(void)at;
	(void)bytes;
#endif
}

/*
 * Where memory cannot be had like that (vm.overcommit_memory 2), the child keeps its parent's: what
 * is left of one hook goes in there, and then no more.
 */
static void stand_in_for_all(const struct forking *f)
{
	struct wire_header *h = f->gate.tables;

	if (!map_at(h, f->tables_bytes, MAP_FIXED))
		return;
	sys3(SYS_madvise, (long)h, (long)f->tables_bytes, MADV_NOHUGEPAGE);
	sys3(SYS_madvise, (long)h, (long)f->tables_bytes, MADV_DONTDUMP);
	bytes_copy(h, f->copy, HEAD_BYTES);
	if (f->wire)
		bytes_copy(f->wire, f->copy + HEAD_BYTES, f->copy_bytes - HEAD_BYTES);
	list_mapped(h, f->tables_bytes);
}

static void stand_in_for_start(const struct forking *f)
{
	uint64_t first = (uint64_t)f->wire & ~(PAGE - 1);
	uint64_t end = ((uint64_t)f->wire + offsetof(struct wire_thread, records) + PAGE - 1) &
		       ~(PAGE - 1);

	if (map_at(f->gate.tables, HEAD_BYTES, MAP_FIXED_NOREPLACE)) {
		f->gate.tables->slow = WIRE_SLOW_GONE;
		list_mapped(f->gate.tables, HEAD_BYTES);
	}
	/* Pages of tables for another page that is written to would cost as much again. */
	if (f->wire && map_at((const void *)first, end - first, MAP_FIXED_NOREPLACE))
		list_mapped((const void *)first, end - first);
}

static void in_child(const struct forking *f)
{
	/* _Fork() inside fork() has done it, or the gate has been opened since. */
	if (rec_gate.tables)
		return;
	if (f->copy)
		stand_in_for_all(f);
	else if (f->gate.header)
		stand_in_for_start(f);
	rec_gate.level1 = f->gate.level1;
	rec_gate.tables = f->gate.tables;
}

void forking_end(const struct forking *f, bool is_child)
{
	if (is_child)
		in_child(f);
	else if (f->copy)
		sys3(SYS_madvise, (long)f->gate.tables, (long)f->tables_bytes, MADV_DONTFORK);
	if (f->copy)
		sys2(SYS_munmap, (long)f->copy, (long)f->copy_bytes);
}
