/*
 * x86: general registers, and of the vector registers those that hold something.
 *
 * The general ones are a struct user_regs_struct, or its 32-bit form when the thread runs 32-bit
 * code (17 words; arch/x86/include/asm/user32.h of Linux). The others are an XSAVE area in the
 * standard format (Intel SDM volume 1, 13.4): the header at 512 begins with a bit for every
 * component that is not in its initial state.
 */
#include "target/registers.h"

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "target/registers_x86_64.h"
#include "target/target_private.h"

#ifndef PTRACE_GET_THREAD_AREA
#define PTRACE_GET_THREAD_AREA 25
#endif

#define XMM_OFFSET 160
#define XMM_BYTES 256
#define HEADER_OFFSET 512
#define HEADER_BYTES 64
#define COMPONENT_AVX 2
#define COMPONENT_HIGH_256 6
#define COMPONENT_HIGH_16 7
#define COMPONENTS_MAX 32 /* more than processors have; one that is unknown is no size */
#ifndef IORING_ENTER_EXT_ARG
#define IORING_ENTER_EXT_ARG (1u << 3) /* linux/io_uring.h, since Linux 5.11 */
#endif
#define SYSCALL_INSTRUCTION 0x050f /* bytes 0f 05 */
/* The kernel's: take the call up again, unless a handler is run; then it is EINTR. */
#define ERESTARTNOHAND 514

struct regs32 {
	uint32_t ebx, ecx, edx, esi, edi, ebp, eax, ds, es, fs, gs, orig_eax, eip, cs, eflags, esp,
		ss;
};

/* As the kernel's struct user_desc. */
struct thread_area {
	uint32_t entry, base, limit, flags;
};

struct component {
	uint32_t offset, bytes;
};

static struct component components[COMPONENTS_MAX];

/* CPUID takes some 50 µs under a hypervisor, so it is asked before anybody stands still. */
static void ask_processor(void)
{
	for (unsigned int nr = COMPONENT_AVX; nr < COMPONENTS_MAX; nr++) {
		unsigned int bytes, offset, c, d;

		if (__get_cpuid_count(0xd, nr, &bytes, &offset, &c, &d))
			components[nr] = (struct component){offset, bytes};
	}
}

void registers_prepare(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, ask_processor);
}

size_t registers_xstate_used(const struct xstate *x)
{
	size_t used = HEADER_OFFSET + HEADER_BYTES;
	uint64_t active;

	if (x->len < used)
		return 0;
	memcpy(&active, x->bytes + HEADER_OFFSET, sizeof(active));
	if (active >> COMPONENTS_MAX)
		return 0;
	for (unsigned int i = COMPONENT_AVX; i < COMPONENTS_MAX; i++) {
		struct component c;

		if (!(active >> i & 1))
			continue;
		c = components[i];
		if (!c.bytes || c.offset + c.bytes > x->len)
			return 0;
		if (c.offset + c.bytes > used)
			used = c.offset + c.bytes;
	}
	return used;
}

bool registers_get(int32_t tid, union registers_any *ret, size_t *ret_bytes)
{
	struct iovec io = {ret, sizeof(*ret)};

	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &io) < 0)
		return false;
	*ret_bytes = io.iov_len;
	return io.iov_len == sizeof(ret->regs64) || io.iov_len == sizeof(struct regs32);
}

bool registers_get_xstate(int32_t tid, struct xstate *ret)
{
	struct iovec io = {ret->bytes, sizeof(ret->bytes)};

	ret->len = 0;
	if (ptrace(PTRACE_GETREGSET, tid, (void *)NT_X86_XSTATE, &io) < 0)
		return false;
	ret->len = io.iov_len;
	return ret->len >= HEADER_OFFSET + HEADER_BYTES;
}

static size_t add_part(uint8_t *out, size_t at, const struct xstate *x, struct component c)
{
	if (!c.bytes || c.offset + c.bytes > x->len)
		return at;
	memcpy(out + at, x->bytes + c.offset, c.bytes);
	return at + c.bytes;
}

/* The vector registers' words; those in their initial state are zeroes, and left out. */
static size_t add_vectors(uint8_t *out, const struct xstate *x)
{
	static const unsigned int parts[] = {COMPONENT_AVX, COMPONENT_HIGH_256, COMPONENT_HIGH_16};
	uint64_t active;
	size_t at = add_part(out, 0, x, (struct component){XMM_OFFSET, XMM_BYTES});

	memcpy(&active, x->bytes + HEADER_OFFSET, sizeof(active));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (active >> parts[i] & 1)
			at = add_part(out, at, x, components[parts[i]]);
	}
	return at;
}

