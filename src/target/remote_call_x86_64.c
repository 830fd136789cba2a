/*
 * Remote system calls on x86-64; see remote_call.h for how they stay harmless.
 *
 * PTRACE_SYSCALL and not PTRACE_SINGLESTEP: a tracer killed in the middle of a step leaves the trap
 * flag set, and the next instruction kills the process with SIGTRAP; syscall tracing is taken back
 * by the kernel. But only at a stop for a signal does the kernel arrange for an interrupted system
 * call to be taken up again, so after the call the thread is brought to such a stop (INTERRUPT)
 * before it gets its registers back.
 *
 * Layout of the frame: arch/x86/include/uapi/asm/{sigcontext,ucontext}.h, struct rt_sigframe of
 * arch/x86/include/asm/sigframe.h; what is checked on the way back: arch/x86/kernel/fpu/signal.c.
 */
#include "target/remote_call.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "target/freeze.h"
#include "target/maps.h"
#include "target/registers_x86_64.h"

#ifndef PTRACE_GETSIGMASK
#define PTRACE_GETSIGMASK 0x420a
#define PTRACE_SETSIGMASK 0x420b
#endif
#ifndef PTRACE_GET_RSEQ_CONFIGURATION
#define PTRACE_GET_RSEQ_CONFIGURATION 0x420f
#endif

#define RED_ZONE 128
#define CODE_SEGMENT_64 0x33
#define FLAGS_CLEARED 0x500u /* trap and direction flag */
#define FLAGS_PLAIN 0x202u
#define CALL_LIMIT_NS 5000000000ull

/* The kernel's codes for "take the call up again", which no program ever sees. */
#define ERESTARTSYS 512
#define ERESTARTNOINTR 513
#define ERESTARTNOHAND 514
#define ERESTART_RESTARTBLOCK 516

struct sigframe {
	uint64_t return_address;
	uint64_t flags, link;
	uint64_t stack_sp;
	uint32_t stack_flags, stack_pad;
	uint64_t stack_bytes;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp;
	uint64_t rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2;
	uint64_t fpstate;
	uint64_t reserved[8];
	uint64_t sigmask;
};
_Static_assert(sizeof(struct sigframe) == 312, "struct rt_sigframe up to uc_sigmask");

#define FRAME_FLAGS 7 /* UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
/* No such mode: the kernel leaves the alternate stack as it is. */
#define STACK_FLAGS_INVALID 0x100

/* Bytes 464 and up of the vector registers' area in a frame. */
#define SOFTWARE_OFFSET 464
struct software_bytes {
	uint32_t magic1, extended_bytes;
	uint64_t features;
	uint32_t xstate_bytes, padding[7];
};
#define MAGIC1 0x46505853u
#define MAGIC2 0x46505845u

/* What a thread is sent into the call with, and what is to be restored. */
struct saved {
	union registers_any regs;
	struct xstate x;
	size_t x_used;
	uint64_t sigmask;
};

struct scratch {
	uint64_t start, end;		      /* in the target */
	uint64_t frame, child_frame, x, name; /* addresses there */
};

/* ---- code in the target ---- */

