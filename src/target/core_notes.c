/* Notes of a core, one after the other; see core_notes.h. */
#include "target/core_notes.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "target/core_elf.h"
#include "target/core_regs.h"
#include "target/target_private.h"

#define DESC_MAX (64u << 20) /* the kernel itself keeps NT_FILE below 16 MiB */
#define NAME_MAX_BYTES 8     /* "CORE", "LINUX" */
#define TLS_ENTRIES_MAX 64

/* i386: one entry of the thread's descriptor table, struct user_desc of asm/ldt.h. */
struct user_desc32 {
	uint32_t entry, base, limit, flags;
};

/* The pieces of one thread, as they come; a thread begins with NT_PRSTATUS. */
struct pieces {
	struct str gp;
	struct str fp;	   /* NT_FPREGSET */
	struct str fx;	   /* NT_PRXFPREG: i386 */
	struct str xstate; /* NT_X86_XSTATE */
	bool any;
	int32_t tid;
	uint64_t tp;
	struct user_desc32 tls[TLS_ENTRIES_MAX];
	size_t nr_tls;
};

struct reader {
	const struct core_elf *core;
	const struct core_regs *regs;
	struct target *t;
	struct core_notes *out;
	struct pieces thread;
	char *desc;
	size_t cap;
};

static uint64_t word_at(const struct reader *r, const char *p)
{
	uint64_t wide;
	uint32_t narrow;

	if (r->regs->word_bytes == 8) {
		memcpy(&wide, p, 8);
		return wide;
	}
	memcpy(&narrow, p, 4);
	return narrow;
}

static int32_t int_at(const char *p)
{
	int32_t value;

	memcpy(&value, p, 4);
	return value;
}

/* i386: the descriptor that gs selects. */
static uint64_t selected_tls(const struct reader *r)
{
	const struct pieces *p = &r->thread;
	uint64_t selector = word_at(r, p->gp.data + r->regs->tls_selector);

	for (size_t i = 0; i < p->nr_tls; i++) {
		if (p->tls[i].entry == (selector & 0xffff) >> 3)
			return p->tls[i].base;
	}
	return 0;
}

/* All notes of a thread have come. */
static void end_thread(struct reader *r)
{
	struct pieces *p = &r->thread;
	const struct str *vectors = &p->xstate;
	struct target_thread *thread;

	if (!p->any)
		return;
	if (!vectors->len)
		vectors = p->fx.len ? &p->fx : &p->fp;
	thread = target_add_thread(r->t, p->tid, "");
	thread->has_registers = true;
	thread->pc = word_at(r, p->gp.data + r->regs->pc);
	thread->sp = word_at(r, p->gp.data + r->regs->sp);
	thread->tp = p->tp;
	if (r->regs->tp != CORE_NO_OFFSET)
		thread->tp = word_at(r, p->gp.data + r->regs->tp);
	else if (r->regs->tls_selector != CORE_NO_OFFSET)
		thread->tp = selected_tls(r);
	target_set_raw_registers(thread, p->gp.data, p->gp.len, vectors->data, vectors->len);
	str_add_len(&p->gp, vectors->data, vectors->len);
	target_set_registers(thread, p->gp.data, p->gp.len);
	str_clear(&p->gp);
	str_clear(&p->fp);
	str_clear(&p->fx);
	str_clear(&p->xstate);
	p->any = false;
	p->nr_tls = 0;
	p->tp = 0;
}

static bool begin_thread(struct reader *r, size_t len)
{
	struct pieces *p = &r->thread;
	int16_t signal;

	if (len < r->regs->status_regs + r->regs->regs_bytes)
		return false;
	end_thread(r);
	p->any = true;
	p->tid = int_at(r->desc + r->regs->status_pid);
	str_add_len(&p->gp, r->desc + r->regs->status_regs, r->regs->regs_bytes);
	memcpy(&signal, r->desc + r->regs->status_signal, sizeof(signal));
	if (!r->out->signal)
		r->out->signal = signal;
	return true;
}

