/* See run_events.h. */
#include "cmd/run_events.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/mem.h"
#include "cmd/cmd.h"
#include "cmd/events_record.h"
#include "target/launch.h"
#include "target/table.h"

/* Of one image of one process. */
struct run_event_file {
	int32_t pid;
	uint32_t image;
	char *path;
	struct table table;	      /* its header NULL: it could not be opened */
	struct events_record *record; /* NULL: it failed, and that was told */
};

int run_events_prepare(const struct run_events *r, const char *mode_text, struct mode *mode)
{
	if (r->window_ns && !r->path)
		return cmd_usage_error("run", "--window goes with --events");
	if (!r->path && mode->kind == WIRE_MODE_FULL)
		return cmd_usage_error("run", "--mode=full needs --events: where to?");
	if (r->path && mode_text && mode->kind != WIRE_MODE_FULL)
		return cmd_usage_error("run", "--events is mode full");
	if (r->path)
		*mode = (struct mode){WIRE_MODE_FULL, 0};
	return EXIT_DONE;
}

static struct run_event_file *find(struct run_events *r, int32_t pid)
{
	for (size_t i = 0; i < r->nr; i++)
		if (r->files[i]->pid == pid)
			return r->files[i];
	return NULL;
}

static void drop(struct run_events *r, struct run_event_file *f)
{
	size_t i = 0;

	while (r->files[i] != f)
		i++;
	r->files[i] = r->files[--r->nr];
	events_record_free(f->record);
	table_close(&f->table);
	free(f->path);
	free(f);
}

/* The program goes on; only its events are not written any more. */
static void give_up(struct run_events *r, struct run_event_file *f, const struct error *e)
{
	int settled;

	r->status = cmd_fail(e);
	events_record_free(f->record);
	f->record = NULL;
	mode_change(&f->table, (struct mode){WIRE_MODE_LITE, 0}, &settled, NULL);
}

static void finish(struct run_events *r, struct run_event_file *f)
{
	struct eventfile_info info;
	struct error e = {0};

	if (f->record && events_record_finish(f->record, &info, &e) < 0)
		give_up(r, f, &e);
	else if (f->record)
		events_record_say(f->path, &info, f->pid, r->quiet);
	drop(r, f);
}

static void begin(struct run_events *r, const struct launched *p)
{
	struct run_event_file *f = mem_alloc(sizeof(*f));
	struct events_record_options o = {.window_ns = r->window_ns, .from_start = true};
	struct error e = {0};

	f->pid = p->pid;
	f->image = p->image;
	f->path = p->is_first ? mem_strdup(r->path) : mem_printf("%s.%d", r->path, p->pid);
	o.path = f->path;
	ARRAY_PUSH(r->files, r->nr, r->cap, f);
	if (table_open_fd(p->table.fd, &f->table, &e) < 0) {
		r->status = cmd_fail(&e);
		return;
	}
	f->table.pid = p->pid;
	if (events_record_open(&f->table, &p->info, &o, &f->record, &e) < 0)
		give_up(r, f, &e);
}

static bool is_recording(const struct launched *p)
{
	struct launch_table_status status;

	launch_table_status(&p->table, &status);
	return status.state == WIRE_STATE_RECORDING;
}

/* When it becomes another program, the file begins anew, as the recording does. */
void run_events_drain(struct run_events *r, const struct launched *p)
{
	struct run_event_file *f = find(r, p->pid);
	struct error e = {0};

	if (f && f->image != p->image) {
		finish(r, f);
		f = NULL;
	}
	if (!f && is_recording(p)) {
		begin(r, p);
		f = find(r, p->pid);
	}
	if (f && f->record && events_record_step(f->record, &e) < 0)
		give_up(r, f, &e);
}

void run_events_ended(struct run_events *r, const struct launched *p)
{
	struct run_event_file *f;

	if (!r->path)
		return;
	run_events_drain(r, p); /* it may have ended before we ever came by */
	f = find(r, p->pid);
	if (f)
		finish(r, f);
}

void run_events_release(struct run_events *r)
{
	while (r->nr)
		drop(r, r->files[0]);
	free(r->files);
	r->files = NULL;
}
