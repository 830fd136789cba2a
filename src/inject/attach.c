/* See attach.h. */
#include "inject/attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/error.h"
#include "base/mem.h"
#include "inject/blob_modules.h"
#include "inject/calls.h"
#include "inject/claim.h"
#include "inject/detach.h"
#include "inject/entries.h"
#include "inject/inside.h"
#include "inject/lock.h"
#include "inject/pairs.h"
#include "inject/patch.h"
#include "inject/preflight.h"
#include "inject/prepare.h"
#include "inject/quiet.h"
#include "inject/recorder_calls.h"
#include "inject/thunks.h"
#include "inject/told.h"
#include "target/hold.h"
#include "target/process.h"
#include "target/registers.h"
#include "target/target.h"
#include "target/tracer.h"

#define TRIES 200
#define LATE_TRIES 20
#define PLAN_TRIES 10
#define NAP_NS 2000000
#define STACK_LEAST (UINT64_C(8) << 20)
#define STACK_MOST (UINT64_C(1) << 30)

struct attaching {
	struct attach *a;
	struct hold hold;
	struct calls calls;
	struct claims claims; /* of a seep that was killed */
	uint64_t blob;	      /* address of struct wire_blob; 0: nothing is there yet */
	bool begun;	      /* calls have been made */
	bool prepared;	      /* the recorder is complete there */
	bool told;	      /* *e is filled */
	bool stale;	      /* slots are not what they were when they were read */
	struct error *e;
};

/* ---- before ---- */

static void fill_slots(const struct plan *p, struct wire_blob *b)
{
	for (size_t i = 0; i < p->nr_slots; i++) {
		const struct plan_slot *s = &p->slots[i];
		struct wire_patch *patch = &b->patches[b->patches_nr++];

		patch->addr = s->addr;
		patch->bytes_nr = WIRE_SLOT_BYTES;
		patch->is_slot = !s->is_stub;
		memcpy(patch->original, &s->before, sizeof(s->before));
		memcpy(patch->original + WIRE_SLOT_BYTES, &s->entry->addr, sizeof(s->entry->addr));
		memcpy(patch->patched, &s->after, sizeof(s->after));
		memcpy(patch->patched + WIRE_SLOT_BYTES, &s->inode, sizeof(s->inode));
	}
}

static void fill_patches(const struct plan *p, struct wire_blob *b)
{
	for (size_t i = 0; i < p->nr_entries; i++) {
		const struct plan_entry *n = &p->entries[i];
		struct wire_patch *patch;

		if (n->by_slots)
			continue;
		patch = &b->patches[b->patches_nr++];
		patch->addr = n->entry->addr;
		patch->bytes_nr = PLAN_JUMP_BYTES;
		patch->hook = (uint8_t)n->hook;
		memcpy(patch->original, n->entry->bytes, PLAN_JUMP_BYTES);
		memcpy(patch->patched, n->jump, PLAN_JUMP_BYTES);
	}
}

/* That with the recorder is there as soon as this can be read; others are added as they come. */
static void fill_mapped(const struct plan *p, struct wire_blob *b)
{
	b->mapped[0] =
		(struct wire_mapped){p->nears[0].start, p->nears[0].start + p->nears[0].bytes};
	b->mapped_nr = 1;
}

static void fill_stack(const struct target *t, struct wire_blob *b)
{
	const struct maps *maps = target_maps(t);
	const struct map *m = maps_find_path(maps, "[stack]", 0);
	struct rlimit limit = {.rlim_cur = STACK_LEAST};

	if (!m)
		return;
	prlimit(target_process(t)->pid, RLIMIT_STACK, NULL, &limit);
	if (limit.rlim_cur < STACK_LEAST)
		limit.rlim_cur = STACK_LEAST;
	if (limit.rlim_cur > STACK_MOST)
		limit.rlim_cur = STACK_MOST;
	b->stack_high = m->end;
	b->stack_low = m->end - limit.rlim_cur;
}

static void fill_blob(struct attach *a)
{
	struct wire_blob *b = blob_image_blob(&a->image);
	const struct entries *all = a->entries;

	b->private_part.bytes = a->image.all_bytes - a->image.text_bytes;
	/* In a static program it knows of no frames. */
	b->find_object = all->has_loader ? plan_real(&a->plan, all->dl_find_object) : 0;
	b->unwinds = plan_unwinds(&a->plan, all);
	b->clock_gettime = all->vdso_clock_gettime;
	b->allocator_addr = all->allocator_addr;
	b->file_number = all->file_number;
	b->dir_number = all->dir_number;
	plan_find_keepers(&a->plan, a->target, &b->keeps_start, &b->keeps_bytes);
	b->blob_start = a->plan.blob;
	b->blob_end = a->plan.blob + a->image.all_bytes;
	b->state = WIRE_BLOB_PREPARING;
	b->table_fd = -1;
	fill_stack(a->target, b);
	quiet_find(a->target, all, b);
	told_find(a->target, b);
	fill_patches(&a->plan, b);
	fill_slots(&a->plan, b);
	fill_mapped(&a->plan, b);
	blob_modules_fill(a->target, &a->image, a->plan.blob, !all->has_loader, b);
	if (frames_bytes(&a->frames))
		blob_modules_set_frames(b, a->plan.table);
}

