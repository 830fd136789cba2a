/* seep attach: the recorder switched on in a process that runs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/str.h"
#include "base/units.h"
#include "cmd/attach_dry.h"
#include "cmd/attach_events.h"
#include "cmd/cmd.h"
#include "cmd/end_signals.h"
#include "cmd/events_record.h"
#include "cmd/mode_option.h"
#include "format/json_writer.h"
#include "inject/attach.h"
#include "inject/detach.h"
#include "inject/pairs.h"
#include "inject/preflight.h"
#include "target/mode.h"
#include "target/process.h"
#include "target/target.h"

enum { TEXT, JSON };

struct attach_command {
	uint64_t for_ns; /* 0: until somebody detaches */
	const char *mode_text;
	struct mode mode;
	const char *output; /* mode full: the file of events */
	uint64_t window_ns;
	int format;
	bool dry, quiet;
	struct opt_list pair_texts;
	bool descriptors;
	struct pairs pairs;
	int pid;
};

static const char *const usage[] = {"[OPTION...] TARGET", NULL};
static const char *const examples[] = {
	"seep attach redis-server",
	"from now on it is recorded who allocates what",
	"seep attach redis-server --for 5m",
	"for five minutes; then it is as it was",
	"seep attach redis-server --dry-run",
	"what would be done",
	"seep attach redis-server --mode full -o events --for 1m",
	"every event of a minute to a file",
	"seep attach redis-server --fds",
	"who opens file descriptors, too",
	NULL,
};

static int read_options(struct attach_command *c, int argc, char **argv, int *ret_first)
{
	const struct opt table[] = {
		{OPT_GROUP, 0, "Recording", NULL, NULL, NULL},
		{OPT_DURATION, 0, "for", "TIME",
		 "record for so long (10s, 5m), then detach; Ctrl-C ends it at once", &c->for_ns},
		{OPT_TEXT, 'm', "mode", "MODE",
		 "how much is recorded: lite, sample=BYTES, off, or full, every event, with -o "
		 "(default lite: all)",
		 &c->mode_text},
		{OPT_DURATION, 0, "window", "TIME", "full: keep only the events of the last TIME",
		 &c->window_ns},
		{OPT_LIST, 0, "pair", "PAIR",
		 "record what functions acquire and release, e.g. open=sqlite3_open:close="
		 "sqlite3_close; may be given again",
		 &c->pair_texts},
		{OPT_FLAG, 0, "fds", NULL, "record who opens file descriptors, and who closes them",
		 &c->descriptors},
		{OPT_GROUP, 0, "Output", NULL, NULL, NULL},
		{OPT_TEXT, 'o', "output", "FILE",
		 "full: the file of events, until --for is over or Ctrl-C; then detach",
		 &c->output},
		{OPT_FLAG, 'n', "dry-run", NULL, "change and stop nothing: show what would be done",
		 &c->dry},
		{OPT_CHOICE, 0, "format", "text|json", "how it is told what was done", &c->format},
		{OPT_FLAG, 'q', "quiet", NULL, "do not say what was done", &c->quiet},
		{OPT_END, 0, NULL, NULL, NULL, NULL},
	};
	const struct cmd_spec spec = {
		.name = "attach",
		.usage = usage,
		.purpose = "Switches the recorder on in a running process, without a restart. seep "
			   "detach takes it out again.",
		.options = table,
		.examples = examples,
		.operands_min = 1,
		.operands_max = 1,
		.operands = "a process",
	};

	return cmd_options(&spec, argc, argv, ret_first);
}

/* What leads to functions that are seen in part, and is not changed. */
static struct slots_of slots_left(const struct slots *s, size_t nr)
{
	struct slots_of all = {0};

	for (size_t i = 0; s->of && i < nr; i++) {
		all.pointers_nr += s->of[i].pointers_nr;
		all.unbound_nr += s->of[i].unbound_nr;
	}
	return all;
}

static int say_json(const struct attach_command *c, const struct attach *a)
{
	struct slots_of of = slots_left(&a->slots, a->entries->nr);
	struct str out = STR_INIT;
	struct json j;
	int status;

	json_init(&j, &out);
	json_open(&j, NULL, '{');
	json_text(&j, "schema", "seep-attach-1");
	json_count(&j, "pid", (uint64_t)c->pid);
	json_text(&j, "name", process_name(target_process(a->target)));
	json_text(&j, "allocator", a->entries->allocator);
	json_count(&j, "threads", a->threads_nr);
	json_count(&j, "functions", a->plan.nr_entries);
	json_count(&j, "functions_by_slots", plan_partial_nr(&a->plan));
	json_count(&j, "slots", a->plan.nr_slots);
	json_count(&j, "pointers_left", of.pointers_nr);
	json_count(&j, "slots_left", of.unbound_nr);
	json_count(&j, "functions_left_out", a->plan.nr_skipped);
	json_count(&j, "pause_ns", a->pause_ns);
	json_close(&j, '}');
	str_add_char(&out, '\n');
	status = cmd_print(out.data, out.len);
	str_release(&out);
	return status;
}

/* The functions that were found and could not be had, or in part: what is not seen. */
static void warn_left_out(const struct attach *a)
{
	const struct preflight *p = a->preflight;

	for (size_t i = 0; i < p->nr_notes; i++)
		if (p->notes[i].code == PREFLIGHT_SLOTS || p->notes[i].code == PREFLIGHT_GO)
			cmd_warn("%s", p->notes[i].text);
	for (size_t i = 0; i < a->plan.nr_skipped; i++)
		cmd_warn("%s is not recorded: %s", a->plan.skipped[i].entry->name,
			 a->plan.skipped[i].why);
}

