/*
 * A frozen clone: the process is stopped, made to fork a child that nobody lets run, and goes on;
 * the child's memory is then read at leisure.
 *
 *   before the stop   hazards, ranges that a fork leaves out, code for remote calls, old zombies
 *   while stopped     registers, old zombies removed, clone(), copies of the ranges left out
 *   after it          maps of the clone, reading; killed on thaw, its zombie removed by the target
 *
 * The clone has no exit signal (its end is no event for the target: no SIGCHLD, not seen by wait()
 * without __WALL) and shares the descriptors (what the target closes is closed). It does not share
 * the folder (CLONE_FS): exec of a set-uid program would give no rights while it is shared. Shared
 * mappings are not frozen: what is read of them is as of the reading.
 *
 * Is stopping ever the shorter of the two? Not where anything is read: for the smallest of programs
 * (sleep, 2 MiB resident) the clone takes 0.3 ms, and reading what a command needs of it 3 ms or
 * more. Only a process that stands still anyway (SIGSTOP) is not cloned: see hazards_check().
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "target/deathwatch.h"
#include "target/hazards.h"
#include "target/hold.h"
#include "target/leftovers.h"
#include "target/patches.h"
#include "target/proc.h"
#include "target/remote_call.h"
#include "target/target_private.h"
#include "target/tracer.h"

/* Ranges that a fork leaves out are copied while the process stands still, up to so much. */
#define COPY_MAX_BYTES (64ull << 20)
/* Up to this size (some 10 ms), smaps is read beforehand; beyond it, only the clone's. */
#define SMAPS_MAX_BYTES (1ull << 30)
#define END_LIMIT_NS 10000000000ull
#define REAP_THREADS_MAX 64

struct cloned {
	struct hold hold;
	struct maps before; /* maps before the stop: where code and stacks are */
	struct remote_places places;
	int32_t *leftovers; /* zombies of clones of ours, in the target's pids */
	size_t nr_leftovers;
	int32_t pid;	     /* of the clone; 0 none */
	int64_t inner_pid;   /* as the target knows it */
	int dir;	     /* its folder in /proc; -1 none */
	struct procmem mem;  /* the clone's */
	struct procmem live; /* the process's: which pages of files are in memory */
	struct patches patches;
	bool ranges_known;	  /* patches has what a fork leaves out */
	struct deathwatch *watch; /* ends the clone with the process; NULL none */
	bool died;		  /* the clone was gone before we had done with it */
	char *why;		  /* t->how.why */
};

#define WHY_BYTES sizeof(((struct target_how *)0)->why)

static int not_here(struct cloned *c, const char *why)
{
	snprintf(c->why, WHY_BYTES, "%s", why);
	return -ENOTSUP;
}

/* ---- reading ---- */

static size_t cloned_read(struct target *t, uint64_t addr, void *buffer, size_t len)
{
	struct cloned *c = t->state;

	return patches_read(&c->patches, &c->mem, addr, buffer, len);
}

/* A fork copies the page tables of private memory; files' pages are found again when asked for. */
static struct procmem *who_knows(struct target *t, uint64_t addr)
{
	struct cloned *c = t->state;
	const struct map *m = maps_find(&t->maps, addr);

	return m && (m->inode || (m->prot & MAP_IS_SHARED)) ? &c->live : &c->mem;
}

static int cloned_residency(struct target *t, uint64_t start, uint64_t end,
			    struct target_residency *ret)
{
	return procmem_residency(who_knows(t, start), start, end, ret);
}

/* from and end are of one mapping: whoever asks goes from one to the next. */
static int cloned_next_used(struct target *t, uint64_t from, uint64_t end, uint64_t *ret_start,
			    uint64_t *ret_end)
{
	struct cloned *c = t->state;
	struct procmem_run run;
	int err = patches_next_used(&c->patches, who_knows(t, from), from, end, &run);

	if (err == 0) {
		*ret_start = run.start;
		*ret_end = run.end;
	}
	return err;
}

/* ---- while the process stands still ---- */

/* The thread that will make the calls. -ENOTSUP with the reason: none can. */
static int choose_thread(struct cloned *c, const struct maps *maps, int32_t *ret_tid)
{
	const struct freeze *f = &c->hold.freeze;
	enum remote_fitness best = REMOTE_UNFIT, fitness;
	char why[WHY_BYTES] = "no thread of it is where a call could be made for it safely";

	for (size_t i = 0; i < f->nr && best != REMOTE_FIT; i++) {
		if (f->threads[i].state != FROZEN_STOPPED)
			continue;
		fitness = remote_fitness(f->threads[i].tid, maps);
		if (fitness <= best ||
		    !hazards_thread_may_call(f->dir, f->threads[i].tid, why, sizeof(why)))
			continue;
		best = fitness;
		*ret_tid = f->threads[i].tid;
	}
	return best == REMOTE_UNFIT ? not_here(c, why) : 0;
}