/* Anew, whatever was planned before. */
static int plan(struct attach *a, const struct maps *maps, struct error *e)
{
	int r;

	plan_release(&a->plan);
	blob_image_release(&a->image);
	slots_release(&a->slots);
	if (a->preflight->slots.nr)
		slots_find(a->target, a->entries, a->preflight->taken, &a->slots);
	r = blob_image_open(&a->image, e);
	if (!r)
		r = plan_make(a->entries, a->preflight->taken, &a->slots, &a->image,
			      frames_bytes(&a->frames), maps,
			      process_heap_start(target_process(a->target)->pid), &a->plan, e);
	if (!r && !a->plan.nr_entries)
		r = error_set(e, -ENOTSUP, EXIT_TARGET,
			      "no function of its allocators can be recorded in process %d",
			      target_process(a->target)->pid);
	if (r < 0)
		return r;
	blob_image_relocate(&a->image, a->plan.blob);
	thunks_write(&a->plan, blob_image_blob(&a->image));
	fill_blob(a);
	return 0;
}

int attach_plan(const struct preflight *p, struct mode mode, struct attach *ret, struct error *e)
{
	struct attach a = {
		.preflight = p, .target = p->target, .entries = &p->entries, .mode = mode};
	int r;

	if (!a.entries->has_loader)
		frames_read(a.target, &a.frames);
	r = plan(&a, target_maps(a.target), e);

	if (r < 0) {
		attach_release(&a);
		return r;
	}
	*ret = a;
	return 0;
}

void attach_release(struct attach *a)
{
	if (!a)
		return;
	blob_image_release(&a->image);
	plan_release(&a->plan);
	frames_release(&a->frames);
	slots_release(&a->slots);
}

/* ---- the deed ---- */

static int explain(const struct attaching *g, int r)
{
	int32_t pid = target_process(g->a->target)->pid;

	switch (r) {
	case -EAGAIN:
		error_set(g->e, r, EXIT_TARGET,
			  "process %d cannot be attached to: there is always a thread where its "
			  "code would have to change",
			  pid);
		error_hint(g->e, "try again");
		return r;
	case -ESTALE:
		error_set(g->e, r, EXIT_TARGET,
			  "process %d cannot be attached to: its code has changed since it was "
			  "read",
			  pid);
		error_hint(g->e, "it loads libraries, or another tool works on it: try again");
		return r;
	}
	return hold_explain(&g->hold, r, g->e);
}

/* Filters can be asked only now; each thread may have its own. */
static int ask_filters(struct attaching *g)
{
	const struct freeze *f = &g->hold.freeze;
	const struct preflight *p = g->a->preflight;

	for (size_t i = 0; i < f->nr && p->filtered; i++) {
		const char *what = "process_vm_readv";
		bool kills_peek;

		if (f->threads[i].state != FROZEN_STOPPED)
			continue;
		kills_peek = recorder_calls_kill_peek(f->threads[i].tid);
		/* What pairs are given is read so. */
		if ((kills_peek && p->pairs && p->pairs->nr) ||
		    !recorder_calls_pass(f->threads[i].tid, &what)) {
			g->told = true;
			return error_set(g->e, -EPERM, EXIT_TARGET,
					 "process %d cannot be recorded: its seccomp filter does "
					 "not let the recorder call %s",
					 f->pid, *what ? what : "what it has to");
		}
		if (kills_peek)
			blob_image_blob(&g->a->image)->no_peek = 1;
	}
	return 0;
}

/* Hooks know their thread by what its thread pointer points to; before its start none has one. */
static int check_thread_pointers(struct attaching *g)
{
	const struct freeze *f = &g->hold.freeze;
	struct registers_place place;

	for (size_t i = 0; i < f->nr && !g->a->preflight->at_start; i++) {
		if (f->threads[i].state != FROZEN_STOPPED ||
		    !registers_get_place(f->threads[i].tid, &place) || place.tp)
			continue;
		g->told = true;
		return error_set(g->e, -ENOTSUP, EXIT_TARGET,
				 "process %d cannot be recorded: thread %d has no thread pointer, "
				 "as with a C library",
				 f->pid, f->threads[i].tid);
	}
	return 0;
}

/* With all threads at a standstill. */
static int prepare(struct attaching *g)
{
	int r = ask_filters(g);

	if (!r)
		r = check_thread_pointers(g);
	if (!r)
		r = calls_choose(&g->calls);
	if (!r)
		r = claims_clear(&g->calls, &g->claims, NULL);
	if (!r) {
		g->begun = true;
		r = prepare_inside(g->a, &g->calls, &g->blob, g->e);
		g->told = r < 0;
		g->prepared = !r;
	}
	return r;
}

