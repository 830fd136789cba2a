/* seep detach: the recorder taken out of a process again. */
#include <stdio.h>

#include "base/error.h"
#include "base/str.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/take.h"
#include "file/seepfile.h"
#include "format/json_writer.h"
#include "inject/detach.h"
#include "model/snapshot.h"
#include "target/process.h"
#include "target/target.h"

enum { TEXT, JSON };

struct detach_command {
	const char *output; /* NULL: what was recorded is forgotten */
	int format;
	bool quiet;
	int pid;
};

static const char *const usage[] = {"[OPTION...] TARGET", NULL};
static const char *const examples[] = {
	"seep detach redis-server",
	"it is as it was before seep attach",
	"seep detach redis-server -o redis.seep",
	"what was recorded is kept",
	NULL,
};

static int read_options(struct detach_command *c, int argc, char **argv, int *ret_first)
{
	const struct opt table[] = {
		{OPT_GROUP, 0, "Output", NULL, NULL, NULL},
		{OPT_TEXT, 'o', "output", "FILE", "write a snapshot to FILE before", &c->output},
		{OPT_CHOICE, 0, "format", "text|json", "how it is told what was done", &c->format},
		{OPT_FLAG, 'q', "quiet", NULL, "do not say what was done", &c->quiet},
		{OPT_END, 0, NULL, NULL, NULL, NULL},
	};
	const struct cmd_spec spec = {
		.name = "detach",
		.usage = usage,
		.purpose = "Takes the recorder that seep attach has put into a process out again.",
		.options = table,
		.examples = examples,
		.operands_min = 1,
		.operands_max = 1,
		.operands = "a process",
	};

	return cmd_options(&spec, argc, argv, ret_first);
}

static int keep_snapshot(const struct detach_command *c, struct error *e)
{
	const struct take_options options = {0};
	struct snapshot shot;
	int r = take_from_pid(c->pid, &options, &shot, e);

	if (r < 0)
		return r;
	r = seepfile_write(&shot, c->output, e);
	snapshot_release(&shot);
	return r;
}

static int say_json(const struct detach_command *c, const struct detach *d, const char *name)
{
	struct str out = STR_INIT;
	struct json j;
	int status;

	json_init(&j, &out);
	json_open(&j, NULL, '{');
	json_text(&j, "schema", "seep-detach-1");
	json_count(&j, "pid", (uint64_t)c->pid);
	json_text(&j, "name", name);
	json_count(&j, "functions", d->entries_nr);
	json_count(&j, "stops", d->tries);
	json_count(&j, "pause_ns", d->pause_ns);
	json_count(&j, "longest_pause_ns", d->longest_ns);
	json_close(&j, '}');
	str_add_char(&out, '\n');
	status = cmd_print(out.data, out.len);
	str_release(&out);
	return status;
}

static int say(const struct detach_command *c, const struct detach *d, const char *name)
{
	if (c->format == JSON)
		return say_json(c, d, name);
	if (c->quiet)
		return EXIT_DONE;
	if (d->tries > 1)
		cmd_note(
			"%s (%d): no longer recorded; it stood still for %s, %zu times, at most %s",
			name, c->pid, format_duration(d->pause_ns).text, d->tries,
			format_duration(d->longest_ns).text);
	else
		cmd_note("%s (%d): no longer recorded; it stood still for %s", name, c->pid,
			 format_duration(d->pause_ns).text);
	return EXIT_DONE;
}

int cmd_detach(int argc, char **argv)
{
	const struct target_options live = {.wish = TARGET_WISH_LIVE};
	struct detach_command c = {0};
	struct detach d = {0};
	struct target *t;
	struct error e;
	int first, status, r = read_options(&c, argc, argv, &first);

	if (r != CMD_GO_ON)
		return r;
	if (process_find_one(argv[first], &c.pid, &e) < 0 ||
	    (c.output && keep_snapshot(&c, &e) < 0) || target_open_pid(c.pid, &live, &t, &e) < 0)
		return cmd_fail(&e);
	r = detach_run(t, true, &d, &e);
	status = r < 0 ? cmd_fail(&e) : say(&c, &d, process_name(target_process(t)));
	target_close(t);
	return status;
}
