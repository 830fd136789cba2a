/* seep snap: one snapshot of a process or core, or one every so often. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "base/units.h"
#include "cmd/again.h"
#include "cmd/cmd.h"
#include "cmd/look.h"
#include "cmd/references.h"
#include "cmd/symbolize.h"
#include "cmd/take.h"
#include "file/seepfile.h"
#include "format/words.h"
#include "model/heapview.h"
#include "model/resources.h"
#include "model/snapshot.h"
#include "target/process.h"
#include "target/target.h"

struct snap {
	struct look_options look;
	bool no_blocks, no_heaps, references;
	const char *operand; /* the pid as text, or a core's path */
	bool is_core;
	const char *output; /* NULL: a name is made */
	uint64_t every_ns;  /* 0: once */
	uint64_t count;	    /* 0: until the process ends */
	bool quiet;
	int pid; /* of a core: 0 */
	uint64_t start_ticks;
	char *name;
	char pid_text[16];
};

static const char *const usage[] = {"[OPTION...] TARGET", NULL};
static const char *const examples[] = {
	"seep snap redis-server -o one.seep",
	"what it holds now, and who allocated it",
	"seep diff one.seep two.seep",
	"afterwards: what grew between two of them",
	"seep snap core.4242 -o crash.seep",
	"the heaps and blocks in a core file, in a file of a fraction of its size",
	"seep snap 4242 --every 10s --count 6 -o heap.seep",
	"heap-1.seep … heap-6.seep, ten seconds apart",
	NULL,
};

static int read_options(struct snap *s, int argc, char **argv, int *ret_first)
{
	struct opt look[LOOK_OPTIONS];
	struct opt table[] = {
		{OPT_GROUP, 0, "Output", NULL, NULL, NULL},
		{OPT_TEXT, 'o', "output", "FILE",
		 "write to FILE; '-' is standard output (default NAME-PID-N.seep)", &s->output},
		{OPT_FLAG, 'q', "quiet", NULL, "do not say what was written", &s->quiet},
		{OPT_FLAG, 0, "no-blocks", NULL, "leave the list of blocks out: a small file",
		 &s->no_blocks},
		{OPT_FLAG, 'r', "references", NULL,
		 "which block points to which, and what holds them: seep leaks and seep refs can "
		 "then answer from the file",
		 &s->references},
		{OPT_FLAG, 0, "no-heaps", NULL,
		 "only what the recorder knows: the process is not stopped for it", &s->no_heaps},
		{OPT_GROUP, 0, "Repetition", NULL, NULL, NULL},
		{OPT_DURATION, 0, "every", "TIME",
		 "again every TIME (10s, 5m), until the process ends; files are numbered",
		 &s->every_ns},
		{OPT_COUNT, 0, "count", "N", "with --every: stop after N snapshots", &s->count},
		{OPT_GROUP, 0, "Symbols", NULL, NULL, NULL},
		{OPT_TEXT, 0, "symbols", "PATHS", "colon-separated folders of debug files",
		 &s->look.symbols},
		{OPT_FLAG, 0, "no-symbols", NULL, "do not look names up now; diff and report will",
		 &s->look.no_symbols},
		{OPT_GROUP, 0, "How it is looked at", NULL, NULL, NULL},
		{0},
		{0},
		{OPT_END, 0, NULL, NULL, NULL, NULL},
	};
	const struct cmd_spec spec = {
		.name = "snap",
		.usage = usage,
		.purpose = "Writes what a process holds now to a file: its heaps and blocks, and, "
			   "where it is recorded, who allocated them.",
		.options = table,
		.examples = examples,
		.operands_min = 1,
		.operands_max = 1,
		.operands = "a process or a core",
	};

	look_options_table(&s->look, look);
	memcpy(&table[sizeof(table) / sizeof(table[0]) - 1 - LOOK_OPTIONS], look, sizeof(look));
	return cmd_options(&spec, argc, argv, ret_first);
}