static const uint8_t call_bytes[] = {0x0f, 0x05, 0xc3};
static const uint8_t sigreturn_long[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
static const uint8_t sigreturn_short[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};
#define PIECE_BYTES (1u << 20)
#define SEARCH_MAX_BYTES (256u << 20)

struct search {
	int mem;
	uint8_t *piece;
	uint64_t budget; /* bytes that may still be read */
	struct remote_places found;
};

static uint64_t place_of(const struct search *s, uint64_t addr, size_t len, const uint8_t *what,
			 size_t what_len)
{
	const uint8_t *at = memmem(s->piece, len, what, what_len);

	return at ? addr + (uint64_t)(at - s->piece) : 0;
}

static void search_piece(struct search *s, uint64_t addr, size_t len)
{
	struct remote_places *p = &s->found;

	if (!p->call)
		p->call = place_of(s, addr, len, call_bytes, sizeof(call_bytes));
	if (!p->sigreturn)
		p->sigreturn = place_of(s, addr, len, sigreturn_long, sizeof(sigreturn_long));
	if (!p->sigreturn) {
		p->sigreturn = place_of(s, addr, len, sigreturn_short, sizeof(sigreturn_short));
		p->short_form = p->sigreturn != 0;
	}
}

static bool search_done(const struct search *s)
{
	return s->found.call && s->found.sigreturn;
}

static void search_map(struct search *s, const struct map *m)
{
	const size_t overlap = sizeof(sigreturn_long) - 1;

	for (uint64_t at = m->start; at < m->end && s->budget && !search_done(s);) {
		size_t len = m->end - at < PIECE_BYTES ? (size_t)(m->end - at) : PIECE_BYTES;
		ssize_t got = pread(s->mem, s->piece, len, (off_t)at);

		if (got <= 0)
			return;
		search_piece(s, at, (size_t)got);
		s->budget -= (uint64_t)got < s->budget ? (uint64_t)got : s->budget;
		if ((size_t)got <= overlap || at + (uint64_t)got >= m->end)
			return;
		at += (uint64_t)got - overlap;
	}
}

/* Libraries of the C language have both, and are searched before all else. */
static bool is_libc(const struct map *m)
{
	const char *slash = strrchr(m->path, '/');

	return slash && (!strncmp(slash, "/libc.", 6) || !strncmp(slash, "/libc-", 6) ||
			 !strncmp(slash, "/ld-musl", 8));
}

int remote_places_find(int mem, const struct maps *maps, struct remote_places *ret)
{
	struct search s = {.mem = mem, .budget = SEARCH_MAX_BYTES};

	s.piece = mem_alloc(PIECE_BYTES);
	for (int libc = 1; libc >= 0; libc--) {
		for (size_t i = 0; i < maps->nr && !search_done(&s); i++) {
			const struct map *m = &maps->items[i];

			/* Code that was generated may be gone at any time. */
			if ((m->prot & MAP_EXEC) && (m->prot & MAP_READ) && *m->path &&
			    !(m->prot & MAP_WRITE) && strcmp(m->path, "[vsyscall]") &&
			    is_libc(m) == (bool)libc)
				search_map(&s, m);
		}
	}
	free(s.piece);
	if (!search_done(&s))
		return -ENOENT;
	*ret = s.found;
	return 0;
}

static bool places_hold(const struct remote_call *c)
{
	const uint8_t *sigreturn = c->places->short_form ? sigreturn_short : sigreturn_long;
	size_t len = c->places->short_form ? sizeof(sigreturn_short) : sizeof(sigreturn_long);
	uint8_t bytes[sizeof(sigreturn_long)];

	if (pread(c->mem, bytes, sizeof(call_bytes), (off_t)c->places->call) !=
		    (ssize_t)sizeof(call_bytes) ||
	    memcmp(bytes, call_bytes, sizeof(call_bytes)))
		return false;
	return pread(c->mem, bytes, len, (off_t)c->places->sigreturn) == (ssize_t)len &&
	       !memcmp(bytes, sigreturn, len);
}

/* ---- which thread ---- */

/* As the kernel's struct ptrace_rseq_configuration. */
struct rseq_area {
	uint64_t address;
	uint32_t bytes, signature, flags, pad;
};

static bool peek(int32_t tid, uint64_t addr, uint64_t *ret)
{
	errno = 0;
	*ret = (uint64_t)ptrace(PTRACE_PEEKDATA, tid, (void *)(uintptr_t)addr, NULL);
	return errno == 0;
}

/*
 * Inside a restartable sequence (rseq(2)) the kernel would forget that it must be restarted, once
 * the thread has been elsewhere. No system call is made inside one.
 */
static bool may_be_in_rseq(int32_t tid, const struct user_regs_struct *r)
{
	struct rseq_area area = {0};
	uint64_t sequence, start, bytes;

	if ((int64_t)r->orig_rax >= 0)
		return false;
	if (ptrace(PTRACE_GET_RSEQ_CONFIGURATION, tid, (void *)sizeof(area), &area) < 0)
		return errno != EIO && errno != EINVAL && errno != ENOSYS;
	if (!area.address)
		return false;
	/* struct rseq: rseq_cs at 8; struct rseq_cs: start_ip at 8, post_commit_offset at 16. */
	if (!peek(tid, area.address + 8, &sequence))
		return true;
	if (!sequence)
		return false;
	if (!peek(tid, sequence + 8, &start) || !peek(tid, sequence + 16, &bytes))
		return true;
	return r->rip - start < bytes;
}

/* A stack as the system makes them: the initial one, or one with a guard below. */
static bool is_plain_stack(const struct maps *maps, const struct map *m)
{
	size_t at = (size_t)(m - maps->items);

	if (!strcmp(m->path, "[stack]"))
		return true;
	if (!at || m->inode)
		return false;
	m = &maps->items[at - 1];
	return m->end == maps->items[at].start && !(m->prot & (MAP_READ | MAP_WRITE | MAP_EXEC));
}

static const struct map *stack_of(const struct maps *maps, uint64_t sp)
{
	const struct map *m = maps_find(maps, sp);

	if (!m || !(m->prot & MAP_WRITE) || (m->prot & MAP_IS_SHARED))
		return NULL;
	return m;
}

enum remote_fitness remote_fitness(int32_t tid, const struct maps *maps)
{
	union registers_any any;
	const struct user_regs_struct *r = &any.regs64;
	const struct map *stack;
	size_t len;

	if (!registers_get(tid, &any, &len) || len != sizeof(*r) || r->cs != CODE_SEGMENT_64)
		return REMOTE_UNFIT;
	stack = stack_of(maps, r->rsp);
	if (!stack || r->rsp - stack->start < XSTATE_MAX + 4096)
		return REMOTE_UNFIT;
	if (may_be_in_rseq(tid, r))
		return REMOTE_UNFIT;
	if (!is_plain_stack(maps, stack))
		return REMOTE_FOREIGN_STACK;
	if ((int64_t)r->orig_rax >= 0 && (int64_t)r->rax == -ERESTART_RESTARTBLOCK)
		return REMOTE_TIMED;
	return REMOTE_FIT;
}

/* ---- frames ---- */

/*
 * What a signal handler's return would restore: an interrupted system call is taken up again as
 * the kernel does it, except those with a time limit, which it cannot and which end with EINTR.
 */
static void go_back_to(const struct user_regs_struct *r, struct sigframe *f)
{
	f->rax = r->rax;
	f->rip = r->rip;
	if ((int64_t)r->orig_rax < 0)
		return;
	switch (-(int64_t)r->rax) {
	case ERESTARTSYS:
	case ERESTARTNOINTR:
	case ERESTARTNOHAND:
		f->rax = r->orig_rax;
		f->rip -= 2;
		break;
	case ERESTART_RESTARTBLOCK:
		f->rax = (uint64_t)-EINTR;
		break;
	}
}

static struct sigframe frame_of(const struct remote_call *c, const struct saved *s,
				const struct scratch *at)
{
	const struct user_regs_struct *r = &s->regs.regs64;
	struct sigframe f = {
		.return_address = c->places->sigreturn,
		.flags = FRAME_FLAGS,
		.stack_flags = STACK_FLAGS_INVALID,
		.r8 = r->r8,
		.r9 = r->r9,
		.r10 = r->r10,
		.r11 = r->r11,
		.r12 = r->r12,
		.r13 = r->r13,
		.r14 = r->r14,
		.r15 = r->r15,
		.rdi = r->rdi,
		.rsi = r->rsi,
		.rbp = r->rbp,
		.rbx = r->rbx,
		.rdx = r->rdx,
		.rcx = r->rcx,
		.rsp = r->rsp,
		.eflags = r->eflags,
		.cs = (uint16_t)r->cs,
		.ss = (uint16_t)r->ss,
		.fpstate = at->x,
		.sigmask = s->sigmask,
	};

	go_back_to(r, &f);
	return f;
}

static struct sigframe child_frame_of(const struct remote_call *c, const struct saved *s,
				      const struct scratch *at)
{
	return (struct sigframe){
		.return_address = c->places->sigreturn,
		.flags = FRAME_FLAGS,
		.stack_flags = STACK_FLAGS_INVALID,
		.rdi = REMOTE_CALL_EXIT,
		.rax = SYS_exit_group,
		.rsp = at->child_frame,
		.rip = c->places->call,
		.eflags = FLAGS_PLAIN,
		.cs = (uint16_t)s->regs.regs64.cs,
		.ss = (uint16_t)s->regs.regs64.ss,
		.sigmask = UINT64_MAX,
	};
}

static void place_scratch(const struct remote_call *c, const struct saved *s, struct scratch *at)
{
	uint64_t top = s->regs.regs64.rsp - RED_ZONE;

	at->end = top;
	at->name = c->name ? top - strlen(c->name) - 1 : top;
	at->x = (at->name - s->x_used - sizeof(uint32_t)) & ~63ull;
	at->child_frame = (at->x - sizeof(struct sigframe)) & ~15ull;
	/* Lowest, because a signal's handler uses what is below the stack pointer. */
	at->frame = (at->child_frame - sizeof(struct sigframe)) & ~15ull;
	at->start = at->frame;
}

/* The area as a frame has it: its size and what is in it are told at its end and in a hole. */
static void write_xstate(const struct saved *s, uint8_t *to)
{
	struct software_bytes software = {
		.magic1 = MAGIC1,
		.extended_bytes = (uint32_t)s->x_used + 4,
		.xstate_bytes = (uint32_t)s->x_used,
	};
	uint32_t magic2 = MAGIC2;

	/* There ptrace tells which components the kernel knows (xstate_fx_sw_bytes). */
	memcpy(&software.features, s->x.bytes + SOFTWARE_OFFSET, sizeof(software.features));
	memcpy(to, s->x.bytes, s->x_used);
	memcpy(to + SOFTWARE_OFFSET, &software, sizeof(software));
	memcpy(to + s->x_used, &magic2, sizeof(magic2));
}

/* Writes the frames; what was there is kept in c. */
static int lay_net(struct remote_call *c, const struct saved *s, const struct scratch *at)
{
	size_t len = (size_t)(at->end - at->start);
	struct sigframe frame = frame_of(c, s, at), child = child_frame_of(c, s, at);
	const struct map *stack = stack_of(c->maps, s->regs.regs64.rsp);
	uint8_t *image;
	ssize_t done;

	if (!stack || at->start < stack->start)
		return -ENOSPC;
	c->original = mem_alloc(len);
	if (pread(c->mem, c->original, len, (off_t)at->start) != (ssize_t)len)
		return -EFAULT;
	image = mem_alloc(len);
	memcpy(image, c->original, len);
	memcpy(image + (at->child_frame - at->start), &child, sizeof(child));
	memcpy(image + (at->frame - at->start), &frame, sizeof(frame));
	write_xstate(s, image + (at->x - at->start));
	if (c->name)
		memcpy(image + (at->name - at->start), c->name, strlen(c->name) + 1);
	done = pwrite(c->mem, image, len, (off_t)at->start);
	free(image);
	if (done != (ssize_t)len) {
		if (done > 0 && pwrite(c->mem, c->original, (size_t)done, (off_t)at->start) < 0)
			return -EIO;
		return -EFAULT;
	}
	c->dirtied = at->start;
	c->dirtied_bytes = len;
	return 0;
}

/* ---- the call ---- */

static int set_registers(int32_t tid, const struct user_regs_struct *r)
{
	struct iovec io = {(void *)r, sizeof(*r)};

	return ptrace(PTRACE_SETREGSET, tid, (void *)NT_PRSTATUS, &io) < 0 ? -errno : 0;
}

static int set_sigmask(int32_t tid, uint64_t mask)
{
	return ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof(mask), &mask) < 0 ? -errno : 0;
}