static int say(const struct attach *a, void *context)
{
	const struct attach_command *c = context;

	if (c->format == JSON)
		return say_json(c, a);
	warn_left_out(a);
	if (!c->quiet)
		cmd_note("%s (%d): recording since now; %zu functions of %s, %zu thread%s; it "
			 "stood still for %s",
			 process_name(target_process(a->target)), c->pid, a->plan.nr_entries,
			 a->entries->allocator, a->threads_nr, a->threads_nr == 1 ? "" : "s",
			 format_duration(a->pause_ns).text);
	return EXIT_DONE;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* Until the time is over, a signal comes, or the process ends: false. */
static bool wait_for_end(const struct attach_command *c, uint64_t start_ticks)
{
	const uint64_t nap_ns = 100000000;
	uint64_t deadline = now_ns() + c->for_ns, now;

	while (!end_signal && (now = now_ns()) < deadline) {
		uint64_t left = deadline - now;

		nanosleep(&(struct timespec){.tv_nsec = (long)(left < nap_ns ? left : nap_ns)},
			  NULL);
		if (process_check(c->pid, start_ticks) < 0)
			return false;
	}
	return true;
}

static int record_for_a_while(const struct attach_command *c, const struct attach *a)
{
	struct detach d = {0};
	struct error e;
	int r;

	if (!wait_for_end(c, target_process(a->target)->start_ticks)) {
		if (!c->quiet)
			cmd_note("process %d has ended", c->pid);
		return EXIT_DONE;
	}
	r = detach_run(a->target, a->preflight->suspend_seccomp, &d, &e);
	if (r < 0)
		return process_check(c->pid, target_process(a->target)->start_ticks) < 0
			       ? EXIT_DONE
			       : cmd_fail(&e);
	if (!c->quiet)
		cmd_note("%s (%d): no longer recorded; it stood still for %s",
			 process_name(target_process(a->target)), c->pid,
			 format_duration(d.pause_ns).text);
	return EXIT_DONE;
}

static int attach_planned(struct attach_command *c, struct attach *a)
{
	const struct attach_events events = {
		.path = c->output,
		.window_ns = c->window_ns,
		.for_ns = c->for_ns,
		.quiet = c->quiet,
		.attached = say,
		.context = c,
	};
	struct error e;
	int status;

	if (c->mode.kind == WIRE_MODE_FULL)
		return attach_events(&events, a);
	if (c->for_ns)
		end_signals_note(true);
	status = attach_run(a, &e) < 0 ? cmd_fail(&e) : say(a, c);
	if (!status && c->for_ns)
		status = record_for_a_while(c, a);
	return status;
}

static int attach_now(struct attach_command *c, const struct preflight *p)
{
	struct attach a = {0};
	struct error e;
	int status = EXIT_DONE;

	if (preflight_refuses(p, &e) || attach_plan(p, c->mode, &a, &e) < 0)
		return cmd_fail(&e);
	if (c->output)
		status = events_record_check(c->output);
	if (status == EXIT_DONE)
		status = attach_planned(c, &a);
	attach_release(&a);
	return status;
}

static int check_options(const struct attach_command *c)
{
	bool full = c->mode.kind == WIRE_MODE_FULL;

	if (full && (!c->output || !strcmp(c->output, "-")))
		return cmd_usage_error("attach", "--mode=full needs --output: where to?");
	if (!full && (c->output || c->window_ns))
		return cmd_usage_error("attach", "--output and --window go with --mode=full");
	return EXIT_DONE;
}

/* The states of a moment: a program that starts others all the time is caught between two. */
static bool may_pass(const struct preflight *p)
{
	return p->nr_refuse == 1 &&
	       (preflight_has(p, PREFLIGHT_VFORK) || preflight_has(p, PREFLIGHT_SHARED));
}

static void look(const struct attach_command *c, struct preflight *ret)
{
	const int tries = 50;
	const struct timespec nap = {.tv_nsec = 5000000};

	preflight(c->pid, &c->pairs, ret);
	for (int i = 1; i < tries && may_pass(ret); i++) {
		preflight_release(ret);
		nanosleep(&nap, NULL);
		preflight(c->pid, &c->pairs, ret);
	}
}

static int read_pairs(struct attach_command *c)
{
	struct error e;

	for (size_t i = 0; i < c->pair_texts.nr; i++)
		if (pairs_add(&c->pairs, c->pair_texts.items[i], &e) < 0)
			return cmd_fail(&e);
	if (c->descriptors && pairs_add_descriptors(&c->pairs, &e) < 0)
		return cmd_fail(&e);
	return EXIT_DONE;
}

static int run(struct attach_command *c, const char *target)
{
	struct preflight p;
	struct error e;
	int status = mode_option("attach", c->mode_text, true, &c->mode);

	if (status == EXIT_DONE)
		status = check_options(c);
	if (status == EXIT_DONE)
		status = read_pairs(c);
	if (status != EXIT_DONE)
		return status;
	if (process_find_one(target, &c->pid, &e) < 0)
		return cmd_fail(&e);
	look(c, &p);
	status = c->dry ? attach_dry_show(c->pid, &p) : attach_now(c, &p);
	preflight_release(&p);
	return status;
}

int cmd_attach(int argc, char **argv)
{
	struct attach_command c = {.mode_text = "lite", .pairs = PAIRS_INIT};
	int first, r = read_options(&c, argc, argv, &first);

	if (r == CMD_GO_ON)
		r = run(&c, argv[first]);
	pairs_release(&c.pairs);
	opt_list_release(&c.pair_texts);
	return r;
}
