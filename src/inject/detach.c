/* See detach.h. */
#include "inject/detach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "inject/calls.h"
#include "inject/claim.h"
#include "inject/inside.h"
#include "inject/let_go.h"
#include "inject/lock.h"
#include "inject/patch.h"
#include "inject/told.h"
#include "target/foreign_fd.h"
#include "target/hold.h"
#include "target/process.h"
#include "target/target.h"
#include "target/tracer.h"
#include "wire/layout.h"

#define NAP_NS 2000000 /* at first; then longer, for threads that wait for a processor */
#define NAP_MOST_NS 64000000
#define PATIENCE_NS 5000000000ull
#define LATE_TRIES 20
#define TRIES 10
/* So long they stand still at a time while memory is unmapped. */
#define BUDGET_NS 1500000ull
#define PRIVATES_MAX 65536

struct detaching {
	struct hold *hold;
	struct calls *calls;
	uint64_t addr;	       /* of blob; 0: there are only claims */
	struct wire_blob blob; /* as it is there, without modules */
	struct claims claims;  /* read before they stood still */
	struct detach d;
	bool clean;		  /* entries are themselves again, and nobody is inside */
	struct thread_found last; /* who was inside last */
	uint64_t before_ns;	  /* how long they had stood still before this stop */
	uint64_t clearing_ns;	  /* … and when the calls began */
	unsigned int made;	  /* calls during it */
	int table;		  /* a descriptor of our own; -1 none */
	uint64_t end;		  /* of let_go_find() */
	struct error *e;
};

/* ---- while all stand still ---- */

/*
 * What stays because others use it forwards, from now on. Only when nobody is inside: a hook does
 * not expect the gate to be closed under it.
 */
static int close_gate(const struct detaching *g)
{
	const struct wire_gate closed = {0};

	return inside_poke(g->calls->mem, g->blob.gate, &closed.header, sizeof(closed.header));
}

/* 0: all is as it was, and nobody is inside. */
static int restore(struct detaching *g)
{
	const uint64_t none = 0;
	uint32_t off = WIRE_BLOB_OFF;
	int r = INSIDE_POKE(g->calls->mem, g->addr, state, off);

	/* Until nobody is inside, the recorder may meet more that want to be told of it. */
	if (!r)
		r = inside_read(g->calls->mem, g->addr, &g->blob);
	if (!r)
		r = told_take_back(g->calls->mem, &g->blob);
	if (r < 0)
		return r;
	g->d.left_nr = 0;
	patch_restore(g->calls, &g->blob, false, &g->d.left_nr);
	if (let_go(g->calls, &g->blob, g->end, &g->last))
		return -EAGAIN;
	if (patch_in_use(g->calls, &g->blob, &g->last))
		return -EAGAIN;
	/* Of what others still call, no exception will pass through our frames any more. */
	if (g->d.left_nr)
		r = INSIDE_POKE(g->calls->mem, g->addr, unwinds, none);
	if (r < 0)
		return r;
	patch_restore(g->calls, &g->blob, true, &g->d.left_nr);
	return g->d.left_nr ? close_gate(g) : 0;
}

/* ---- by one of them, meanwhile ---- */

/*
 * Have they stood still for long enough? At least one call is made each time; and where it takes
 * long to stop them, as many as are worth it.
 */
static bool is_late(const struct detaching *g)
{
	uint64_t stopping_ns = g->clearing_ns - g->before_ns;
	uint64_t budget_ns = stopping_ns > BUDGET_NS ? stopping_ns : BUDGET_NS;

	return g->made && freeze_pause_ns(&g->hold->freeze) - g->clearing_ns > budget_ns;
}

/* What is noted as done must be done, however late it has become since. */
static int call_noted(struct detaching *g, uint64_t nr, uint64_t a, uint64_t b)
{
	int64_t r;

	g->made++;
	r = calls_make(g->calls, nr, a, b, 0, 0, 0, 0);
	return r < 0 ? (int)r : 0;
}