static bool read_process(struct reader *r, size_t len)
{
	struct process_info *p = &r->t->process;
	const char *comm = r->desc + r->regs->info_comm, *args = r->desc + r->regs->info_args;
	size_t args_len;

	if (len < r->regs->info_args + CORE_ARGS_BYTES)
		return false;
	if (p->command)
		return true;
	p->pid = p->tgid = p->ns_pid = int_at(r->desc + r->regs->info_pid);
	p->ppid = int_at(r->desc + r->regs->info_pid + 4);
	memcpy(p->comm, comm, strnlen(comm, CORE_COMM_BYTES - 1));
	args_len = strnlen(args, CORE_ARGS_BYTES);
	while (args_len && args[args_len - 1] == ' ')
		args_len--;
	p->command = mem_strndup(args, args_len);
	return true;
}

static bool read_auxv(struct reader *r, size_t len)
{
	size_t width = r->regs->word_bytes;

	for (size_t at = 0; at + 2 * width <= len; at += 2 * width) {
		uint64_t value = word_at(r, r->desc + at + width);

		switch (word_at(r, r->desc + at)) {
		case AT_NULL:
			return true;
		case AT_PHDR:
			r->out->program_headers = value;
			break;
		case AT_SYSINFO_EHDR:
			r->out->vdso = value;
			break;
		case AT_RANDOM:
			r->out->stack = value;
			break;
		case AT_UID:
			r->t->process.uid = (uint32_t)value;
			break;
		case AT_EUID:
			r->t->process.euid = (uint32_t)value;
			break;
		default:
			break;
		}
	}
	return true;
}

static bool ends_deleted(char *path)
{
	static const char suffix[] = " (deleted)";
	size_t len = strlen(path), suffix_len = sizeof(suffix) - 1;

	if (len <= suffix_len || strcmp(path + len - suffix_len, suffix) != 0)
		return false;
	path[len - suffix_len] = '\0';
	return true;
}

