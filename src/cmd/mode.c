/* seep mode: how much is recorded of a process that runs, shown or changed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/end_signals.h"
#include "cmd/events_record.h"
#include "cmd/mode_option.h"
#include "cmd/show.h"
#include "model/sheet.h"
#include "target/process.h"
#include "target/table.h"

struct mode_command {
	int format;
	const char *output;
	uint64_t window_ns;
	bool quiet;
	struct process_info who;
	struct table table;
};

static const char *const usage[] = {"[OPTION...] TARGET [MODE]", NULL};
static const char *const examples[] = {
	"seep mode redis-server off",
	"record nothing from now on; what is known stays known",
	"seep mode redis-server sample=512K",
	"one block for every 512 KiB allocated: cheap enough for production",
	"seep mode redis-server lite",
	"every block again",
	"seep mode redis-server full -o events --window 5m",
	"every event to a file, until Ctrl-C; then as before",
	"seep mode redis-server",
	"what is recorded now, and what was since recording began",
	NULL,
};

static const struct sheet_column columns[] = {
	{"mode", "MODE", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"since_ns", "SINCE", CELL_COUNT, COLUMN_MACHINE, 0},
	{"for", "FOR", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"for_ns", "FOR", CELL_COUNT, COLUMN_MACHINE, 0},
	{"ago", "BEGAN", CELL_TEXT, COLUMN_ALWAYS, 0},
};

static int read_options(struct mode_command *m, int argc, char **argv, int *ret_first)
{
	const struct opt table[] = {
		{OPT_GROUP, 0, "How it is shown", NULL, NULL, NULL},
		{OPT_CHOICE, 0, "format", SHOW_FORMATS, "of the list of modes", &m->format},
		{OPT_TEXT, 'o', "output", "FILE",
		 "write the list to FILE; with the mode full, the events", &m->output},
		{OPT_DURATION, 0, "window", "TIME", "full: keep only the events of the last TIME",
		 &m->window_ns},
		{OPT_FLAG, 'q', "quiet", NULL, "do not say what was changed", &m->quiet},
		{OPT_END, 0, NULL, NULL, NULL, NULL},
	};
	const struct cmd_spec spec = {
		.name = "mode",
		.usage = usage,
		.purpose = "Shows or changes how much the recorder records of a running process. "
			   "MODE is lite, off, sample=BYTES or full.",
		.options = table,
		.examples = examples,
		.operands_min = 1,
		.operands_max = 2,
		.operands = "a recorded process",
	};

	return cmd_options(&spec, argc, argv, ret_first);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

int mode_option(const char *command, const char *text, bool stays, struct mode *ret)
{
	struct error e = {0};

	*ret = (struct mode){WIRE_MODE_LITE, 0};
	if (text && mode_parse(text, ret, &e) < 0) {
		cmd_note("%s: --mode: %s", command, e.message);
		cmd_hint("%s", e.hint);
		return EXIT_USAGE;
	}
	if (ret->kind != WIRE_MODE_FULL || stays)
		return EXIT_DONE;
	cmd_note("%s: --mode: nobody would be there to write the events", command);
	cmd_hint("'seep mode TARGET full -o FILE' does it while the program runs");
	return EXIT_USAGE;
}

/* ---- showing ---- */

static void add_row(struct sheet *s, const struct wire_mode_change *c, uint64_t until, uint64_t now)
{
	const struct mode m = {(enum wire_mode)c->mode, c->bits};
	uint64_t for_ns = until > c->since_ns ? until - c->since_ns : 0;
	char ago[UNIT_TEXT + 8];

	sheet_text(s, mode_text(m).text);
	sheet_number(s, c->since_ns);
	sheet_text(s, format_duration(for_ns).text);
	sheet_number(s, for_ns);
	snprintf(ago, sizeof(ago), "%s ago",
		 format_duration(now > c->since_ns ? now - c->since_ns : 0).text);
	sheet_text(s, ago);
}

static int show(const struct mode_command *m)
{
	struct wire_mode_change changes[WIRE_CHANGES_MAX];
	uint64_t now = now_ns(), left_out;
	struct sheet s;
	size_t nr = mode_history(&m->table, changes, &left_out);
	int status;

	sheet_init(&s, "seep-mode-1", columns, sizeof(columns) / sizeof(columns[0]));
	sheet_set_heading(&s, "%s (pid %d) is recorded: %s", process_name(&m->who), m->who.pid,
			  mode_text(mode_of_table(&m->table)).text);
	for (size_t i = 0; i < nr; i++)
		add_row(&s, &changes[i], i + 1 < nr ? changes[i + 1].since_ns : now, now);
	sheet_total_text(&s, "now", mode_text(mode_of_table(&m->table)).text);
	if (left_out)
		sheet_note(&s, "%s earlier change%s not kept", format_count(left_out).text,
			   left_out == 1 ? " is" : "s are");
	status = show_sheet(&s, (enum show_format)m->format, m->output);
	sheet_release(&s);
	return status;
}

