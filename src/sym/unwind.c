/* See unwind.h. */
#include "sym/unwind.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "sym/dwfl.h"

struct unwinder {
	Dwfl_Callbacks callbacks;
	Dwfl *dwfl;
	bool attached;
	const struct unwind_thread *thread; /* of the call under way */
	struct unwind_frame *frames;
	size_t nr, max;
};

/* --- what libdwfl asks --- */

/* All files have been given to it; it is not to look for others. */
static int find_elf(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
		    char **path, Elf **elf)
{
	(void)module, (void)user, (void)name, (void)base, (void)path, (void)elf;
	return -1;
}

static int find_debug(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
		      const char *file, const char *link, GElf_Word crc, char **path)
{
	(void)module, (void)user, (void)name, (void)base, (void)file, (void)link;
	(void)crc, (void)path;
	return -1;
}

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	const struct unwinder *u = arg;

	(void)dwfl;
	if (*thread_arg)
		return 0;
	*thread_arg = arg;
	return u->thread->tid;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	const struct unwinder *u = arg;

	(void)dwfl;
	*thread_arg = arg;
	return tid == u->thread->tid;
}

static bool read_memory(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *result, void *arg)
{
	const struct unwinder *u = arg;
	uint64_t word;

	(void)dwfl;
	if (!u->thread->read(u->thread->arg, addr, &word))
		return false;
	*result = word;
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *thread_arg)
{
	const struct unwind_thread *t = ((struct unwinder *)thread_arg)->thread;
	Dwarf_Word words[64];
	size_t nr = t->nr_registers < 64 ? t->nr_registers : 64;

	for (size_t i = 0; i < nr; i++)
		words[i] = t->registers[i];
	return dwfl_thread_state_registers(thread, 0, (unsigned int)nr, words);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = read_memory,
	.set_initial_registers = set_registers,
};

/* --- */

struct unwinder *unwinder_new(void)
{
	struct unwinder *u = mem_alloc(sizeof(*u));

	u->callbacks.find_elf = find_elf;
	u->callbacks.find_debuginfo = find_debug;
	u->callbacks.section_address = dwfl_offline_section_address;
	u->dwfl = dwfl_begin(&u->callbacks);
	if (u->dwfl)
		dwfl_report_begin(u->dwfl);
	return u;
}

void unwinder_free(struct unwinder *u)
{
	if (!u)
		return;
	if (u->dwfl)
		dwfl_end(u->dwfl);
	free(u);
}

void unwinder_add(struct unwinder *u, int fd, const char *path, uint64_t bias)
{
	if (!u->dwfl || !dwfl_report_elf(u->dwfl, path, path, fd, bias, true))
		close(fd);
}

static bool attach(struct unwinder *u)
{
	if (!u->attached && u->dwfl && !dwfl_report_end(u->dwfl, NULL, NULL))
		u->attached =
			dwfl_attach_state(u->dwfl, NULL, u->thread->tid, &thread_callbacks, u);
	return u->attached;
}

/* Without, libdwfl would follow frame pointers, which may be anything. */
static bool has_rules(struct unwinder *u, uint64_t pc)
{
	Dwfl_Module *module = dwfl_addrmodule(u->dwfl, pc);
	Dwarf_Frame *frame = NULL;
	Dwarf_Addr bias;
	Dwarf_CFI *cfi;
	bool found;

	cfi = module ? dwfl_module_eh_cfi(module, &bias) : NULL;
	if (!cfi || dwarf_cfi_addrframe(cfi, pc - bias, &frame)) {
		cfi = module ? dwfl_module_dwarf_cfi(module, &bias) : NULL;
		if (!cfi || dwarf_cfi_addrframe(cfi, pc - bias, &frame))
			return false;
	}
	found = frame != NULL;
	free(frame);
	return found;
}

static int take_frame(Dwfl_Frame *state, void *arg)
{
	struct unwinder *u = arg;
	struct unwind_frame frame = {.end = 0};
	bool is_activation;
	Dwarf_Word sp;
	Dwarf_Addr pc;

	if (!dwfl_frame_pc(state, &pc, &is_activation) ||
	    dwfl_frame_reg(state, u->thread->stack_register, &sp))
		return DWARF_CB_ABORT;
	frame.pc = is_activation ? pc : pc - 1;
	frame.sp = sp;
	if (u->nr) {
		/* A caller's frame lies above: stacks of signals and coroutines end here. */
		if (sp <= u->frames[u->nr - 1].sp)
			return DWARF_CB_ABORT;
		u->frames[u->nr - 1].end = sp;
	}
	if (u->nr == u->max)
		return DWARF_CB_ABORT;
	u->frames[u->nr++] = frame;
	return has_rules(u, frame.pc) ? DWARF_CB_OK : DWARF_CB_ABORT;
}

size_t unwinder_frames(struct unwinder *u, const struct unwind_thread *t, struct unwind_frame *ret,
		       size_t max)
{
	u->thread = t;
	u->frames = ret;
	u->nr = 0;
	u->max = max;
	if (attach(u))
		dwfl_getthread_frames(u->dwfl, t->tid, take_frame, u);
	u->thread = NULL;
	return u->nr;
}
