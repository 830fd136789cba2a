/*
 * See attach_events.h. The rings are there from the first event on, and hold many milliseconds:
 * what happens before the file is open is not lost. The table stays ours when the recorder is taken
 * out.
 */
#include "cmd/attach_events.h"

#include <signal.h>
#include <stddef.h>

#include "base/error.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/end_signals.h"
#include "cmd/events_record.h"
#include "cmd/identity.h"
#include "inject/attach.h"
#include "inject/detach.h"
#include "inject/preflight.h"
#include "target/launch_table.h"
#include "target/process.h"
#include "target/table.h"
#include "target/target.h"

/* Also when the file cannot be written any more. */
static int take_out(const struct attach_events *o, const struct attach *a, struct error *e)
{
	const struct process_info *who = target_process(a->target);
	struct detach d = {0};
	int r;

	if (process_check(who->pid, who->start_ticks) < 0)
		return 0;
	r = detach_run(a->target, a->preflight->suspend_seccomp, &d, e);
	if (r < 0)
		return process_check(who->pid, who->start_ticks) < 0 ? 0 : r;
	if (!o->quiet)
		cmd_note("%s (%d): no longer recorded; it stood still for %s", process_name(who),
			 who->pid, format_duration(d.pause_ns).text);
	return 0;
}

static int write_events(const struct attach_events *o, struct attach *a, struct table *t)
{
	const struct events_record_options options = {
		.path = o->path, .window_ns = o->window_ns, .from_start = true};
	const struct process_info *who = target_process(a->target);
	uint64_t deadline_ns = o->for_ns ? clock_monotonic_ns() + o->for_ns : 0;
	struct eventfile_info info = {0};
	struct events_record *r = NULL;
	struct error e = {0}, late = {0};
	int err = events_record_open(t, who, &options, &r, &e), status = EXIT_DONE;

	if (err == 0)
		err = events_record_stay(r, who, deadline_ns, &e);
	if (take_out(o, a, &late) < 0)
		status = cmd_fail(&late);
	if (err == 0)
		err = events_record_finish(r, &info, &e);
	if (err < 0)
		status = cmd_fail(&e);
	else
		events_record_say(o->path, &info, 0, o->quiet);
	events_record_free(r);
	return status;
}

static int run(const struct attach_events *o, struct attach *a)
{
	struct launch_table table = LAUNCH_TABLE_INIT;
	struct table t;
	struct error e = {0};
	int status, r;

	a->table = &table;
	r = attach_run(a, &e);
	if (r < 0)
		return cmd_fail(&e);
	status = o->attached(a, o->context);
	r = table_open_fd(table.fd, &t, &e);
	if (r < 0) {
		status = cmd_fail(&e);
		take_out(o, a, &e);
	} else {
		r = write_events(o, a, &t);
		status = r ? r : status;
		table_close(&t);
	}
	launch_table_release(&table);
	return status;
}

int attach_events(const struct attach_events *o, struct attach *a)
{
	sigset_t ends, old;
	int status;

	end_signals(&ends);
	sigprocmask(SIG_BLOCK, &ends, &old);
	status = run(o, a);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return status;
}