/* ---- changing ---- */

static int change(struct mode_command *m, const char *text)
{
	struct mode before = mode_of_table(&m->table), wanted;
	struct error e = {0};
	int settled;

	if (mode_parse(text, &wanted, &e) < 0 || mode_change(&m->table, wanted, &settled, &e) < 0)
		return cmd_fail(&e);
	if (!settled)
		cmd_warn("a thread of %s stands still inside an allocation, which may still be "
			 "recorded as before",
			 process_name(&m->who));
	if (!m->quiet)
		cmd_note("%s (%d): %s, was %s", process_name(&m->who), m->who.pid,
			 mode_text(wanted).text, mode_text(before).text);
	return EXIT_DONE;
}

/* ---- events ---- */

/* Stays until a signal, or the end of the process; then the mode is what it was. */
static int record_events(struct mode_command *m)
{
	const struct events_record_options o = {.path = m->output, .window_ns = m->window_ns};
	const struct mode full = {WIRE_MODE_FULL, 0};
	struct mode before = mode_of_table(&m->table);
	struct events_record *r = NULL;
	struct eventfile_info info = {0};
	struct error e = {0}, late = {0};
	sigset_t ends, old;
	int settled, status = events_record_check(m->output);

	if (status != EXIT_DONE)
		return status;
	end_signals(&ends);
	sigprocmask(SIG_BLOCK, &ends, &old);
	if (before.kind == WIRE_MODE_FULL) /* somebody was killed while he did this */
		before = (struct mode){WIRE_MODE_LITE, 0};
	if (events_record_open(&m->table, &m->who, &o, &r, &e) == 0 &&
	    mode_change(&m->table, full, &settled, &e) == 0) {
		if (!m->quiet)
			cmd_note("%s (%d): every event goes to %s until Ctrl-C",
				 process_name(&m->who), m->who.pid, m->output);
		events_record_stay(r, &m->who, 0, &e);
		if (mode_change(&m->table, before, &settled, &late) < 0) {
			error_hint(&late, "its mode is full still: 'seep mode %d %s' ends that",
				   m->who.pid, mode_text(before).text);
			status = cmd_fail(&late);
		}
		if (!*e.message)
			events_record_finish(r, &info, &e);
	}
	if (*e.message)
		status = cmd_fail(&e);
	else
		events_record_say(m->output, &info, 0, m->quiet);
	events_record_free(r);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return status;
}

/* A wrong word must not wait for the process to be found. */
static int check(const struct mode_command *m, const char *text)
{
	struct mode wanted = {WIRE_MODE_LITE, 0};
	struct error e = {0};

	if (text && mode_parse(text, &wanted, &e) < 0)
		return cmd_fail(&e);
	if (wanted.kind == WIRE_MODE_FULL && (!m->output || !strcmp(m->output, "-")))
		return cmd_usage_error("mode", "full needs --output: where to?");
	if (wanted.kind != WIRE_MODE_FULL && m->window_ns)
		return cmd_usage_error("mode", "--window goes with the mode full");
	return EXIT_DONE;
}

static int open_target(struct mode_command *m, const char *operand, struct error *e)
{
	int pid, err = process_find_one(operand, &pid, e);

	if (err == 0)
		err = process_read(pid, &m->who, e);
	if (err < 0)
		return err;
	err = table_open_pid(pid, &m->table, e);
	if (err == 0 && m->table.header->state != WIRE_STATE_RECORDING) {
		table_close(&m->table);
		err = error_set(e, -ENOENT, EXIT_TARGET,
				"process %d has a recorder that records nothing", pid);
	}
	return err;
}

int cmd_mode(int argc, char **argv)
{
	struct mode_command m = {.who = PROCESS_INFO_INIT};
	struct error e = {0};
	const char *text;
	int first, status;

	status = read_options(&m, argc, argv, &first);
	if (status != CMD_GO_ON)
		return status;
	text = first + 1 < argc ? argv[first + 1] : NULL;
	status = check(&m, text);
	if (status != EXIT_DONE)
		return status;
	if (open_target(&m, argv[first], &e) < 0) {
		status = cmd_fail(&e);
	} else {
		if (text && !strcmp(text, "full"))
			status = record_events(&m);
		else
			status = text ? change(&m, text) : show(&m);
		table_close(&m.table);
	}
	process_info_release(&m.who);
	return status;
}
