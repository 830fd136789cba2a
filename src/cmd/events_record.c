/* See events_record.h. */
#include "cmd/events_record.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/end_signals.h"
#include "cmd/identity.h"
#include "target/drain.h"
#include "target/process.h"
#include "target/table.h"

#define QUEUE_MAX (2u << 20)   /* events that wait in memory, 80 MB */
#define FLUSH_NS 1000000000ull /* what is older than that is on its way to the disk */
#define NS_PER_MS 1000000ull
#define LOOK_NS 200000000ull /* how often the process is looked for */

struct events_record {
	struct table *table;
	struct drain *drain;
	struct eventfile_writer *file;
	struct wire_event
		*queue; /* [QUEUE_MAX], taken and not written yet: from first, nr of them */
	size_t first, nr;
	uint32_t nodes; /* written so far */
	size_t modules;
	uint64_t flushed_ns;
};

int events_record_check(const char *path)
{
	struct error e = {0};
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);

	if (fd < 0) {
		error_set(&e, -errno, EXIT_FILE, "cannot write '%s': %s", path,
			  error_strerror(errno));
		return cmd_fail(&e);
	}
	close(fd);
	return EXIT_DONE;
}

static void copy_text(char *to, size_t cap, const char *from)
{
	size_t len = from ? strnlen(from, cap - 1) : 0;

	memcpy(to, from ? from : "", len);
	to[len] = '\0';
}

static struct eventfile_info describe(const struct table *t, const struct process_info *who,
				      const struct events_record_options *o)
{
	uint64_t now_ns = clock_monotonic_ns(), began_ns = t->layout.began_monotonic_ns;
	struct eventfile_info info = {
		.pid = who->pid,
		.image = t->layout.image,
		.start_ticks = who->start_ticks,
		.began_monotonic_ns = began_ns,
		.began_realtime_ns =
			clock_realtime_ns() - (now_ns > began_ns ? now_ns - began_ns : 0),
		.window_ms = o->window_ns / NS_PER_MS,
	};

	copy_text(info.boot_id, sizeof(info.boot_id), who->boot_id);
	copy_text(info.name, sizeof(info.name), process_name(who));
	copy_text(info.exe, sizeof(info.exe), who->exe);
	return info;
}

int events_record_open(struct table *t, const struct process_info *who,
		       const struct events_record_options *o, struct events_record **ret,
		       struct error *e)
{
	struct eventfile_info info = describe(t, who, o);
	struct events_record *r = mem_alloc(sizeof(*r));
	int err;

	r->table = t;
	r->queue = mem_alloc_array(QUEUE_MAX, sizeof(*r->queue));
	err = drain_open(t, o->from_start, &r->drain, e);
	if (err == 0)
		err = eventfile_create(o->path, &info, &r->file, e);
	if (err == 0)
		*ret = r;
	else
		events_record_free(r);
	return err;
}

void events_record_free(struct events_record *r)
{
	if (!r)
		return;
	drain_close(r->drain);
	eventfile_free(r->file);
	free(r->queue);
	free(r);
}

/* all: the nodes again that were written before, for an unload changes them. */
static int write_stacks(struct events_record *r, bool all, struct error *e)
{
	struct wire_module *modules = NULL;
	struct wire_node *nodes = NULL;
	uint32_t first = all ? 0 : r->nodes;
	size_t nr, nr_modules;
	int err = drain_nodes(r->drain, first, &nodes, &nr, e);

	if (err == 0 && nr)
		err = eventfile_nodes(r->file, first, nodes, nr, e);
	if (err == 0)
		r->nodes = first + (uint32_t)nr;
	if (err == 0)
		err = drain_modules(r->drain, &modules, &nr_modules, e);
	if (err == 0 && (all || nr_modules != r->modules))
		err = eventfile_modules(r->file, modules, nr_modules, e);
	if (err == 0)
		r->modules = nr_modules;
	free(nodes);
	free(modules);
	return err;
}

static int flush(struct events_record *r, struct error *e)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t age_ns = now_ns - r->table->layout.began_monotonic_ns;
	int err;

	if (now_ns - r->flushed_ns < FLUSH_NS)
		return 0;
	r->flushed_ns = now_ns;
	/* Nodes first: whoever reads a file cut short has the stacks of what is in it. */
	err = write_stacks(r, false, e);
	return err < 0 ? err : eventfile_flush(r->file, age_ns / NS_PER_MS, e);
}

/* Into memory: that is quick, and makes room in the rings. */
static void take(struct events_record *r, bool all)
{
	if (!r->nr)
		r->first = 0;
	r->nr += drain_take(r->drain, r->queue + r->first + r->nr, QUEUE_MAX - r->first - r->nr,
			    all);
}

/* At most a chunk of what waits: compressing it takes milliseconds, while rings fill again. */
static int write_some(struct events_record *r, struct error *e)
{
	size_t nr = r->nr < EVENTFILE_CHUNK_ROWS ? r->nr : EVENTFILE_CHUNK_ROWS;
	int err = eventfile_add(r->file, r->queue + r->first, nr, e);

	r->first += nr;
	r->nr -= nr;
	return err;
}

int events_record_step(struct events_record *r, struct error *e)
{
	int err;

	take(r, false);
	err = write_some(r, e);
	return err < 0 ? err : flush(r, e);
}

int events_record_stay(struct events_record *r, const struct process_info *who,
		       uint64_t deadline_ns, struct error *e)
{
	const struct timespec pause = {.tv_nsec = DRAIN_NS};
	uint64_t looked_ns = clock_monotonic_ns(), now_ns;
	sigset_t ends;
	int err;

	end_signals(&ends);
	while ((err = events_record_step(r, e)) == 0 && sigtimedwait(&ends, NULL, &pause) < 0) {
		now_ns = clock_monotonic_ns();
		if (deadline_ns && now_ns >= deadline_ns)
			break;
		if (now_ns - looked_ns < LOOK_NS)
			continue;
		looked_ns = now_ns;
		if (process_check(who->pid, who->start_ticks) < 0) {
			cmd_note("%s (%d) has ended", process_name(who), who->pid);
			break;
		}
	}
	return err;
}

void events_record_say(const char *path, const struct eventfile_info *info, int32_t pid, bool quiet)
{
	char who[32] = "";

	if (quiet && !info->lost)
		return;
	if (pid)
		snprintf(who, sizeof(who), "process %d: ", pid);
	cmd_note("%s%s events in %s%s%s; next: seep events %s", who,
		 format_count(info->events - info->gone).text, path,
		 info->lost ? ", and lost " : "", info->lost ? format_count(info->lost).text : "",
		 path);
}

int events_record_finish(struct events_record *r, struct eventfile_info *ret, struct error *e)
{
	struct eventfile_info info = {0};
	int err = 0;

	do {
		take(r, true);
		err = write_some(r, e);
	} while (err == 0 && r->nr);
	if (err == 0)
		err = write_stacks(r, true, e);
	info.lost = drain_lost(r->drain);
	if (err == 0)
		err = eventfile_finish(r->file, &info, e);
	if (err == 0)
		*ret = info;
	return err;
}
