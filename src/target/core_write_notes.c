/*
 * The notes of a core: threads, who the process is, its auxiliary vector, its mapped files. In the
 * kernel's order (fs/binfmt_elf.c), which debuggers rely on: a thread's other registers follow its
 * NT_PRSTATUS. Layouts: core_regs.h.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "target/core_notes.h"
#include "target/core_plan.h"
#include "target/core_regs.h"
#include "target/core_write.h"
#include "target/proc.h"
#include "target/target_private.h"

#define FXSAVE_BYTES 512 /* how an xsave area begins; struct user_fpregs_struct of x86-64 */
#define PAGE_BYTES 4096u /* the unit of offsets in NT_FILE */

struct notes {
	struct target *t;
	const struct core_regs *regs;
	struct str *out;
};

static void pad(struct str *out)
{
	while (out->len & 3)
		str_add_char(out, '\0');
}

static void add_note(struct notes *n, const char *name, uint32_t type, const void *desc, size_t len)
{
	Elf64_Nhdr h = {
		.n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = (uint32_t)len, .n_type = type};

	str_add_len(n->out, (const char *)&h, sizeof(h));
	str_add_len(n->out, name, h.n_namesz);
	pad(n->out);
	str_add_len(n->out, desc, len);
	pad(n->out);
}

static void put_int(char *at, int32_t value)
{
	memcpy(at, &value, sizeof(value));
}

static void put_word(struct str *out, unsigned int width, uint64_t value)
{
	uint32_t narrow = (uint32_t)value;

	if (width == 8)
		str_add_len(out, (const char *)&value, 8);
	else
		str_add_len(out, (const char *)&narrow, 4);
}

/* pid, ppid, process group, session: four ints in a row, in both notes. */
static void put_ids(const struct notes *n, char *at, int32_t id)
{
	int32_t pid = n->t->process.pid;

	put_int(at, id);
	put_int(at + 4, n->t->process.ppid);
	put_int(at + 8, (int32_t)getpgid(pid));
	put_int(at + 12, (int32_t)getsid(pid));
}

static void add_status(struct notes *n, const struct target_thread *thread)
{
	char *status = mem_alloc(n->regs->status_bytes);

	put_ids(n, status + n->regs->status_pid, thread->tid);
	memcpy(status + n->regs->status_regs, thread->gp, n->regs->regs_bytes);
	/* pr_fpvalid: the other registers are there, too. */
	put_int(status + n->regs->status_regs + n->regs->regs_bytes, thread->xstate != NULL);
	add_note(n, "CORE", NT_PRSTATUS, status, n->regs->status_bytes);
	free(status);
}

/* i386: the one descriptor that gs selects. */
static void add_tls386(struct notes *n, const struct target_thread *thread)
{
	uint32_t gs, desc[4];

	memcpy(&gs, thread->gp + n->regs->tls_selector, sizeof(gs));
	desc[0] = (gs & 0xffff) >> 3;
	desc[1] = (uint32_t)thread->tp;
	desc[2] = 0xfffff;
	desc[3] = 0x51; /* 32-bit, limit in pages, usable; struct user_desc of asm/ldt.h */
	add_note(n, "LINUX", NT_386_TLS, desc, sizeof(desc));
}

static void add_other_registers(struct notes *n, const struct target_thread *thread)
{
	switch (n->regs->machine) {
	case EM_X86_64:
		if (thread->xstate_bytes < FXSAVE_BYTES)
			break;
		add_note(n, "CORE", NT_FPREGSET, thread->xstate, FXSAVE_BYTES);
		if (thread->xstate_bytes > FXSAVE_BYTES)
			add_note(n, "LINUX", NT_X86_XSTATE, thread->xstate, thread->xstate_bytes);
		break;
	case EM_386:
		if (thread->xstate_bytes >= FXSAVE_BYTES)
			add_note(n, "LINUX", NT_PRXFPREG, thread->xstate, FXSAVE_BYTES);
		if (thread->xstate_bytes > FXSAVE_BYTES)
			add_note(n, "LINUX", NT_X86_XSTATE, thread->xstate, thread->xstate_bytes);
		if (thread->tp)
			add_tls386(n, thread);
		break;
	case EM_AARCH64:
		if (thread->xstate)
			add_note(n, "CORE", NT_FPREGSET, thread->xstate, thread->xstate_bytes);
		if (thread->tp)
			add_note(n, "LINUX", NT_ARM_TLS, &thread->tp, sizeof(thread->tp));
		break;
	default:
		break;
	}
}