static int by_start(const void *a, const void *b)
{
	const struct core_mapped *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void settle_mapped(struct core_notes *n)
{
	size_t kept = 0;
	uint64_t end = 0;

	if (n->nr_mapped)
		qsort(n->mapped, n->nr_mapped, sizeof(n->mapped[0]), by_start);
	for (size_t i = 0; i < n->nr_mapped; i++) {
		if (n->mapped[i].start < end || n->mapped[i].start >= n->mapped[i].end) {
			n->bad_notes++;
			continue;
		}
		end = n->mapped[i].end;
		n->mapped[kept++] = n->mapped[i];
	}
	n->nr_mapped = kept;
}

/* count, page size; count times start, end, offset in pages; then the names. */
static bool read_files(struct reader *r, size_t len)
{
	size_t width = r->regs->word_bytes, at = 2 * width;
	uint64_t count, page_bytes;
	char *name;

	if (len < at || r->out->paths)
		return r->out->paths != NULL;
	count = word_at(r, r->desc);
	page_bytes = word_at(r, r->desc + width);
	if (count > (len - at) / (3 * width) || !page_bytes || page_bytes > 1u << 30)
		return false;
	r->out->paths = mem_alloc(len + 1 - at - count * 3 * width);
	name = r->out->paths;
	memcpy(name, r->desc + at + count * 3 * width, len - at - count * 3 * width);
	for (uint64_t i = 0; i < count; i++) {
		struct core_mapped m = {
			.start = word_at(r, r->desc + at),
			.end = word_at(r, r->desc + at + width),
			.offset = word_at(r, r->desc + at + 2 * width),
			.path = name,
		};

		at += 3 * width;
		if (name >= r->out->paths + (len - 2 * width - count * 3 * width))
			return false;
		name += strlen(name) + 1;
		m.deleted = ends_deleted((char *)m.path);
		if (m.offset > INT64_MAX / page_bytes)
			continue;
		m.offset *= page_bytes;
		ARRAY_PUSH(r->out->mapped, r->out->nr_mapped, r->out->cap_mapped, m);
	}
	return true;
}

static bool read_tls386(struct reader *r, size_t len)
{
	struct pieces *p = &r->thread;

	for (size_t at = 0; at + sizeof(p->tls[0]) <= len && p->nr_tls < TLS_ENTRIES_MAX;
	     at += sizeof(p->tls[0]))
		memcpy(&p->tls[p->nr_tls++], r->desc + at, sizeof(p->tls[0]));
	return true;
}

static void keep(struct str *to, const struct reader *r, size_t len)
{
	str_clear(to);
	str_add_len(to, r->desc, len);
}

static bool read_core_note(struct reader *r, uint32_t type, size_t len)
{
	switch (type) {
	case NT_PRSTATUS:
		return begin_thread(r, len);
	case NT_PRPSINFO:
		return read_process(r, len);
	case NT_AUXV:
		return read_auxv(r, len);
	case NT_FILE:
		return read_files(r, len);
	case NT_FPREGSET:
		keep(&r->thread.fp, r, len);
		return true;
	default:
		return true;
	}
}

static bool read_linux_note(struct reader *r, uint32_t type, size_t len)
{
	uint64_t tp;

	switch (type) {
	case NT_X86_XSTATE:
		keep(&r->thread.xstate, r, len);
		return true;
	case NT_PRXFPREG:
		keep(&r->thread.fx, r, len);
		return true;
	case NT_386_TLS:
		return read_tls386(r, len);
	case NT_ARM_TLS:
		if (len < sizeof(tp))
			return false;
		memcpy(&tp, r->desc, sizeof(tp));
		r->thread.tp = tp;
		return true;
	default:
		return true;
	}
}

/* The description, in r->desc. */
static bool fetch(struct reader *r, uint64_t offset, size_t len)
{
	if (len > r->cap) {
		r->desc = mem_realloc(r->desc, len);
		r->cap = len;
	}
	return core_elf_read(r->core, offset, r->desc, len) == len;
}

static uint64_t aligned(uint64_t n)
{
	return (n + 3) & ~3ull;
}

/* One PT_NOTE segment. Names and descriptions are padded to 4 bytes, on all machines. */
static void read_segment(struct reader *r, struct core_notes_at seg)
{
	uint64_t at = 0;
	Elf64_Nhdr h;

	while (seg.bytes - at >= sizeof(h)) {
		char name[NAME_MAX_BYTES] = "";
		uint64_t desc;
		bool good = true;

		if (core_elf_read(r->core, seg.offset + at, &h, sizeof(h)) != sizeof(h))
			return;
		desc = at + sizeof(h) + aligned(h.n_namesz);
		if (desc > seg.bytes || h.n_descsz > seg.bytes - desc) {
			r->out->bad_notes++;
			return;
		}
		if (h.n_namesz <= sizeof(name) && h.n_descsz <= DESC_MAX) {
			core_elf_read(r->core, seg.offset + at + sizeof(h), name, h.n_namesz);
			good = fetch(r, seg.offset + desc, h.n_descsz);
			if (good && !strncmp(name, "CORE", sizeof(name)))
				good = read_core_note(r, h.n_type, h.n_descsz);
			else if (good && !strncmp(name, "LINUX", sizeof(name)))
				good = read_linux_note(r, h.n_type, h.n_descsz);
			else if (good && !strncmp(name, CORE_NOTE_SEEP, sizeof(name)))
				r->out->not_one_instant |= h.n_type == CORE_NOTE_NOT_ONE_INSTANT;
		}
		r->out->bad_notes += !good;
		at = desc + aligned(h.n_descsz);
		if (at > seg.bytes)
			return;
	}
}

void core_notes_read(const struct core_elf *c, struct target *t, struct core_notes *ret)
{
	struct reader r = {
		.core = c,
		.regs = core_regs_of(c->machine),
		.t = t,
		.out = ret,
		.thread = {.gp = STR_INIT, .fp = STR_INIT, .fx = STR_INIT, .xstate = STR_INIT},
	};

	*ret = (struct core_notes){.signal = 0};
	for (size_t i = 0; i < c->nr_notes; i++)
		read_segment(&r, c->notes[i]);
	end_thread(&r);
	settle_mapped(ret);
	/* The name is the main thread's; the first thread of a core is the one that died. */
	for (size_t i = 0; i < t->nr_threads; i++) {
		if (t->threads[i].tid == t->process.pid)
			memcpy(t->threads[i].name, t->process.comm, sizeof(t->threads[i].name));
	}
	str_release(&r.thread.gp);
	str_release(&r.thread.fp);
	str_release(&r.thread.fx);
	str_release(&r.thread.xstate);
	free(r.desc);
}

void core_notes_release(struct core_notes *n)
{
	if (!n)
		return;
	free(n->mapped);
	free(n->paths);
	*n = (struct core_notes){.signal = 0};
}