static int save(int32_t tid, struct saved *s)
{
	size_t len;

	if (!registers_get(tid, &s->regs, &len) || len != sizeof(s->regs.regs64))
		return -ESRCH;
	if (!registers_get_xstate(tid, &s->x))
		return -EOPNOTSUPP;
	s->x_used = registers_xstate_used(&s->x);
	if (!s->x_used)
		return -EOPNOTSUPP;
	if (ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof(s->sigmask), &s->sigmask) < 0)
		return -errno;
	return 0;
}

static struct user_regs_struct registers_for(const struct remote_call *c, const struct saved *s,
					     const struct scratch *at)
{
	struct user_regs_struct r = s->regs.regs64;

	r.rip = c->places->call;
	r.rsp = at->frame;
	r.rax = c->nr;
	r.orig_rax = (unsigned long long)-1;
	r.rdi = c->name ? at->name : c->args[0];
	r.rsi = c->makes_child ? at->child_frame : c->args[1];
	r.rdx = c->args[2];
	r.r10 = c->args[3];
	r.r8 = c->args[4];
	r.r9 = c->args[5];
	r.eflags &= ~(unsigned long long)FLAGS_CLEARED;
	return r;
}

/* Resumes with `request` and waits for the next report. */
static int step(const struct remote_call *c, int request, int sig, int *ret_status)
{
	int r;

	if (ptrace(request, c->tid, NULL, (void *)(uintptr_t)sig) < 0)
		return -ESRCH;
	r = freeze_wait(c->tid, freeze_now_ns() + CALL_LIMIT_NS, ret_status);
	if (!r && !WIFSTOPPED(*ret_status))
		return -ESRCH;
	return r;
}