static void add_process(struct notes *n)
{
	const struct process_info *p = &n->t->process;
	const struct core_regs *r = n->regs;
	static const char states[] = "RSDTZW";
	const char *state = p->state ? strchr(states, p->state) : NULL;
	char *info = mem_alloc(r->info_bytes);

	info[0] = (char)(state ? state - states : 0);
	info[1] = p->state ? p->state : 'R';
	memcpy(info + r->info_uid, &p->uid, r->id_bytes);
	put_ids(n, info + r->info_pid, p->pid);
	memcpy(info + r->info_comm, p->comm, strnlen(p->comm, CORE_COMM_BYTES - 1));
	if (p->command)
		memcpy(info + r->info_args, p->command, strnlen(p->command, CORE_ARGS_BYTES - 1));
	add_note(n, "CORE", NT_PRPSINFO, info, r->info_bytes);
	free(info);
}

static void add_auxv(struct notes *n)
{
	struct str auxv = STR_INIT;
	int dir = core_proc_dir(n->t);

	if (dir < 0)
		return;
	if (proc_read_file(dir, "auxv", &auxv) == 0 && auxv.len)
		add_note(n, "CORE", NT_AUXV, auxv.data, auxv.len);
	close(dir);
	str_release(&auxv);
}

static bool is_file(const struct map *m)
{
	return m->inode && m->path[0] == '/';
}

static void add_files(struct notes *n)
{
	const struct maps *maps = &n->t->maps;
	unsigned int width = n->regs->word_bytes;
	struct str desc = STR_INIT;
	uint64_t nr = 0;

	for (size_t i = 0; i < maps->nr; i++)
		nr += is_file(&maps->items[i]);
	put_word(&desc, width, nr);
	put_word(&desc, width, PAGE_BYTES);
	for (size_t i = 0; i < maps->nr; i++) {
		const struct map *m = &maps->items[i];

		if (!is_file(m))
			continue;
		put_word(&desc, width, m->start);
		put_word(&desc, width, m->end);
		put_word(&desc, width, m->offset / PAGE_BYTES);
	}
	for (size_t i = 0; i < maps->nr; i++) {
		const struct map *m = &maps->items[i];

		if (!is_file(m))
			continue;
		str_add(&desc, m->path);
		if (m->deleted)
			str_add(&desc, " (deleted)");
		str_add_char(&desc, '\0');
	}
	add_note(n, "CORE", NT_FILE, desc.data, desc.len);
	str_release(&desc);
}

static bool is_known(const struct notes *n, const struct target_thread *thread)
{
	return thread->gp && thread->gp_bytes == n->regs->regs_bytes;
}

/* The process's notes come once, within those of the first thread. */
void core_write_notes(struct target *t, struct str *out, struct core_written *w)
{
	struct notes n = {.t = t, .regs = core_regs_of(t->machine), .out = out};
	bool first = true;

	/* Main thread first: it is the one that debuggers select. */
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < t->nr_threads; i++) {
			const struct target_thread *thread = &t->threads[i];

			if ((thread->tid == t->process.pid) != (pass == 0))
				continue;
			w->nr_threads++;
			if (!is_known(&n, thread)) {
				w->nr_without_registers++;
				continue;
			}
			add_status(&n, thread);
			if (first) {
				add_process(&n);
				add_auxv(&n);
				add_files(&n);
				first = false;
			}
			add_other_registers(&n, thread);
		}
	}
	if (first) {
		add_process(&n);
		add_auxv(&n);
		add_files(&n);
	}
	if (!t->how.consistent)
		add_note(&n, CORE_NOTE_SEEP, CORE_NOTE_NOT_ONE_INSTANT, "", 0);
}