static int patch(struct attaching *g)
{
	uint32_t on = WIRE_BLOB_ON;
	int r = INSIDE_POKE(g->calls.mem, g->blob, state, on);

	if (!r)
		r = patch_apply(&g->calls, &g->a->plan);
	return r ? r : told_tell(g->calls.mem, blob_image_blob(&g->a->image));
}

static int stop_and_patch(struct attaching *g)
{
	struct hold *h = &g->hold;
	uint64_t before = h->freeze.paused_ns;
	int r = threads_stop(h);

	if (r < 0)
		return r;
	r = h->shared ? -EBUSY : calls_finish(&g->calls);
	if (!r && !patch_slots_hold(&g->calls, &g->a->plan))
		r = -ESTALE;
	g->stale = r == -ESTALE;
	if (!r && !g->prepared)
		r = prepare(g);
	if (!r)
		r = patch(g);
	g->a->threads_nr = h->freeze.nr;
	freeze_go(&h->freeze);
	g->a->pause_ns += h->freeze.paused_ns - before;
	return r;
}

static int attach_job(void *context)
{
	struct attaching *g = context;
	/* One that was let go has begun: it would not be recorded from its start. */
	int tries = g->a->preflight->at_start ? 1 : TRIES, r = -EAGAIN, late = 0;

	for (int i = 0; i < tries && r == -EAGAIN && !g->told; i++) {
		if (i)
			nanosleep(&(struct timespec){.tv_nsec = NAP_NS}, NULL);
		r = stop_and_patch(g);
		/* A thread that gets no processor to stop on; a child between vfork and exec. */
		if ((r == -ETIMEDOUT || r == -EBUSY) && ++late < LATE_TRIES)
			r = -EAGAIN;
	}
	return r < 0 && !g->told ? explain(g, r) : r;
}

static int refuse_twice(const struct attaching *g)
{
	error_set(g->e, -EEXIST, EXIT_TARGET, "process %d is being recorded already",
		  target_process(g->a->target)->pid);
	error_hint(g->e, "seep snap and the other commands show it as it is");
	return -EEXIST;
}

/* Mappings come and go: what has just been read is what it is planned by. */
static int open_and_plan(struct attaching *g)
{
	int r;

	calls_close(&g->calls);
	r = calls_open(&g->calls, &g->hold);
	g->calls.suspend_seccomp = g->a->preflight->suspend_seccomp;
	if (r == -ENOENT)
		return error_set(g->e, r, EXIT_TARGET,
				 "process %d has no code that would bring it back if seep were "
				 "killed",
				 target_process(g->a->target)->pid);
	if (r < 0)
		return explain(g, r);
	if (inside_find(g->calls.mem, &g->calls.maps) || maps_find_recorder(&g->calls.maps))
		return refuse_twice(g);
	claims_release(&g->claims);
	r = claims_find(&g->hold, &g->claims);
	if (r < 0)
		return explain(g, r);
	return plan(g->a, &g->calls.maps, g->e);
}

/*
 * After a failure; what cannot be taken back is told. A call that did not end was left to its
 * thread, and may be made at any time: nothing is taken back under it.
 */
static void take_back(struct attaching *g, int err)
{
	const struct process_info *p = target_process(g->a->target);
	bool under_way = g->begun && g->told && (err == -ETIMEDOUT || err == -ESRCH);
	struct error ignored;

	if (!under_way && !detach_leftovers(&g->hold, &g->calls, g->blob, &ignored)) {
		g->blob = 0;
		g->prepared = false;
		return;
	}
	if (!process_check(p->pid, p->start_ticks))
		error_hint(g->e,
			   "something of the recorder may still be there, unused: seep detach %d "
			   "removes it",
			   p->pid);
}

static int attach_once(struct attaching *g)
{
	int r = open_and_plan(g);

	if (r < 0)
		return r;
	r = tracer_call(g->hold.tracer, attach_job, g);
	if (r < 0)
		take_back(g, r);
	return r;
}

static int attach_held(struct attaching *g)
{
	int tries = g->a->preflight->at_start ? 1 : PLAN_TRIES, r = 0;

	/* Somebody else's mapping may be where ours was to be; slots may just have been bound. */
	for (int i = 0; i < tries; i++) {
		g->told = g->stale = false;
		r = attach_once(g);
		if ((r != -EEXIST || !g->told) && !g->stale)
			break;
		if (g->blob)
			break;
	}
	return r;
}

int attach_run(struct attach *a, struct error *e)
{
	struct attaching *g = mem_alloc(sizeof(*g));
	int r;

	*g = (struct attaching){.a = a, .calls = CALLS_INIT, .e = e};
	r = a->preflight->at_start ? hold_init_traced(&g->hold, a->target, e)
				   : hold_init(&g->hold, a->target, e);
	if (!r)
		r = lock_process(&g->hold, e);
	if (!r)
		r = attach_held(g);
	claims_release(&g->claims);
	calls_close(&g->calls);
	hold_release(&g->hold);
	free(g);
	return r;
}