/* "heap.seep", 3 -> "heap-3.seep" */
static char *numbered(const char *path, uint64_t n)
{
	const char *base = strrchr(path, '/'), *dot;

	base = base ? base + 1 : path;
	dot = strrchr(base, '.');
	if (!dot || dot == base)
		dot = path + strlen(path);
	return mem_printf("%.*s-%llu%s", (int)(dot - path), path, (unsigned long long)n, dot);
}

/* First NAME-PID-N.seep that does not exist. */
static char *made_up_name(const struct snap *s)
{
	for (uint64_t n = 1;; n++) {
		char *path = s->pid ? mem_printf("%s-%d-%llu.seep", s->name, s->pid,
						 (unsigned long long)n)
				    : mem_printf("%s-%llu.seep", s->name, (unsigned long long)n);

		if (access(path, F_OK) < 0)
			return path;
		free(path);
	}
}

/* Besides memory: "file descriptors: 12 held". */
static void say_resources(const struct snapshot *shot)
{
	size_t nr;
	const char **kinds = resources_kinds(NULL, shot, &nr);

	for (size_t i = 0; i < nr; i++) {
		struct snapshot one;
		struct str kind = STR_INIT;

		words_kind(&kind, kinds[i]);
		resources_of(shot, kinds[i], &one);
		cmd_note("%s: %s held", kind.data, format_count(one.totals.live_blocks).text);
		resources_release(&one);
		str_release(&kind);
	}
	free(kinds);
}

/* Who, and how much: by the recorder's count where it was there, otherwise by the heaps'. */
static void say_written(const struct snap *s, const struct snapshot *shot, const char *path)
{
	const struct totals *t = &shot->totals;
	struct heap_figures sum;
	char who[128];

	if (s->quiet || !strcmp(path, "-"))
		return;
	snprintf(who, sizeof(who), s->is_core ? "%s" : "%s (%d)", s->name, s->pid);
	heapview_sum(shot, &sum);
	if (shot->has_recorder) {
		cmd_note("%s: %s blocks, %s live; wrote %s", who, format_count(t->live_blocks).text,
			 format_bytes(t->live_bytes).text, path);
	} else {
		cmd_note("%s: %s blocks, %s in use; wrote %s", who,
			 format_count(sum.busy_blocks).text, format_bytes(sum.busy_bytes).text,
			 path);
		cmd_note("nobody recorded who allocated them: it has no stacks");
		cmd_hint("seep heaps and seep blocks show it; for stacks, record it: seep attach "
			 "from now on, seep run from its start");
	}
	say_resources(shot);
	if (shot->has_heaps && !strcmp(strings_get(&shot->strings, shot->method), "live"))
		cmd_warn("the heaps were read while the process went on: they are not of one "
			 "instant");
	if (shot->losses.torn)
		cmd_warn("no consistent instant could be had; counts may be off by what was "
			 "allocated meanwhile");
}

static int take_recorded(const struct snap *s, struct snapshot *ret, struct error *e)
{
	const struct take_options options = {
		.no_blocks = s->no_blocks,
		.no_symbols = s->look.no_symbols,
		.symbols = s->look.symbols,
		.progress = s->look.progress,
	};

	return take_from_pid(s->pid, &options, ret, e);
}

static int look_once(const struct snap *s, const struct look_options *o, struct look *ret,
		     struct error *e)
{
	const struct symbolize_options names = {.symbols = o->symbols,
						.no_debuginfod = o->no_symbols};
	int err = look_at(s->operand, o, ret, e);

	return err < 0 || !s->references ? err : references_take(ret, &names, e);
}

/* The rows of a look; the rest of it goes. */
static int take_look(const struct snap *s, unsigned int wanted, struct snapshot *ret,
		     struct error *e)
{
	struct look_options options = s->look;
	struct look look;
	int err;

	options.wanted = wanted | LOOK_HEAPS | LOOK_REGION_USE | (s->no_blocks ? 0 : LOOK_BLOCKS);
	err = look_once(s, &options, &look, e);
	if (err == -EAGAIN && options.method == TARGET_WISH_AUTO) {
		options.method = TARGET_WISH_STOP;
		err = look_once(s, &options, &look, e);
	}
	if (err < 0)
		return err;
	look_done_reading(&look);
	*ret = look.snapshot;
	snapshot_init(&look.snapshot);
	look_release(&look);
	return 0;
}