/*
 * All signals are blocked, so the only ones that may come are SIGSTOP, which is passed on, and
 * those of a fault, which our registers then caused: -EFAULT.
 */
static int signal_to_pass(int status)
{
	if (status >> 16)
		return 0;
	return WSTOPSIG(status) == SIGSTOP ? SIGSTOP : -EFAULT;
}

static int through_the_call(struct remote_call *c)
{
	union registers_any any;
	int status = 0, sig = 0, r;
	unsigned int halves = 0;
	unsigned long child;
	size_t len;

	while (halves < 2) {
		r = step(c, PTRACE_SYSCALL, sig, &status);
		if (r < 0)
			return r;
		sig = 0;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			halves++;
		else if (status >> 16 && status >> 16 != PTRACE_EVENT_STOP &&
			 !ptrace(PTRACE_GETEVENTMSG, c->tid, NULL, &child))
			c->child = (int32_t)child;
		else
			sig = signal_to_pass(status);
		if (sig < 0)
			return sig;
	}
	if (!registers_get(c->tid, &any, &len))
		return -ESRCH;
	c->result = (int64_t)any.regs64.rax;
	return 0;
}

/* From the end of the call to where a stopped thread's interrupted call can be taken up again. */
static int to_a_signal_stop(const struct remote_call *c)
{
	int status = 0, sig = 0, r;

	ptrace(PTRACE_INTERRUPT, c->tid, NULL, NULL);
	do {
		r = step(c, PTRACE_CONT, sig, &status);
		if (r < 0)
			return r;
		sig = signal_to_pass(status);
	} while (sig >= 0 && status >> 16 != PTRACE_EVENT_STOP);
	return sig < 0 ? sig : 0;
}