/* Base of the segment that gs selects: bits 3 and up of a selector number the descriptor. */
static uint64_t segment_base(int32_t tid, uint32_t selector)
{
	struct thread_area area = {0};

	if (ptrace(PTRACE_GET_THREAD_AREA, tid, (void *)(uintptr_t)(selector >> 3), &area) < 0)
		return 0;
	return area.base;
}

bool registers_read(int32_t tid, struct target_thread *thread)
{
	uint8_t words[sizeof(union registers_any) + XSTATE_MAX] = {0};
	union registers_any any = {.regs64 = {0}};
	struct xstate x;
	struct regs32 r32;
	size_t len;

	if (!registers_get(tid, &any, &len))
		return false;
	if (len == sizeof(any.regs64)) {
		thread->pc = any.regs64.rip;
		thread->sp = any.regs64.rsp;
		thread->tp = any.regs64.fs_base;
	} else {
		memcpy(&r32, &any, sizeof(r32));
		thread->pc = r32.eip;
		thread->sp = r32.esp;
		thread->tp = segment_base(tid, r32.gs);
	}
	thread->has_registers = true;
	registers_get_xstate(tid, &x);
	target_set_raw_registers(thread, &any, len, x.len ? x.bytes : NULL, x.len);
	memcpy(words, &any, len);
	len = (len + 15) / 16 * 16;
	if (x.len >= HEADER_OFFSET + HEADER_BYTES)
		len += add_vectors(words + len, &x);
	target_set_registers(thread, words, len);
	return true;
}

/* System V ABI for AMD64, figure 3.36; 16 is the return address's column, here the pc. */
size_t registers_by_dwarf(const struct target_thread *thread, uint64_t *ret, size_t max,
			  unsigned int *ret_stack)
{
	struct user_regs_struct r;

	if (thread->gp_bytes != sizeof(r) || max < 17)
		return 0;
	memcpy(&r, thread->gp, sizeof(r));
	memcpy(ret,
	       (const uint64_t[]){r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8,
				  r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip},
	       17 * sizeof(*ret));
	*ret_stack = 7;
	return 17;
}

/* Waits that the kernel does not take up again after a stop, when they have no time limit. */
static bool waits_forever(const struct user_regs_struct *r)
{
	switch (r->orig_rax) {
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
		return (int32_t)r->r10 < 0;
	case SYS_epoll_pwait2:
		return r->r10 == 0;
	case SYS_rt_sigtimedwait:
		return r->rdx == 0;
	case SYS_semop:
		return true;
	case SYS_semtimedop:
		return r->r10 == 0;
	case SYS_io_getevents:
		return r->r8 == 0;
	case SYS_io_uring_enter: /* a limit comes with an extended argument only */
		return !(r->r10 & IORING_ENTER_EXT_ARG);
	default:
		return false;
	}
}

static bool is_interrupted(const struct user_regs_struct *r)
{
	return (int64_t)r->rax == -EINTR && (int64_t)r->orig_rax >= 0 && waits_forever(r);
}

void registers_hide_stop(int32_t tid)
{
	union registers_any any;
	struct iovec io = {&any, sizeof(any.regs64)};
	size_t len;

	if (!registers_get(tid, &any, &len) || len != sizeof(any.regs64) ||
	    !is_interrupted(&any.regs64))
		return;
	/* Of the 32-bit kind of system call the numbers mean other calls. */
	errno = 0;
	if ((uint16_t)ptrace(PTRACE_PEEKTEXT, tid, (void *)(any.regs64.rip - 2), NULL) !=
		    SYSCALL_INSTRUCTION ||
	    errno)
		return;
	any.regs64.rax = (unsigned long long)-ERESTARTNOHAND;
	ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &io);
}

bool registers_get_place(int32_t tid, struct registers_place *ret)
{
	union registers_any any;
	size_t len;

	if (!registers_get(tid, &any, &len) || len != sizeof(any.regs64))
		return false;
	*ret = (struct registers_place){
		.pc = any.regs64.rip,
		.sp = any.regs64.rsp,
		.bp = any.regs64.rbp,
		.tp = any.regs64.fs_base,
		.general = {any.regs64.rax, any.regs64.rbx, any.regs64.rcx, any.regs64.rdx,
			    any.regs64.rsi, any.regs64.rdi, any.regs64.rbp, any.regs64.rsp,
			    any.regs64.r8, any.regs64.r9, any.regs64.r10, any.regs64.r11,
			    any.regs64.r12, any.regs64.r13, any.regs64.r14, any.regs64.r15},
	};
	return true;
}

bool registers_set_pc(int32_t tid, uint64_t pc)
{
	union registers_any any;
	struct iovec io = {&any, sizeof(any.regs64)};
	size_t len;

	if (!registers_get(tid, &any, &len) || len != sizeof(any.regs64))
		return false;
	any.regs64.rip = pc;
	return !ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &io);
}
