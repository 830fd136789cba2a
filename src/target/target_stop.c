/*
 * A process that stands still while it is read: consistent without any help of its own, but for as
 * long as the reading takes.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "target/hazards.h"
#include "target/hold.h"
#include "target/patches.h"
#include "target/target_private.h"
#include "target/tracer.h"

struct stopped {
	struct hold hold;
	struct procmem mem;
	struct patches patches; /* of a userfaultfd: what is absent must not be touched */
	bool thawed;
};

static size_t stopped_read(struct target *t, uint64_t addr, void *buffer, size_t len)
{
	struct stopped *s = t->state;

	return patches_read(&s->patches, &s->mem, addr, buffer, len);
}

static int stopped_residency(struct target *t, uint64_t start, uint64_t end,
			     struct target_residency *ret)
{
	struct stopped *s = t->state;

	return procmem_residency(&s->mem, start, end, ret);
}

static int stopped_next_used(struct target *t, uint64_t from, uint64_t end, uint64_t *ret_start,
			     uint64_t *ret_end)
{
	struct stopped *s = t->state;
	struct procmem_run run;
	int err = patches_next_used(&s->patches, &s->mem, from, end, &run);

	if (err == 0) {
		*ret_start = run.start;
		*ret_end = run.end;
	}
	return err;
}

static int stop_job(void *context)
{
	struct stopped *s = context;
	struct target *t = s->hold.target;
	int dir, r = hold_stop(&s->hold);

	if (r < 0)
		return r;
	dir = hold_open_thread(&s->hold);
	r = dir;
	if (dir >= 0) {
		r = target_read_maps(t, dir);
		if (!r)
			r = procmem_open(&s->mem, dir);
		close(dir);
	}
	if (r < 0)
		hold_go(&s->hold);
	return r;
}

static int go_job(void *context)
{
	struct stopped *s = context;

	hold_go(&s->hold);
	return 0;
}

static void stopped_thaw(struct target *t)
{
	struct stopped *s = t->state;

	if (s->thawed)
		return;
	s->thawed = true;
	s->mem.frozen = false;
	tracer_call(s->hold.tracer, go_job, s);
	tracer_end(s->hold.tracer);
	s->hold.tracer = NULL;
}

static void stopped_release(struct stopped *s)
{
	hold_release(&s->hold);
	procmem_close(&s->mem);
	patches_release(&s->patches);
	free(s);
}

static void stopped_close(struct target *t)
{
	stopped_release(t->state);
}

static const struct target_ops stopped_ops = {
	.read = stopped_read,
	.residency = stopped_residency,
	.next_used = stopped_next_used,
	.thaw = stopped_thaw,
	.close = stopped_close,
};

static int prepare(struct stopped *s, struct target *t, struct error *e)
{
	struct hazards hazards;
	int r = hold_init(&s->hold, t, e);

	if (r < 0)
		return r;
	hazards_check(s->hold.dir, &t->process, &t->maps, &hazards);
	if (hazards.userfault)
		r = hazards_find_ranges(s->hold.dir, false, &s->patches);
	return r < 0 ? process_explain(t->process.pid, r, "memory", e) : 0;
}

int target_stop_attach(struct target *t, struct error *e)
{
	struct stopped *s = mem_alloc(sizeof(*s));
	int r;

	s->mem = (struct procmem){.mem = -1, .pagemap = -1};
	r = prepare(s, t, e);
	if (!r) {
		r = tracer_call(s->hold.tracer, stop_job, s);
		if (r < 0)
			hold_explain(&s->hold, r, e);
	}
	if (r < 0) {
		stopped_release(s);
		return r;
	}
	s->mem.maps = &t->maps;
	s->mem.frozen = true;
	t->state = s;
	t->ops = &stopped_ops;
	t->how.kind = TARGET_STOPPED;
	t->how.consistent = !s->hold.shared;
	t->how.pause_ns = freeze_pause_ns(&s->hold.freeze);
	return 0;
}