/* 0; -EINPROGRESS: next time; or negative errno. */
static int call(struct detaching *g, uint64_t nr, uint64_t a, uint64_t b)
{
	return is_late(g) ? -EINPROGRESS : call_noted(g, nr, a, b);
}

static bool read_private(const struct detaching *g, uint64_t at, struct wire_private *ret)
{
	return at && foreign_read(g->calls->mem, at, ret, sizeof(*ret)) >= 0 &&
	       ret->magic[0] == WIRE_PRIVATE_MAGIC0 && ret->magic[1] == WIRE_PRIVATE_MAGIC1;
}

static uint64_t pages_end(uint64_t start, uint64_t bytes)
{
	return (start + bytes + WIRE_PAGE - 1) & ~(uint64_t)(WIRE_PAGE - 1);
}

/*
 * Threads' own memory, as much at once as lies side by side: each lies below the one before, as a
 * rule. The list is shortened first: should we be killed in between, something stays mapped; the
 * other way round, the next seep would unmap what is no longer ours.
 */
static int unmap_privates(struct detaching *g)
{
	uint64_t at = g->blob.privates, start, end;
	struct wire_private p;
	size_t nr = 0;
	int r = 0;

	while (!r && nr++ < PRIVATES_MAX && read_private(g, at, &p)) {
		if (is_late(g))
			return -EINPROGRESS;
		start = at;
		end = pages_end(at, p.bytes);
		for (at = p.next; at == end && nr++ < PRIVATES_MAX && read_private(g, at, &p);
		     at = p.next)
			end = pages_end(at, p.bytes);
		r = INSIDE_POKE(g->calls->mem, g->addr, privates, at);
		if (!r)
			r = call_noted(g, SYS_munmap, start, end - start);
	}
	return r;
}

/* A process may hold others' tables, too: a seep that looks at one does. */
static bool is_table(const struct detaching *g, int number)
{
	struct foreign_file file;

	return foreign_identify(g->hold->dir, number, &file) &&
	       file.device == g->blob.table_device && file.inode == g->blob.table_inode;
}

/* The program may have closed it, and have another file under its number by now. */
static int close_table(struct detaching *g)
{
	int32_t none = -1, number = g->blob.table_fd;
	int r;

	if (number < 0 || !is_table(g, number))
		return 0;
	if (is_late(g))
		return -EINPROGRESS;
	/* Its pages are given back later, by us: that takes a while. */
	if (g->table < 0)
		g->table = foreign_open(g->hold->dir, number);
	r = INSIDE_POKE(g->calls->mem, g->addr, table_fd, none);
	return r ? r : call_noted(g, SYS_close, (uint64_t)number, 0);
}

/* By the mapping itself: nobody has noted it. */
static int unmap_table(struct detaching *g)
{
	const struct foreign_file table = {g->blob.table_device, g->blob.table_inode, 0};
	struct maps maps = MAPS_INIT;
	const struct map *m;
	int r = maps_read_at(g->hold->dir, &maps);

	for (size_t i = 0; i < maps.nr && !r; i++) {
		m = &maps.items[i];
		if (foreign_is_mapped(&table, m))
			r = call(g, SYS_munmap, m->start, m->end - m->start);
	}
	maps_release(&maps);
	return r;
}

/* Under other numbers, which the program has made. */
static int close_copies(struct detaching *g)
{
	int r = 0;

	for (size_t i = 0; i < g->claims.nr && !r; i++)
		if (is_table(g, g->claims.numbers[i]))
			r = call(g, SYS_close, (uint64_t)g->claims.numbers[i], 0);
	return r;
}

static int unmap_mapped(struct detaching *g)
{
	const struct wire_mapped none = {0};
	int r = 0;

	/* The first is the recorder's own. */
	for (uint32_t i = g->blob.mapped_nr; i-- > 0 && !r;) {
		struct wire_mapped m = g->blob.mapped[i];

		if (m.end <= m.start)
			continue;
		if (is_late(g))
			return -EINPROGRESS;
		if (g->addr < m.start || g->addr >= m.end)
			r = INSIDE_POKE(g->calls->mem, g->addr, mapped[i], none);
		if (!r)
			r = call_noted(g, SYS_munmap, m.start, m.end - m.start);
	}
	return r;
}