int remote_call_finish(int32_t tid, int mem, const struct remote_places *places)
{
	struct remote_call c = {.tid = tid, .mem = mem, .places = places};
	union registers_any any;
	uint64_t back;
	size_t len;
	int r;

	if (!registers_get(tid, &any, &len) || len != sizeof(any.regs64) ||
	    any.regs64.rip != places->call ||
	    pread(mem, &back, sizeof(back), (off_t)any.regs64.rsp) != (ssize_t)sizeof(back) ||
	    back != places->sigreturn)
		return 0;
	/* Its own mask is in what it returns by. */
	set_sigmask(tid, UINT64_MAX);
	r = through_the_call(&c);
	if (!r)
		r = to_a_signal_stop(&c);
	return r < 0 ? r : 1;
}

int remote_call_run(struct remote_call *c)
{
	struct user_regs_struct r;
	struct scratch at;
	struct saved *s;
	int err;

	if (!places_hold(c))
		return -EBADMSG;
	s = mem_alloc(sizeof(*s));
	err = save(c->tid, s);
	if (err < 0)
		goto out;
	place_scratch(c, s, &at);
	err = lay_net(c, s, &at);
	if (err < 0)
		goto out;
	if (c->makes_child)
		ptrace(PTRACE_SETOPTIONS, c->tid, NULL,
		       (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE));
	r = registers_for(c, s, &at);
	err = set_registers(c->tid, &r);
	if (err < 0)
		goto out;
	set_sigmask(c->tid, UINT64_MAX);
	err = through_the_call(c);
	if (!err)
		err = to_a_signal_stop(c);
	/* Where it stands still it is put right; elsewhere its own way back leads there. */
	if (err && err != -EFAULT)
		goto out;
	set_sigmask(c->tid, s->sigmask);
	if (set_registers(c->tid, &s->regs.regs64) < 0)
		err = -ESRCH;
	if (pwrite(c->mem, c->original, c->dirtied_bytes, (off_t)c->dirtied) < 0 && !err)
		err = -EIO;
out:
	free(s);
	return err;
}
