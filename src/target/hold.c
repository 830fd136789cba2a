/* See hold.h. */
#include "target/hold.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "target/proc.h"
#include "target/registers.h"
#include "target/target_private.h"
#include "target/tracer.h"

/* Of a process whose first thread has ended, only the others' folders still show anything. */
static int open_any_thread(int dir)
{
	size_t nr;
	int32_t *tids;
	int found = -ESRCH, r = proc_list_numbers(dir, "task", &tids, &nr);

	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	for (size_t i = 0; i < nr && found < 0; i++) {
		char state = freeze_thread_state(dir, tids[i]), path[32];

		if (!state || strchr("ZXx", state))
			continue;
		snprintf(path, sizeof(path), "task/%d", tids[i]);
		found = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (found < 0)
			found = -errno;
	}
	free(tids);
	return found;
}

int hold_init(struct hold *h, struct target *t, struct error *e)
{
	int32_t pid = t->process.pid;
	int dir = proc_open(pid), r;

	*h = (struct hold){.target = t, .freeze = {.dir = -1}, .dir = -1};
	if (dir < 0)
		return process_explain(pid, dir, "memory", e);
	freeze_init(&h->freeze, pid, dir);
	r = process_check_at(dir, t->process.start_ticks);
	if (!r) {
		h->dir = open_any_thread(dir);
		r = h->dir < 0 ? h->dir : 0;
	}
	if (r < 0)
		return process_explain(pid, r, "memory", e);
	r = process_threads(pid, &h->names, &h->nr_names, e);
	if (r < 0)
		return r;
	r = tracer_start(&h->tracer);
	if (r < 0)
		return error_set(e, r, EXIT_TARGET, "cannot start a thread: %s", error_strerror(r));
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

/* "nr arguments… sp pc" of a thread that sleeps in the kernel; "running" otherwise. */
static void read_sleeping(const struct hold *h, int32_t tid, struct target_thread *thread)
{
	struct str text = STR_INIT;
	unsigned long long sp, pc;
	char path[48];

	snprintf(path, sizeof(path), "task/%d/syscall", tid);
	if (!proc_read_file(h->freeze.dir, path, &text) &&
	    (sscanf(text.data, "%*d %*x %*x %*x %*x %*x %*x %llx %llx", &sp, &pc) == 2 ||
	     sscanf(text.data, "-1 %llx %llx", &sp, &pc) == 2)) {
		thread->sp = sp;
		thread->pc = pc;
	}
	str_release(&text);
}

int hold_stop(struct hold *h)
{
	struct freeze *f = &h->freeze;
	int r = freeze_stop(f);

	if (r < 0)
		return r;
	for (size_t i = 0; i < f->nr; i++) {
		struct frozen_thread *frozen = &f->threads[i];
		struct target_thread *thread;

		if (frozen->state == FROZEN_GONE)
			continue;
		thread = target_add_thread(h->target, frozen->tid, name_of(h, frozen->tid));
		if (frozen->state == FROZEN_KERNEL) {
			read_sleeping(h, frozen->tid, thread);
			continue;
		}
		registers_read(frozen->tid, thread);
		frozen->interrupted = registers_interrupted(thread);
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
		char path[48];

		if (f->threads[i].state == FROZEN_GONE)
			continue;
		snprintf(path, sizeof(path), "task/%d", f->threads[i].tid);
		dir = openat(f->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			dir = -errno;
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
	return process_explain_trace(pid, err, e);
}
