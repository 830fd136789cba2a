/*
 * seep top: which process grows, and how fast. Once, after watching for a while, or live on a
 * terminal until q.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "base/term.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/flags.h"
#include "cmd/top_live.h"
#include "cmd/top_rows.h"
#include "cmd/top_show.h"

#define NS_PER_S 1000000000ull
#define INTERVAL_MIN_NS (NS_PER_S / 100)
#define CHECK_FOR_NS (10 * NS_PER_S) /* --exit-code without --for */
#define LIMIT_TEXT 20
#define LINES_AROUND 5 /* header, notes and the line of keys, when all rows are to fit */

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV };

static const char *const usage[] = {"[OPTION...] [TARGET...]", NULL};
static const char *const examples[] = {
	"seep top batterymeter",
	"watch one process, live on a terminal",
	"seep top --for 10s 4242",
	"watch for ten seconds, then print one table",
	"seep top --once --sort rss --limit 5",
	"the five largest of my processes, now",
	"seep top --for 1m --exit-code --max-growth 100K/s server",
	"in CI: status 1 when it grows faster than 100 KiB a second",
	NULL,
};
static const char sort_choices[] = "growth|rss|pss|anon|swap|pid|name";
#define NR_SORTS 7

struct top {
	bool once, exit_code;
	uint64_t for_ns, interval_ns, limit;
	int sort, format;
	const char *max_growth_text;
	uint64_t max_growth; /* bytes a second */
	bool live;
	struct top_rows rows;
	bool targets_missing; /* some target could not be found; that was said */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int read_options(struct top *t, int argc, char **argv, int *ret_first)
{
	const struct opt options[] = {
		{OPT_GROUP, 0, "How long", NULL, NULL, NULL},
		{OPT_FLAG, '1', "once", NULL,
		 "print one table and end (default when standard output is no terminal)", &t->once},
		{OPT_DURATION, 0, "for", "TIME", "watch for so long first (default: look once)",
		 &t->for_ns},
		{OPT_DURATION, 'i', "interval", "TIME", "time between two samples (default 1s)",
		 &t->interval_ns},
		{OPT_GROUP, 0, "What is listed", NULL, NULL, NULL},
		{OPT_CHOICE, 's', "sort", sort_choices,
		 "order of the rows (default growth, then rss)", &t->sort},
		{OPT_COUNT, 'n', "limit", "N",
		 "rows to list, 0 for all (default: all targets; without a target 20, on a "
		 "terminal as many as fit, all in formats for machines)",
		 &t->limit},
		{OPT_CHOICE, 0, "format", "text|json|csv",
		 "text for people, the others for programs (default text)", &t->format},
		{OPT_GROUP, 0, "For scripts", NULL, NULL, NULL},
		{OPT_FLAG, 0, "exit-code", NULL,
		 "end with status 1 when a process grows faster than --max-growth; watches for "
		 "10s unless --for says otherwise",
		 &t->exit_code},
		{OPT_TEXT, 0, "max-growth", "RATE",
		 "growth that is allowed, e.g. 100K/s (default 0: none)", &t->max_growth_text},
		{0},
	};
	const struct cmd_spec spec = {
		.name = "top",
		.usage = usage,
		.purpose = "Shows what processes use and whether they grow: memory, threads, "
			   "descriptors, the change since it looks, and a plain sentence; where "
			   "seep attach records other resources, how many are held of these. "
			   "A TARGET is a pid or a name; without one, all your processes.",
		.options = options,
		.examples = examples,
		.found = "a process grows faster than --max-growth (with --exit-code)",
		.operands_min = 0,
		.operands_max = SIZE_MAX,
	};

	return cmd_options(&spec, argc, argv, ret_first);
}

/* "100K/s", "100K" */
static int parse_rate(const char *text, uint64_t *ret)
{
	size_t len = strlen(text);
	char *size = mem_strdup(text);
	int r;

	if (len > 2 && !strcmp(text + len - 2, "/s"))
		size[len - 2] = 0;
	r = parse_size(size, ret);
	free(size);
	return r;
}

static int check_options(struct top *t)
{
	if (t->max_growth_text && !t->exit_code)
		return cmd_usage_error("top", "--max-growth goes with --exit-code only");
	if (t->max_growth_text && parse_rate(t->max_growth_text, &t->max_growth) < 0)
		return cmd_usage_error("top", "'%s' is not a rate like 100K/s", t->max_growth_text);
	if (t->interval_ns < INTERVAL_MIN_NS)
		return cmd_usage_error("top", "--interval is at least 10ms");
	t->live = !t->once && t->format == FORMAT_TEXT && term_is_tty(STDIN_FILENO) &&
		  term_is_tty(STDOUT_FILENO);
	if (t->exit_code && !t->for_ns && !t->live)
		t->for_ns = CHECK_FOR_NS;
	return CMD_GO_ON;
}

/* EXIT_DONE as long as one of them is there. */
static int add_targets(struct top *t, int argc, char **argv, int first)
{
	int status = EXIT_DONE;

	top_rows_init(&t->rows, first == argc);
	for (int i = first; i < argc; i++) {
		struct error e = {0};

		if (top_rows_add(&t->rows, argv[i], &e) < 0) {
			status = cmd_fail(&e);
			t->targets_missing = true;
			if (status == EXIT_USAGE)
				return status;
		}
	}
	return t->rows.all || t->rows.nr ? EXIT_DONE : status;
}

static size_t rows_to_show(const struct top *t, const struct top_live *l)
{
	size_t limit = t->rows.nr;

	if (t->limit != UINT64_MAX && t->limit)
		limit = t->limit;
	else if (t->limit == UINT64_MAX && t->rows.all && t->live && l)
		limit = l->rows > LINES_AROUND ? l->rows - LINES_AROUND : 1;
	else if (t->limit == UINT64_MAX && t->rows.all && t->format == FORMAT_TEXT)
		limit = LIMIT_TEXT;
	return limit < t->rows.nr ? limit : t->rows.nr;
}

/* Of a screen of so many lines, when those of resources have their share. */
static size_t rows_that_fit(const struct top_view *v, size_t lines)
{
	struct top_view fits = *v;

	while (fits.shown > 1 && fits.shown + top_resources_lines(&fits) + LINES_AROUND > lines)
		fits.shown--;
	return fits.shown;
}

static void render(struct top *t, const struct top_live *l, struct str *out)
{
	static void (*const show[])(struct str *, const struct top_view *) = {
		[FORMAT_TEXT] = top_show_text,
		[FORMAT_JSON] = top_show_json,
		[FORMAT_CSV] = top_show_csv,
	};
	const char *image = !t->rows.all && t->rows.nr == 1 ? t->rows.items[0].info.exe : NULL;
	char *reminder = t->format == FORMAT_TEXT ? flags_reminder(image) : NULL;
	struct top_view v = {
		.rows = &t->rows,
		.order = top_rows_order(&t->rows, (enum top_sort)t->sort),
		.shown = rows_to_show(t, l),
		.interval_ns = t->interval_ns,
		.live = l && t->live,
		.width = l && t->live ? l->columns : term_width(STDOUT_FILENO, 0),
		.palette = cmd_palette(),
		.reminder = reminder,
	};

	for (size_t i = 0; i < v.shown; i++) {
		if (t->rows.all)
			top_row_detail(v.order[i]);
		top_resources_judge(&v.order[i]->resources);
	}
	if (t->rows.all && v.live && l)
		v.shown = rows_that_fit(&v, l->rows);
	v.now_ns = now_ns();
	show[t->format](out, &v);
	free(v.order);
	free(reminder);
}

static void draw(struct top *t, struct top_live *l, bool last)
{
	struct str text = STR_INIT;

	render(t, l, &text);
	if (!last)
		str_printf(&text, "%sq ends, s sorts by something else%s\n", cmd_palette()->dim,
			   cmd_palette()->reset);
	top_live_draw(l, text.data);
	str_release(&text);
}

/* Waits for the next round. False: it is time to end. */
static bool wait_round(struct top *t, struct top_live *l, uint64_t deadline_ns)
{
	for (;;) {
		switch (top_live_wait(l, deadline_ns)) {
		case TOP_WAKE_TIME:
			return true;
		case TOP_WAKE_END:
			return false;
		case TOP_WAKE_SORT:
			t->sort = (t->sort + 1) % NR_SORTS;
			draw(t, l, false);
			break;
		case TOP_WAKE_REDRAW:
			draw(t, l, false);
			break;
		}
	}
}

/* Samples until the time is over, the user has enough, or nobody is left to be watched. */
static int watch(struct top *t, struct error *e)
{
	uint64_t begin = now_ns(), end = t->for_ns ? begin + t->for_ns : UINT64_MAX, next = begin;
	struct progress progress = {.fd = -1};
	struct top_live live;
	int r;

	t->rows.watch = true;
	top_live_begin(&live, t->live);
	t->live = live.terminal;
	if (!t->live)
		progress_start(&progress, STDERR_FILENO, "watching", t->for_ns / NS_PER_S);
	for (;;) {
		r = top_rows_sample(&t->rows, e);
		if (r < 0)
			break;
		if (t->live)
			draw(t, &live, false);
		if (next >= end || (!t->rows.all && !top_rows_running(&t->rows)))
			break;
		/* Rounds keep to the clock; those that were slept through are left out. */
		do
			next += t->interval_ns;
		while (next <= now_ns());
		next = next < end ? next : end;
		if (!wait_round(t, &live, next))
			break;
		if (!t->live)
			progress_step(&progress, (next - begin) / NS_PER_S - progress.done);
	}
	progress_end(&progress);
	/* What stays on the screen is the result, without the line about keys. */
	if (t->live && r == 0)
		draw(t, &live, true);
	top_live_end(&live);
	return r;
}

static int print_table(struct top *t)
{
	struct str text = STR_INIT;
	int status;

	render(t, NULL, &text);
	status = cmd_print(text.data, text.len);
	str_release(&text);
	return status;
}

/* Says which targets have ended; their status when nobody is left. */
static int tell_ended(const struct top *t)
{
	if (t->rows.all)
		return EXIT_DONE;
	for (size_t i = 0; i < t->rows.nr; i++) {
		const struct top_row *row = &t->rows.items[i];
		uint64_t watched = row->last_ns - row->first_ns;

		if (row->state == TOP_RUNNING)
			continue;
		if (row->series.samples > 1)
			cmd_note("process %d ('%s') ended after %s", row->info.pid,
				 process_name(&row->info), format_duration(watched).text);
		else
			cmd_note("process %d ('%s') has ended", row->info.pid,
				 process_name(&row->info));
	}
	return top_rows_running(&t->rows) ? EXIT_DONE : EXIT_TARGET;
}

/* EXIT_FOUND if a process grows faster than it may. */
static int check_growth(const struct top *t)
{
	int status = EXIT_DONE;

	for (size_t i = 0; t->exit_code && i < t->rows.nr; i++) {
		const struct top_row *row = &t->rows.items[i];

		if (row->series.trend.kind != TREND_GROWING ||
		    row->series.trend.rate <= (double)t->max_growth)
			continue;
		cmd_note("process %d ('%s') grows at %s; %s is allowed", row->info.pid,
			 process_name(&row->info), format_rate(row->series.trend.rate).text,
			 format_rate((double)t->max_growth).text);
		status = EXIT_FOUND;
	}
	return status;
}

static int run(struct top *t)
{
	struct error e = {0};
	int status, found, ended;

	if (t->live || t->for_ns ? watch(t, &e) < 0 : top_rows_sample(&t->rows, &e) < 0)
		return cmd_fail(&e);
	/* Ctrl-C means "enough", and what was seen so far is shown; the others mean "away". */
	if (top_live_signal() == SIGTERM || top_live_signal() == SIGHUP)
		raise(top_live_signal());
	status = t->live ? EXIT_DONE : print_table(t);
	if (status != EXIT_DONE)
		return status;
	ended = tell_ended(t);
	found = check_growth(t);
	if (found != EXIT_DONE)
		return found;
	return t->targets_missing ? EXIT_TARGET : ended;
}

int cmd_top(int argc, char **argv)
{
	struct top t = {.interval_ns = NS_PER_S, .limit = UINT64_MAX};
	int first, status;

	status = read_options(&t, argc, argv, &first);
	if (status == CMD_GO_ON)
		status = check_options(&t);
	if (status != CMD_GO_ON)
		return status;
	status = add_targets(&t, argc, argv, first);
	if (status == EXIT_DONE)
		status = run(&t);
	top_rows_release(&t.rows);
	return status;
}