static int clear_recorder(struct detaching *g)
{
	int r = unmap_privates(g);

	if (!r)
		r = close_table(g);
	if (!r)
		r = close_copies(g);
	if (!r)
		r = unmap_table(g);
	return r ? r : unmap_mapped(g);
}

static int clear(struct detaching *g)
{
	int r = calls_choose(g->calls);

	g->made = 0;
	g->clearing_ns = freeze_pause_ns(&g->hold->freeze);
	if (!r && g->addr)
		r = inside_read(g->calls->mem, g->addr, &g->blob);
	if (!r)
		r = claims_clear(g->calls, &g->claims, g->addr ? &g->blob : NULL);
	if (!r && g->addr)
		r = clear_recorder(g);
	g->calls->tid = 0;
	return r;
}

static int stop_once(struct detaching *g)
{
	struct hold *h = g->hold;
	int r;

	g->before_ns = h->freeze.paused_ns;
	r = threads_stop(h);
	if (r < 0)
		return r;
	r = h->shared ? -EBUSY : calls_finish(g->calls);
	if (!r && !g->clean)
		r = restore(g);
	g->clean = !r;
	if (!r && !g->d.left_nr)
		r = clear(g);
	freeze_go(&h->freeze);
	g->d.tries++;
	g->d.pause_ns += h->freeze.paused_ns - g->before_ns;
	if (h->freeze.paused_ns - g->before_ns > g->d.longest_ns)
		g->d.longest_ns = h->freeze.paused_ns - g->before_ns;
	return r;
}

static int detach_job(void *context)
{
	struct detaching *g = context;
	uint64_t deadline = freeze_now_ns() + PATIENCE_NS;
	struct timespec nap = {.tv_nsec = NAP_NS};
	int r, late = 0;

	for (;;) {
		r = stop_once(g);
		/* A thread that gets no processor to stop on; a child between vfork and exec. */
		if ((r == -ETIMEDOUT || r == -EBUSY) && ++late < LATE_TRIES)
			r = -EINPROGRESS;
		if (r != -EINPROGRESS && (r != -EAGAIN || freeze_now_ns() > deadline))
			return r;
		nanosleep(&nap, NULL);
		if (r == -EAGAIN && nap.tv_nsec < NAP_MOST_NS)
			nap.tv_nsec *= 2;
	}
}

/* ---- all of it ---- */

static const char *where(enum thread_is is)
{
	switch (is) {
	case THREAD_AT:
		return "runs in it";
	case THREAD_ASLEEP:
		return "sleeps in it";
	case THREAD_INTERRUPTED:
		return "runs a signal handler that will go back into it";
	case THREAD_CALLED:
		return "waits in a function that will return into it";
	case THREAD_CALLS:
		return "is about to call it";
	}
	return "is in it";
}

static int explain(struct detaching *g, int r)
{
	int32_t pid = g->hold->freeze.pid;

	if (r == -EAGAIN && g->clean) {
		error_set(g->e, r, EXIT_TARGET,
			  "process %d is no longer recorded, but the recorder's memory is still "
			  "mapped: no thread of it is where a call could be made for it safely",
			  pid);
		error_hint(g->e, "seep detach %d, later, removes what is left", pid);
		return r;
	}
	if (r == -EAGAIN) {
		error_set(g->e, r, EXIT_TARGET,
			  "process %d is no longer recorded, but the recorder's memory is still "
			  "mapped: thread %d %s",
			  pid, g->last.tid, where(g->last.is));
		error_hint(g->e, "seep detach %d, later, removes what is left", pid);
		return r;
	}
	return hold_explain(g->hold, r, g->e);
}

