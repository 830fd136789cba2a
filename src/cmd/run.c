/* seep run: starts a program under the recorder, and may keep a snapshot of how it ended. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/events_record.h"
#include "cmd/mode_option.h"
#include "cmd/run_events.h"
#include "cmd/run_leaks.h"
#include "cmd/take.h"
#include "file/seepfile.h"
#include "inject/attach.h"
#include "model/snapshot.h"
#include "target/launch.h"
#include "target/recorder_path.h"

struct run {
	struct launch_options launch;
	struct take_options take;
	struct run_leaks leaks;
	struct run_events events;
	const char *at_exit;  /* NULL: no snapshot */
	const char *recorder; /* as given; NULL: the usual places */
	const char *mode;     /* NULL: lite */
	bool check;
	bool quiet;
	int status; /* what went wrong on our side, EXIT_DONE: nothing */
};

static const char *const usage[] = {"[OPTION...] [--] COMMAND [ARGUMENT...]", NULL};
static const char *const examples[] = {
	"seep run -- ./server --port 8080",
	"run it, recording; look at it with 'seep snap' from another terminal",
	"seep run --at-exit end.seep -- ./tool input.txt",
	"what it still held when it ended, however it ended",
	"seep run --follow --at-exit end.seep -- make test",
	"the programs that make starts too: end.seep, end.seep.PID …",
	"seep run --leaks --exit-code -- ./test",
	"what it has lost when it ends, with the lines of code that made it",
	NULL,
};

#define LEAKS_AT 8 /* in the table, where options of --leaks go */

static int read_options(struct run *r, int argc, char **argv, int *ret_first)
{
	struct opt leaks[RUN_LEAKS_OPTIONS];
	struct opt table[] = {
		{OPT_GROUP, 0, "Recording", NULL, NULL, NULL},
		{OPT_FLAG, 'f', "follow", NULL,
		 "record the processes that the program starts too, and wait for them",
		 &r->launch.follow},
		{OPT_TEXT, 'm', "mode", "MODE",
		 "lite: every live block; sample=BYTES: one for every so many bytes allocated, "
		 "for production; full: with --events; off: nothing yet (default: lite; seep mode "
		 "changes it later)",
		 &r->mode},
		{OPT_GROUP, 0, "Output", NULL, NULL, NULL},
		{OPT_TEXT, 0, "at-exit", "FILE",
		 "write a snapshot to FILE when the program has ended; to FILE.PID for its "
		 "children",
		 &r->at_exit},
		{OPT_TEXT, 0, "events", "FILE",
		 "write every allocation and free, as it happens, to FILE; to FILE.PID for its "
		 "children; seep events reads them",
		 &r->events.path},
		{OPT_DURATION, 0, "window", "TIME", "with --events: keep only the last TIME (5m)",
		 &r->events.window_ns},
		{OPT_FLAG, 'q', "quiet", NULL, "say nothing about how it ended", &r->quiet},
		{0},
		{0},
		{0},
		{0},
		{0},
		{0},
		{0},
		{0},
		{0},
		{0},
		{0},
		{0},
		{0},
		{OPT_GROUP, 0, "Symbols", NULL, NULL, NULL},
		{OPT_TEXT, 0, "symbols", "PATHS",
		 "look for symbols in these files and folders first, separated by colons",
		 &r->take.symbols},
		{OPT_FLAG, 0, "no-symbols", NULL, "do not look names up now; diff and report will",
		 &r->take.no_symbols},
		{OPT_GROUP, 0, "For seep's own tests", NULL, NULL, NULL},
		{OPT_TEXT, 0, "recorder", "PATH",
		 "the recorder's library (default: $" RECORDER_VARIABLE
		 ", then the one installed with seep)",
		 &r->recorder},
		{OPT_FLAG, 0, "check", NULL,
		 "use the recorder that compares every stack with another unwinder's", &r->check},
		{OPT_END, 0, NULL, NULL, NULL, NULL},
	};
	const struct cmd_spec spec = {
		.name = "run",
		.usage = usage,
		.purpose = "Starts a program with the recorder in it. The exit status is the "
			   "program's own, 128 + N when signal N ended it.",
		.found = "a leak is left (with --leaks --exit-code)",
		.options = table,
		.examples = examples,
		.stop_at_operand = true,
		.operands_min = 1,
		.operands_max = SIZE_MAX,
		.operands = "a command",
	};

	run_leaks_table(&r->leaks, leaks);
	memcpy(&table[LEAKS_AT], leaks, sizeof(leaks));
	return cmd_options(&spec, argc, argv, ret_first);
}