/*
 * Everything, or what can be had of it: without the heaps where memory may not be read, without
 * stacks where the recorder is there and of no use. Part of it is better than nothing, and said.
 */
static int take_all(const struct snap *s, struct snapshot *ret, struct error *e)
{
	int err;

	if (s->no_heaps)
		return take_recorded(s, ret, e);
	err = take_look(s, LOOK_RECORDER, ret, e);
	if (err == 0 || s->is_core)
		return err;
	if (!s->references && take_recorded(s, ret, NULL) == 0) {
		cmd_warn("the snapshot has no heaps: %s", e->message);
		return 0;
	}
	if (take_look(s, 0, ret, NULL) == 0) {
		cmd_warn("the snapshot has no stacks: %s", e->message);
		return 0;
	}
	return err;
}

static int snap_once(struct snap *s, uint64_t n, struct error *e)
{
	struct snapshot shot;
	struct progress progress;
	char *path;
	int err;

	progress_start(&progress, STDERR_FILENO, "looking up names", 0);
	s->look.progress = &progress;
	err = take_all(s, &shot, e);
	progress_end(&progress);
	if (err < 0)
		return err;
	if (!s->output)
		path = made_up_name(s);
	else
		path = s->every_ns && strcmp(s->output, "-") ? numbered(s->output, n)
							     : mem_strdup(s->output);
	err = seepfile_write(&shot, path, e);
	if (err == 0)
		say_written(s, &shot, path);
	free(path);
	snapshot_release(&shot);
	return err;
}

static int snap_repeatedly(struct snap *s)
{
	struct error e = {0};
	struct again again;
	uint64_t n;

	again_begin(&again, s->every_ns);
	for (n = 1; !s->count || n <= s->count; n++) {
		if (snap_once(s, n, &e) < 0) {
			/* Its end, after at least one snapshot, is how this is meant to end. */
			if (n == 1 || e.status != EXIT_TARGET ||
			    process_check(s->pid, s->start_ticks) == 0)
				return cmd_fail(&e);
			cmd_note("%s (%d) has ended", s->name, s->pid);
			return EXIT_DONE;
		}
		if (s->count && n == s->count)
			break;
		if (!again_wait(&again))
			break;
	}
	return EXIT_DONE;
}

static void set_core(struct snap *s, const char *path)
{
	const char *base = strrchr(path, '/');

	s->is_core = true;
	s->operand = path;
	s->name = mem_strdup(base ? base + 1 : path);
}

static int set_process(struct snap *s, const char *operand, struct error *e)
{
	struct process_info who = PROCESS_INFO_INIT;
	int err = process_find_one(operand, &s->pid, e);

	if (err == 0)
		err = process_read(s->pid, &who, e);
	if (err < 0)
		return err;
	s->name = mem_strdup(process_name(&who));
	s->start_ticks = who.start_ticks;
	snprintf(s->pid_text, sizeof(s->pid_text), "%d", s->pid);
	s->operand = s->pid_text;
	process_info_release(&who);
	return 0;
}

int cmd_snap(int argc, char **argv)
{
	struct snap s = {0};
	struct error e = {0};
	int first, status = read_options(&s, argc, argv, &first);

	if (status != CMD_GO_ON)
		return status;
	if (s.count && !s.every_ns)
		return cmd_usage_error("snap", "--count needs --every");
	if (s.references && (s.no_heaps || s.no_blocks))
		return cmd_usage_error("snap", "--references go from block to block: not with "
					       "--no-blocks or --no-heaps");
	if (target_is_core(argv[first]))
		set_core(&s, argv[first]);
	else if (set_process(&s, argv[first], &e) < 0)
		return cmd_fail(&e);
	if (s.is_core && (s.every_ns || s.no_heaps))
		status = cmd_usage_error("snap",
					 "--every and --no-heaps are for processes: '%s' "
					 "is a core",
					 argv[first]);
	else if (s.every_ns)
		status = snap_repeatedly(&s);
	else
		status = snap_once(&s, 1, &e) < 0 ? cmd_fail(&e) : EXIT_DONE;
	free(s.name);
	return status;
}
