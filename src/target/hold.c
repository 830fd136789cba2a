/* See hold.h. */
#include "target/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "target/proc.h"
#include "target/registers.h"
#include "target/target_private.h"
#include "target/tracer.h"

#define VFORK_WAIT_NS 100000000ull
#define VFORK_NAP_NS 2000000
/* Each lasts a millisecond or two: who starts processes all the time is met between two of them. */
#define STOPS_MAX 4
#define STOPS_APART_NS 20000000
#define VFORK_STOPS 10

static int open_thread(int dir, int32_t tid)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "task/%d", tid);
	fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? -ESRCH : -errno;
}

/*
 * The first thread's, which lasts longest; of a process whose first thread has ended, only the
 * others' folders still show anything.
 */
static int open_any_thread(int dir, int32_t pid)
{
	size_t nr;
	int32_t *tids;
	int found = -ESRCH, r;

	if (!freeze_is_over(freeze_thread_state(dir, pid)))
		return open_thread(dir, pid);
	r = proc_list_numbers(dir, "task", &tids, &nr);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	for (size_t i = 0; i < nr && found < 0; i++) {
		if (!freeze_is_over(freeze_thread_state(dir, tids[i])))
			found = open_thread(dir, tids[i]);
	}
	free(tids);
	return found;
}

static int init(struct hold *h, struct target *t, struct error *e)
{
	int32_t pid = t->process.pid;
	int dir = proc_open(pid), r;

	*h = (struct hold){.target = t, .freeze = {.dir = -1}, .dir = -1};
	if (dir < 0)
		return process_explain(pid, dir, "memory", e);
	freeze_init(&h->freeze, pid, dir);
	r = process_check_at(dir, t->process.start_ticks);
	if (!r) {
		h->dir = open_any_thread(dir, pid);
		r = h->dir < 0 ? h->dir : 0;
	}
	if (r < 0)
		return process_explain(pid, r, "memory", e);
	registers_prepare();
	return process_threads(pid, &h->names, &h->nr_names, e);
}

int hold_init_traced(struct hold *h, struct target *t, struct error *e)
{
	int r = init(h, t, e);

	if (r < 0)
		return r;
	r = freeze_adopt(&h->freeze);
	return r < 0 ? hold_explain(h, r, e) : 0;
}

int hold_init(struct hold *h, struct target *t, struct error *e)
{
	int r = init(h, t, e);

	if (r < 0)
		return r;
	r = tracer_start(&h->tracer);
	if (r < 0)
		return error_set(e, r, EXIT_TARGET, "cannot start a thread: %s", error_strerror(r));
	tracer_meanwhile(h->tracer, freeze_collect_ended, &h->freeze);
	return 0;
}

void hold_release(struct hold *h)
{
	tracer_end(h->tracer);
	freeze_release(&h->freeze);
	if (h->dir >= 0)
		close(h->dir);
	h->dir = -1;
	free(h->names);
	h->names = NULL;
	h->tracer = NULL;
}

static const char *name_of(const struct hold *h, int32_t tid)
{
	size_t low = 0, high = h->nr_names;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (h->names[middle].tid < tid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < h->nr_names && h->names[low].tid == tid ? h->names[low].name : "";
}

/*
 * Until a child that vfork() made has become another program, it runs in this memory, and its
 * parent sleeps. That is soon over, as a rule; it is waited for with nobody stopped.
 */
static bool any_in_vfork(const struct hold *h)
{
	size_t nr;
	int32_t *tids;
	bool any = false;

	if (proc_list_numbers(h->freeze.dir, "task", &tids, &nr) < 0)
		return false;
	for (size_t i = 0; i < nr && !any; i++)
		any = freeze_in_vfork(h->freeze.dir, tids[i]);
	free(tids);
	return any;
}

/* False: it lasts. */
static bool wait_for_vfork(const struct hold *h, uint64_t deadline_ns)
{
	while (any_in_vfork(h)) {
		if (freeze_now_ns() >= deadline_ns)
			return false;
		nanosleep(&(struct timespec){.tv_nsec = VFORK_NAP_NS}, NULL);
	}
	return true;
}

static bool stopped_in_vfork(const struct hold *h)
{
	const struct freeze *f = &h->freeze;

	for (size_t i = 0; i < f->nr; i++) {
		if (f->threads[i].state == FROZEN_KERNEL &&
		    freeze_in_vfork(f->dir, f->threads[i].tid))
			return true;
	}
	return false;
}

/* Where vfork() lasts, what its child writes meanwhile is seen as well. */
static void note_vfork(struct hold *h)
{
	struct target_how *how = &h->target->how;

	h->shared = true;
	if (!*how->why)
		snprintf(how->why, sizeof(how->why),
			 "a child that vfork() made runs on in its memory");
}

int hold_stop_only(struct hold *h)
{
	uint64_t deadline = freeze_now_ns() + VFORK_WAIT_NS;
	bool lasts = !wait_for_vfork(h, deadline);
	int r = freeze_stop(&h->freeze);

	for (int i = 1; i < VFORK_STOPS && !r && !lasts && stopped_in_vfork(h); i++) {
		freeze_go(&h->freeze);
		lasts = !wait_for_vfork(h, deadline);
		r = freeze_stop(&h->freeze);
	}
	if (!r && stopped_in_vfork(h))
		note_vfork(h);
	return r;
}

static void add_thread(struct hold *h, struct frozen_thread *frozen)
{
	struct target_thread *thread =
		target_add_thread(h->target, frozen->tid, name_of(h, frozen->tid));
	struct sleeper s;

	if (frozen->state == FROZEN_STOPPED) {
		registers_read(frozen->tid, thread);
	} else if (freeze_read_sleeper(h->freeze.dir, frozen->tid, &s)) {
		thread->sp = s.sp;
		thread->pc = s.pc;
	}
}

int hold_stop(struct hold *h)
{
	struct freeze *f = &h->freeze;
	int r = hold_stop_only(h);

	/* A thread that gets no processor to stop on: a machine under load. */
	for (int i = 1; i < STOPS_MAX && r == -ETIMEDOUT; i++) {
		nanosleep(&(struct timespec){.tv_nsec = STOPS_APART_NS}, NULL);
		r = hold_stop_only(h);
	}
	if (r < 0)
		return r;
	for (size_t i = 0; i < f->nr; i++) {
		if (f->threads[i].state != FROZEN_GONE)
			add_thread(h, &f->threads[i]);
	}
	return 0;
}

void hold_go(struct hold *h)
{
	freeze_go(&h->freeze);
	h->target->how.pause_ns = h->freeze.paused_ns;
}

int hold_open_thread(const struct hold *h)
{
	const struct freeze *f = &h->freeze;
	int dir = -ESRCH;

	for (size_t i = 0; i < f->nr && dir < 0; i++) {
		if (f->threads[i].state != FROZEN_GONE)
			dir = open_thread(f->dir, f->threads[i].tid);
	}
	return dir;
}

int hold_explain(const struct hold *h, int err, struct error *e)
{
	int32_t pid = h->freeze.pid;

	if (err == -ETIMEDOUT) {
		error_set(e, err, EXIT_TARGET,
			  "process %d cannot be stopped: a thread of it does "
			  "not come to a halt",
			  pid);
		error_hint(e, "--method live reads it without stopping it");
		return err;
	}
	if (err == -EBUSY) {
		error_set(e, err, EXIT_TARGET,
			  "process %d cannot be changed: a child that vfork() made runs in its "
			  "memory",
			  pid);
		error_hint(e, "try again once that child runs its own program");
		return err;
	}
	return process_explain_trace(pid, err, e);
}