static int taken_over(struct detaching *g)
{
	error_set(g->e, -EEXIST, EXIT_TARGET,
		  "process %d is no longer recorded, but the recorder's memory stays mapped: "
		  "another tool has changed %zu of the functions since",
		  g->hold->freeze.pid, g->d.left_nr);
	error_hint(g->e, "detach that tool, then seep detach %d again", g->hold->freeze.pid);
	return -EEXIST;
}

static int read_before(struct detaching *g)
{
	int r = g->addr ? inside_read(g->calls->mem, g->addr, &g->blob) : 0;

	return r ? r : claims_find(g->hold, &g->claims);
}

static int take_out(struct detaching *g)
{
	int r = read_before(g);

	if (r == -EBADMSG) {
		error_set(g->e, r, EXIT_TARGET,
			  "process %d was attached to by another version of seep",
			  g->hold->freeze.pid);
		error_hint(g->e, "detach it with that version");
		return r;
	}
	if (r < 0)
		return explain(g, r);
	for (uint32_t i = 0; i < g->blob.patches_nr; i++)
		g->d.entries_nr += g->blob.patches[i].bytes_nr != WIRE_SLOT_BYTES;
	g->clean = !g->addr;
	g->end = let_go_find(g->calls, &g->blob);
	r = tracer_call(g->hold->tracer, detach_job, g);
	if (!r && g->d.left_nr)
		return taken_over(g);
	return r < 0 ? explain(g, r) : 0;
}

static int detach_at(struct hold *h, struct calls *c, uint64_t addr, struct detach *ret,
		     struct error *e)
{
	struct detaching *g = mem_alloc(sizeof(*g));
	int r;

	g->hold = h;
	g->calls = c;
	g->addr = addr;
	g->e = e;
	g->table = -1;
	r = take_out(g);
	if (g->table >= 0)
		close(g->table);
	claims_release(&g->claims);
	if (ret)
		*ret = g->d;
	free(g);
	return r;
}

/* What an attach has begun that was killed before its recorder was there. */
static bool any_claims(const struct hold *h)
{
	struct claims found = {0};
	bool any = !claims_find(h, &found) && claims_any(h, &found);

	claims_release(&found);
	return any;
}

int detach_leftovers(struct hold *h, struct calls *c, uint64_t blob, struct error *e)
{
	return blob || any_claims(h) ? detach_at(h, c, blob, NULL, e) : 0;
}

static int detach_held(struct hold *h, struct calls *c, struct detach *ret, struct error *e)
{
	int32_t pid = h->freeze.pid;
	int r = calls_open(c, h);
	uint64_t addr;

	if (r < 0)
		return hold_explain(h, r, e);
	addr = inside_find(c->mem, &c->maps);
	if (addr) {
		r = detach_at(h, c, addr, ret, e);
		/* The last call of a seep that was killed may just have unmapped it. */
		if (r != -EIO || inside_find(c->mem, &c->maps))
			return r;
	}
	if (any_claims(h))
		return detach_at(h, c, 0, ret, e);
	if (maps_find_recorder(&c->maps)) {
		error_set(e, -ENOENT, EXIT_TARGET,
			  "process %d was not attached to: it was started with the recorder", pid);
		error_hint(e, "what seep run or seep flags has begun ends with the process");
	} else {
		error_set(e, -ENOENT, EXIT_TARGET, "process %d is not being recorded", pid);
	}
	return -ENOENT;
}

int detach_run(struct target *t, bool suspend_seccomp, struct detach *ret, struct error *e)
{
	struct calls calls = CALLS_INIT;
	struct hold hold;
	int r = hold_init(&hold, t, e);

	calls.suspend_seccomp = suspend_seccomp;
	if (!r)
		r = lock_process(&hold, e);
	/* Of what was read, nothing holds any more: once more. */
	for (int i = 0; (!i && !r) || (i < TRIES && r == -ESTALE); i++) {
		calls_close(&calls);
		r = detach_held(&hold, &calls, ret, e);
	}
	calls_close(&calls);
	hold_release(&hold);
	return r;
}