static int open_memory(int dir, int32_t tid)
{
	char path[48];
	int fd;

	snprintf(path, sizeof(path), "task/%d/mem", tid);
	fd = openat(dir, path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The target removes a child of its own that is dead. True: it is gone. */
static bool remove_child(const struct remote_call *like, int64_t pid)
{
	struct remote_call call = *like;
	int r;

	call.nr = SYS_wait4;
	call.args[0] = (uint64_t)pid;
	call.args[1] = 0;
	call.args[2] = __WALL | WNOHANG;
	call.args[3] = 0;
	r = remote_call_run(&call);
	free(call.original);
	return !r && (call.result == pid || call.result == -ECHILD);
}

static int explain_call(struct cloned *c, int err)
{
	char why[WHY_BYTES];

	if (err == -EBADMSG)
		return not_here(c, "its code changed while we looked");
	if (err == -ETIMEDOUT)
		return not_here(c, "the call to clone it took too long");
	snprintf(why, sizeof(why), "it could not be cloned: %s", error_strerror(err));
	return not_here(c, why);
}

static int make_clone(struct cloned *c, struct remote_call *call)
{
	int r;

	call->nr = SYS_clone;
	call->args[0] = CLONE_FILES;
	call->makes_child = true;
	r = remote_call_run(call);
	c->pid = call->child;
	if (!r && call->result < 0)
		r = (int)call->result;
	if (r < 0)
		return explain_call(c, r);
	c->inner_pid = call->result;
	/* Below the stack of the thread, the clone has what our call left there. */
	patches_add(&c->patches, call->dirtied, call->dirtied + call->dirtied_bytes, PATCH_BYTES,
		    call->original);
	call->original = NULL;
	return 0;
}

/* Of /proc/PID/statm: the size of all mappings, in pages. */
static uint64_t mapped_pages(int dir)
{
	struct str text = STR_INIT;
	uint64_t pages = 0;

	if (!proc_read_file(dir, "statm", &text))
		pages = strtoull(text.data, NULL, 10);
	str_release(&text);
	return pages;
}

/* Marks as missing whatever the target has mapped and the clone has not. */
static void find_left_out(struct cloned *c, const struct maps *all, const struct maps *child)
{
	size_t at = 0;

	for (size_t i = 0; i < all->nr; i++) {
		const struct map *m = &all->items[i];
		uint64_t from = m->start;

		while (at < child->nr && child->items[at].end <= m->start)
			at++;
		for (size_t j = at; j < child->nr && child->items[j].start < m->end; j++) {
			if (child->items[j].start > from)
				patches_add(&c->patches, from, child->items[j].start, PATCH_MISSING,
					    NULL);
			from = child->items[j].end;
		}
		if (from < m->end)
			patches_add(&c->patches, from, m->end, PATCH_MISSING, NULL);
	}
}

/* Copies what a fork leaves out, up to the limit; the rest stays missing. */
static void copy_left_out(struct cloned *c, int dir)
{
	struct procmem m;
	uint64_t budget = COPY_MAX_BYTES;

	if (procmem_open(&m, dir) < 0)
		return;
	for (size_t i = 0; i < c->patches.nr; i++) {
		struct patch *p = &c->patches.items[i];
		uint64_t len = p->end - p->start;

		if (p->kind != PATCH_MISSING || len > budget)
			continue;
		p->bytes = mem_alloc((size_t)len);
		if (procmem_read(&m, p->start, p->bytes, (size_t)len) == len) {
			p->kind = PATCH_BYTES;
			budget -= len;
			continue;
		}
		free(p->bytes);
		p->bytes = NULL;
	}
	procmem_close(&m);
}

/*
 * What is mapped in the target and not in the clone shows in the sizes, so that maps need to be
 * read twice only where there is such a thing.
 */
static int save_left_out(struct cloned *c)
{
	struct target *t = c->hold.target;
	struct maps child = MAPS_INIT;
	int dir = hold_open_thread(&c->hold), child_dir = proc_open(c->pid), r = 0;

	if (dir < 0 || child_dir < 0)
		r = -ESRCH;
	if (!r && mapped_pages(dir) != mapped_pages(child_dir)) {
		r = maps_read_at(dir, &t->maps);
		if (!r)
			r = maps_read_at(child_dir, &child);
		if (!r)
			find_left_out(c, &t->maps, &child);
		maps_release(&child);
	}
	if (!r && c->patches.nr)
		copy_left_out(c, dir);
	if (dir >= 0)
		close(dir);
	if (child_dir >= 0)
		close(child_dir);
	return r;
}

static void remove_leftovers(struct cloned *c, const struct remote_call *call)
{
	for (size_t i = 0; i < c->nr_leftovers; i++)
		remove_child(call, c->leftovers[i]);
}

/*
 * The clone stands at its first instruction, which it must never reach. From here on the kernel
 * kills it when we end; until here it would have ended by itself.
 */
static int secure_clone(struct cloned *c)
{
	char path[48];
	int fd, status, r;

	r = freeze_wait(c->pid, freeze_now_ns() + END_LIMIT_NS, &status);
	if (r < 0)
		return not_here(c, "its clone did not come to a halt");
	/* First the mark, by which the next seep knows the zombie should we be killed now. */
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", c->pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, CLONE_OOM_SCORE, strlen(CLONE_OOM_SCORE)) < 0)
			r = -errno;
		close(fd);
	}
	ptrace(PTRACE_SETOPTIONS, c->pid, NULL, PTRACE_O_EXITKILL);
	return r < 0 ? not_here(c, "its clone cannot be marked") : 0;
}

static int clone_stopped(struct cloned *c)
{
	struct remote_call call = {.places = &c->places, .maps = &c->before, .mem = -1};
	int r = choose_thread(c, &c->before, &call.tid);

	if (r < 0)
		return r;
	call.mem = open_memory(c->hold.freeze.dir, call.tid);
	if (call.mem < 0)
		return explain_call(c, call.mem);
	remove_leftovers(c, &call);
	r = make_clone(c, &call);
	if (!r && save_left_out(c) < 0)
		r = not_here(c, "its memory cannot be read");
	free(call.original);
	close(call.mem);
	return r;
}

static int clone_job(void *context)
{
	struct cloned *c = context;
	int r = hold_stop(&c->hold);

	if (r < 0)
		return r;
	r = clone_stopped(c);
	hold_go(&c->hold);
	if (!r)
		r = secure_clone(c);
	return r;
}

/* ---- the end ---- */

/* One thread after the other is asked to remove the zombie, until one can. */
static void reap(struct cloned *c)
{
	struct maps maps = MAPS_INIT;
	struct remote_call call = {.places = &c->places, .maps = &maps, .mem = -1};
	struct freeze *f = &c->hold.freeze;
	bool gone = false;
	char why[WHY_BYTES];
	size_t at = 0;
	int dir;

	for (size_t i = 0; i < REAP_THREADS_MAX && !gone && !freeze_stop_one(f, &at, &call.tid);
	     i++) {
		call.mem = open_memory(f->dir, call.tid);
		/* It may have become another program meanwhile. */
		maps_release(&maps);
		dir = hold_open_thread(&c->hold);
		if (call.mem >= 0 && dir >= 0 && !maps_read_at(dir, &maps) &&
		    remote_fitness(call.tid, &maps) != REMOTE_UNFIT &&
		    !remote_places_find(call.mem, &maps, &c->places) &&
		    hazards_thread_may_call(f->dir, call.tid, why, sizeof(why)))
			gone = remove_child(&call, c->inner_pid);
		freeze_go(f);
		if (call.mem >= 0)
			close(call.mem);
		if (dir >= 0)
			close(dir);
	}
	maps_release(&maps);
}

static int end_job(void *context)
{
	struct cloned *c = context;
	int status;

	if (!c->pid)
		return 0;
	kill(c->pid, SIGKILL);
	/* Freeing its memory takes a while; the process is not held up by that. */
	while (!freeze_wait(c->pid, freeze_now_ns() + END_LIMIT_NS, &status) && WIFSTOPPED(status))
		;
	if (c->inner_pid > 0)
		reap(c);
	c->pid = 0;
	return 0;
}

static bool cloned_has_ended(const struct target *t)
{
	const struct cloned *c = t->state;

	if (!c->pid)
		return c->died;
	return deathwatch_has_struck(c->watch) ||
	       freeze_is_over(freeze_thread_state(c->dir, c->pid));
}

static void cloned_thaw(struct target *t)
{
	struct cloned *c = t->state;

	if (!c->hold.tracer)
		return;
	c->died = cloned_has_ended(t);
	deathwatch_end(c->watch);
	c->watch = NULL;
	tracer_call(c->hold.tracer, end_job, c);
	tracer_end(c->hold.tracer);
	c->hold.tracer = NULL;
}

static void cloned_release(struct cloned *c)
{
	hold_release(&c->hold);
	procmem_close(&c->mem);
	procmem_close(&c->live);
	if (c->dir >= 0)
		close(c->dir);
	patches_release(&c->patches);
	maps_release(&c->before);
	free(c->leftovers);
	free(c);
}

static int cloned_dir(struct target *t)
{
	return ((struct cloned *)t->state)->dir;
}

static void cloned_close(struct target *t)
{
	cloned_release(t->state);
}

static const struct target_ops cloned_ops = {
	.read = cloned_read,
	.residency = cloned_residency,
	.next_used = cloned_next_used,
	.has_ended = cloned_has_ended,
	.proc_dir = cloned_dir,
	.thaw = cloned_thaw,
	.close = cloned_close,
};

/* ---- the beginning ---- */

static uint64_t resident_bytes(int dir)
{
	struct str text = STR_INIT;
	unsigned long long pages = 0;

	if (!proc_read_file(dir, "statm", &text))
		sscanf(text.data, "%*u %llu", &pages);
	str_release(&text);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int prepare(struct cloned *c, struct target *t, struct error *e)
{
	struct hazards hazards;
	int dir, mem, r = hold_init(&c->hold, t, e);

	if (r < 0)
		return r;
	dir = c->hold.dir;
	r = maps_read_at(dir, &c->before);
	mem = r < 0 ? r : openat(dir, "mem", O_RDONLY | O_CLOEXEC);
	if (mem < 0)
		return process_explain(t->process.pid, r < 0 ? r : -errno, "memory", e);
	hazards_check(dir, &t->process, &c->before, &hazards);
	if (*hazards.why)
		r = not_here(c, hazards.why);
	else if (remote_places_find(mem, &c->before, &c->places) < 0)
		r = not_here(c, "its code has no instructions that would bring it back if seep "
				"were killed");
	close(mem);
	if (r < 0)
		return r;
	leftovers_find(c->hold.freeze.dir, t->process.pid, &c->leftovers, &c->nr_leftovers);
	c->ranges_known = resident_bytes(dir) <= SMAPS_MAX_BYTES &&
			  !hazards_find_ranges(dir, true, &c->patches);
	return 0;
}

/* The clone is there: its maps are those of the instant, and its memory is read from now on. */
static int open_clone(struct cloned *c, struct target *t)
{
	int r;

	c->dir = proc_open(c->pid);
	r = c->dir < 0 ? c->dir : 0;
	if (!r && !t->maps.nr)
		r = maps_read_at(c->dir, &t->maps);
	if (!r)
		r = procmem_open(&c->mem, c->dir);
	if (!r && !c->ranges_known)
		r = hazards_find_ranges(c->dir, true, &c->patches);
	if (!r)
		r = procmem_open(&c->live, c->hold.dir);
	/* The process may have ended; the clone is still there. */
	return r == -ESRCH && c->mem.mem >= 0 ? 0 : r;
}

int target_clone_attach(struct target *t, struct error *e)
{
	struct cloned *c = mem_alloc(sizeof(*c));
	int r;

	c->mem = c->live = (struct procmem){.mem = -1, .pagemap = -1};
	c->why = t->how.why;
	c->dir = -1;
	r = prepare(c, t, e);
	if (!r) {
		r = tracer_call(c->hold.tracer, clone_job, c);
		if (r < 0 && r != -ENOTSUP)
			hold_explain(&c->hold, r, e);
	}
	if (!r && open_clone(c, t) < 0)
		r = not_here(c, "its clone cannot be read");
	if (r < 0) {
		if (c->hold.tracer)
			tracer_call(c->hold.tracer, end_job, c);
		cloned_release(c);
		return r;
	}
	if (deathwatch_start(t->process.pid, c->pid, &c->watch) < 0)
		c->watch = NULL;
	/* It may have ended before the watch began, which then watches whoever has its pid. */
	r = process_check_at(c->hold.freeze.dir, t->process.start_ticks);
	if (r == -ESRCH || r == -ESTALE)
		kill(c->pid, SIGKILL);
	c->mem.maps = c->live.maps = &t->maps;
	c->mem.frozen = true;
	t->state = c;
	t->ops = &cloned_ops;
	t->how.kind = TARGET_CLONE;
	t->how.consistent = !c->hold.shared;
	return 0;
}
