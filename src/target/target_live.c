/* A live process, read as it changes. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "target/proc.h"
#include "target/target_private.h"

static size_t live_read(struct target *t, uint64_t addr, void *buffer, size_t len)
{
	return procmem_read(t->state, addr, buffer, len);
}

static int live_residency(struct target *t, uint64_t start, uint64_t end,
			  struct target_residency *ret)
{
	return procmem_residency(t->state, start, end, ret);
}

static int live_next_used(struct target *t, uint64_t from, uint64_t end, uint64_t *ret_start,
			  uint64_t *ret_end)
{
	struct procmem_run run;
	int err = procmem_next_used(t->state, from, end, &run);

	if (err == 0) {
		*ret_start = run.start;
		*ret_end = run.end;
	}
	return err;
}

static void live_close(struct target *t)
{
	procmem_close(t->state);
	free(t->state);
}

static const struct target_ops live_ops = {
	.read = live_read,
	.residency = live_residency,
	.next_used = live_next_used,
	.close = live_close,
};

static void add_threads(struct target *t)
{
	struct process_thread *threads;
	size_t nr;

	if (process_threads(t->process.pid, &threads, &nr, NULL) < 0)
		return;
	for (size_t i = 0; i < nr; i++)
		target_add_thread(t, threads[i].tid, threads[i].name);
	free(threads);
}

int target_live_attach(struct target *t, struct error *e)
{
	struct procmem *m;
	int dir = proc_open(t->process.pid), err;

	if (dir < 0)
		return process_explain(t->process.pid, dir, "memory", e);
	m = mem_alloc(sizeof(*m));
	err = process_check_at(dir, t->process.start_ticks);
	if (!err)
		err = target_read_maps(t, dir);
	if (!err)
		err = procmem_open(m, dir);
	close(dir);
	if (err < 0) {
		procmem_close(m);
		free(m);
		return process_explain(t->process.pid, err, "memory", e);
	}
	m->maps = &t->maps;
	t->state = m;
	t->ops = &live_ops;
	t->how.kind = TARGET_LIVE;
	t->how.consistent = false;
	add_threads(t);
	return 0;
}
