/*
 * operator new of an allocator, which may throw: by itself, or because the program's new_handler
 * does. While the real one runs, our frame is on the stack; so whoever unwinds has to find out
 * about it. Unwinders ask _dl_find_object or dl_iterate_phdr, which know nothing of us: they are
 * hooked, too, and answer for our code. Where not all of them could be hooked (struct wire_blob),
 * or the thread has no state, hook_new_1() does it without a frame.
 */
#include "blob_hooks.h"

#include <link.h>

#include "blob_image.h"
#include "elf_found.h"
#include "record.h"

/* unwind.h, which is no freestanding header */
#define CLEANUP_PHASE 2
#define CONTINUE_UNWIND 8

extern const char blob_new_return[];

/* 0: the other way; else what is to be called. c->real is then: is it noted? */
HOOK uint64_t hook_new_begin(struct hook_call *c)
{
	uint64_t real = c->real, sp = hook_call_sp(c);
	struct blob_self *s, *noted;

	if (!rec_blob.unwinds)
		return 0;
	noted = hook_enter(c);
	s = noted ? noted : blob_self_find();
	if (s == &blob_self_nobody)
		return 0;
	c->real = noted != NULL;
	c->instead = s->new_call == (uint64_t)c ? 0 : s->new_call; /* jumped out of */
	s->new_call = (uint64_t)c;
	if (noted)
		self_enter_real(s, sp);
	else
		c->rax = self_go_deeper(sp);
	return real;
}

static void over(struct hook_call *c)
{
	struct blob_self *s = blob_self_find();

	s->new_call = c->instead;
	if (c->real)
		self_leave_real(s);
	else
		self_come_back(hook_call_sp(c), c->rax);
}

/* c->fill is what the real one has returned. */
HOOK uint64_t hook_new_end(struct hook_call *c)
{
	uint64_t p = c->fill;

	over(c);
	if (c->real)
		rec_allocated_wrapper((void *)p, c->arg[0], c->pc, hook_call_sp(c), c->bp);
	return p;
}

/* An exception passes through the innermost call under way: where that would return to is wiped. */
static void passed(void)
{
	struct blob_self *s = blob_self_find();
	uint64_t addr = s->new_call, word;
	struct hook_call *c = (struct hook_call *)addr;

	if (!addr)
		return;
	if (!blob_read(addr - 8, &word, sizeof(word)) || word != (uint64_t)blob_new_return) {
		s->new_call = 0; /* of a call that was jumped out of */
		self_leave_real(s);
		return;
	}
	*(uint64_t *)(addr - 8) = 0;
	over(c);
}

/* Of the frame that is on the stack meanwhile; Itanium C++ ABI, Level I, 1.6.1. */
HOOK int blob_new_personality(int version, int actions, uint64_t class, void *exception,
			      void *context)
{
	(void)version;
	(void)class;
	(void)exception;
	(void)context;
	if (actions & CLEANUP_PHASE)
		passed();
	return CONTINUE_UNWIND;
}

/* ---- who asks for us ---- */

extern uint8_t blob_eh_frame_hdr[]; /* blob.lds */

static struct link_map own = {.l_name = ""};

/* As glibc would answer if it had loaded us. */
static void answer(struct elf_found *f)
{
	*f = (struct elf_found){
		.map_start = (void *)rec_blob.blob_start,
		.map_end = (void *)rec_blob.blob_end,
		.link_map = &own,
		.eh_frame_hdr = blob_eh_frame_hdr,
	};
	own.l_addr = rec_blob.blob_start;
}

HOOK uint64_t hook_finds_object(struct hook_call *c)
{
	if (c->arg[0] < rec_blob.blob_start || c->arg[0] >= rec_blob.blob_end)
		return blob_out(c->arg, c->real);
	answer((struct elf_found *)c->arg[1]);
	return 0;
}

/*
 * Whoever else goes through the list of modules need not see us: only this thread, and only while
 * an exception may pass. Without the last members of struct dl_phdr_info, so that libgcc does not
 * keep what we tell. 0: the real one is still to be called; else c->fill is the answer.
 */
HOOK uint64_t hook_iterates_1_2(struct hook_call *c)
{
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)rec_blob.blob_start;
	struct dl_phdr_info info = {
		.dlpi_addr = rec_blob.blob_start,
		.dlpi_name = "",
		.dlpi_phdr = (const Elf64_Phdr *)(rec_blob.blob_start + e->e_phoff),
		.dlpi_phnum = e->e_phnum,
	};
	uint64_t args[6] = {(uint64_t)&info, offsetof(struct dl_phdr_info, dlpi_adds), c->arg[1]};

	if (!blob_self_find()->new_call)
		return 0;
	c->fill = blob_out(c->arg, c->real);
	if (!(int)c->fill)
		c->fill = blob_out(args, c->arg[0]);
	return 1;
}