/* ---- when a process has ended ---- */

static void fail(struct run *r, const struct error *e)
{
	r->status = cmd_fail(e);
}

static char *how_it_ended(const struct launched *p)
{
	int status = p->wait_status;

	if (!p->ended)
		return mem_strdup("still runs");
	if (p->is_first && WIFSIGNALED(status))
		return mem_printf("was ended by signal %d (%s)", WTERMSIG(status),
				  strsignal(WTERMSIG(status)));
	if (p->is_first && WEXITSTATUS(status))
		return mem_printf("ended with status %d", WEXITSTATUS(status));
	return mem_strdup("ended");
}

static void say_written(const struct launched *p, const struct snapshot *s, const char *path)
{
	struct str quoted = STR_INIT;
	char *how = how_it_ended(p);

	text_quote(&quoted, path);
	cmd_note("%s (%d) %s: %s blocks, %s live; snapshot in %s; next: seep report %s",
		 process_name(&p->info), p->pid, how, format_count(s->totals.live_blocks).text,
		 format_bytes(s->totals.live_bytes).text, path, quoted.data);
	str_release(&quoted);
	free(how);
}

static void write_snapshot(struct run *r, const struct launched *p)
{
	char *path = p->is_first ? mem_strdup(r->at_exit) : mem_printf("%s.%d", r->at_exit, p->pid);
	struct take_options take = r->take;
	struct progress progress;
	struct snapshot s;
	struct error e = {0};
	int err;

	progress_start(&progress, STDERR_FILENO, "looking up names", 0);
	take.progress = &progress;
	take.no_symbols |= !p->is_first; /* other children may be waiting for a table */
	err = take_from_fd(p->table.fd, &p->info, p->ended, &take, &s, &e);
	progress_end(&progress);
	if (err == 0) {
		err = seepfile_write(&s, path, &e);
		if (err == 0 && !r->quiet)
			say_written(p, &s, path);
		snapshot_release(&s);
	}
	if (err < 0)
		fail(r, &e);
	free(path);
}

static void say_ended(const struct launched *p)
{
	char *how = how_it_ended(p);

	cmd_note("%s (%d) %s; no snapshot was asked for (--at-exit FILE)", process_name(&p->info),
		 p->pid, how);
	free(how);
}

/* A promised snapshot that cannot be had is our failure; without the promise it is a remark. */
static void nothing_recorded(struct run *r)
{
	if ((r->at_exit || r->leaks.wanted) && r->status == EXIT_DONE)
		r->status = EXIT_TARGET;
}

static void ended(const struct launched *p, void *context)
{
	struct run *r = context;
	struct launch_table_status status;

	launch_table_status(&p->table, &status);
	run_events_ended(&r->events, p);
	if (status.state == WIRE_STATE_RECORDING)
		run_leaks_ended(&r->leaks, p);
	if (status.state == WIRE_STATE_RECORDING && r->at_exit) {
		write_snapshot(r, p);
	} else if (status.state == WIRE_STATE_RECORDING) {
		if (!r->quiet && !r->leaks.wanted && !r->events.path)
			say_ended(p);
	} else if (status.state == WIRE_STATE_NONE) {
		cmd_warn("%s (%d) was not recorded: the recorder never started in it",
			 process_name(&p->info), p->pid);
		cmd_hint("it ended too early, or its loader was kept from preloading (LD_PRELOAD)");
		nothing_recorded(r);
	}
}

