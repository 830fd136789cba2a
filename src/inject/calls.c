/* See calls.h. */
#include "inject/calls.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "target/foreign_fd.h"
#include "target/hold.h"
#include "target/tracing.h"

int calls_open(struct calls *c, struct hold *hold)
{
	int dir = hold->dir, r;

	c->hold = hold;
	r = maps_read_at(dir, &c->maps);
	if (r < 0)
		return r;
	c->mem = foreign_memory(dir);
	if (c->mem < 0)
		return c->mem;
	return remote_places_find(c->mem, &c->maps, &c->places);
}

void calls_close(struct calls *c)
{
	maps_release(&c->maps);
	if (c->mem >= 0)
		close(c->mem);
	c->mem = -1;
}

static bool is_fit(struct calls *c, int32_t tid, enum remote_fitness least)
{
	return remote_fitness(tid, &c->maps) >= least;
}

/* From the best to those that are merely possible. */
static const enum remote_fitness wishes[] = {REMOTE_FIT, REMOTE_TIMED, REMOTE_FOREIGN_STACK};
#define WISHES_NR (sizeof(wishes) / sizeof(wishes[0]))

int calls_choose(struct calls *c)
{
	const struct freeze *f = &c->hold->freeze;

	for (size_t i = 0; i < WISHES_NR; i++) {
		for (size_t k = 0; k < f->nr; k++) {
			if (f->threads[k].state != FROZEN_STOPPED ||
			    !is_fit(c, f->threads[k].tid, wishes[i]))
				continue;
			c->tid = f->threads[k].tid;
			if (c->suspend_seccomp)
				tracing_suspend_seccomp(c->tid);
			return 0;
		}
	}
	return -EAGAIN;
}

int calls_finish(const struct calls *c)
{
	const struct freeze *f = &c->hold->freeze;
	bool any = false;

	for (size_t i = 0; i < f->nr; i++) {
		int r = 0;

		if (f->threads[i].state == FROZEN_STOPPED)
			r = remote_call_finish(f->threads[i].tid, c->mem, &c->places);
		if (r < 0)
			return r;
		any |= r;
	}
	return any ? -ESTALE : 0;
}

static int64_t run(struct calls *c, struct remote_call *call)
{
	int r;

	call->tid = c->tid;
	call->mem = c->mem;
	call->places = &c->places;
	call->maps = &c->maps;
	r = remote_call_run(call);
	free(call->original);
	return r < 0 ? r : call->result;
}

int64_t calls_make(struct calls *c, uint64_t nr, uint64_t a, uint64_t b, uint64_t d, uint64_t e,
		   uint64_t f, uint64_t g)
{
	struct remote_call call = {.nr = nr, .args = {a, b, d, e, f, g}};

	return run(c, &call);
}

int64_t calls_make_named(struct calls *c, uint64_t nr, const char *name, uint64_t b)
{
	struct remote_call call = {.nr = nr, .args = {0, b}, .name = name};

	return run(c, &call);
}