/* Told at once and not at the end: nobody should wait for an hour to learn it. */
static void failed(const struct launched *p, void *context)
{
	struct run *r = context;
	struct launch_table_status status;

	launch_table_status(&p->table, &status);
	if (status.state == WIRE_STATE_FAILED) {
		cmd_warn("%s (%d) is not recorded: %s", process_name(&p->info), p->pid,
			 status.error);
	} else {
		cmd_warn("%s (%d) is not recorded: it has a malloc of its own",
			 process_name(&p->info), p->pid);
		cmd_hint("the recorder sees programs that take malloc from a library");
	}
	nothing_recorded(r);
}

static void drain(const struct launched *p, void *context)
{
	struct run *r = context;

	run_events_drain(&r->events, p);
}

static void at_exit(const struct launched *p, enum launch_exit where, void *context)
{
	struct run *r = context;

	run_leaks_look(&r->leaks, p, where);
}

/* ---- the whole of it ---- */

/* That the snapshot cannot be written must not turn out after hours. */
static int check_output(const char *path)
{
	struct replace out;
	struct error e = {0};

	if (!strcmp(path, "-"))
		return cmd_usage_error("run", "--at-exit: standard output is the program's");
	if (replace_open(&out, path, &e) < 0)
		return cmd_fail(&e);
	replace_close(&out);
	return CMD_GO_ON;
}

/* The same; this file is written as it comes, so it has to be one. */
static int check_events(const char *path)
{
	if (!strcmp(path, "-"))
		return cmd_usage_error("run", "--events: standard output is the program's");
	return events_record_check(path);
}

/*
 * The ends of pipes are the program's from now on: who waits at the other side waits for it alone.
 * What we have to say of leaks goes where our other remarks go.
 */
static void leave_standard_streams(bool results)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup3(null, STDIN_FILENO, O_CLOEXEC);
	dup3(results ? STDERR_FILENO : null, STDOUT_FILENO, O_CLOEXEC);
	close(null);
}

static int exit_status_of(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static int run(struct run *r)
{
	const struct launch_events events = {
		.ended = ended, .failed = failed, .at_exit = at_exit, .drain = drain, .context = r};
	struct launch *l;
	struct error e = {0};
	int wait_status, err;

	if (launch_start(&r->launch, &l, &e) < 0)
		return cmd_fail(&e);
	leave_standard_streams(r->leaks.wanted);
	err = launch_wait(l, &events, &wait_status, &e);
	launch_free(l);
	if (err < 0)
		return cmd_fail(&e);
	if (r->leaks.found)
		return EXIT_FOUND;
	if (exit_status_of(wait_status))
		return exit_status_of(wait_status);
	if (r->status == EXIT_DONE && r->events.status != EXIT_DONE)
		return r->events.status;
	return r->status == EXIT_DONE ? r->leaks.status : r->status;
}

int cmd_run(int argc, char **argv)
{
	struct run r = {.status = EXIT_DONE};
	struct error e = {0};
	char *recorder;
	int first, status;

	run_leaks_init(&r.leaks);
	status = read_options(&r, argc, argv, &first);
	if (status == CMD_GO_ON)
		status = run_leaks_prepare(&r.leaks);
	if (status == CMD_GO_ON && r.at_exit)
		status = check_output(r.at_exit);
	if (status != CMD_GO_ON)
		return status;
	status = mode_option("run", r.mode, true, &r.launch.mode);
	if (status == EXIT_DONE)
		status = run_events_prepare(&r.events, r.mode, &r.launch.mode);
	if (status == EXIT_DONE && r.events.path)
		status = check_events(r.events.path);
	if (status != EXIT_DONE)
		return status;
	r.events.quiet = r.quiet;
	if (recorder_path(r.recorder, r.check, &recorder, &e) < 0)
		return cmd_fail(&e);
	r.launch.argv = argv + first;
	r.launch.recorder = recorder;
	r.launch.into_static = attach_at_start;
	r.launch.exits = run_leaks_exits(&r.leaks);
	r.leaks.options.look.symbols = r.take.symbols;
	r.leaks.options.look.no_symbols = r.take.no_symbols;
	status = run(&r);
	run_leaks_release(&r.leaks);
	run_events_release(&r.events);
	free(recorder);
	return status;
}
