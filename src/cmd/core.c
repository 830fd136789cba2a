/* seep core: a core of a running process, which stands still only while it is cloned. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/end_signals.h"
#include "target/core_write.h"
#include "target/process.h"
#include "target/target.h"

struct core {
	const char *output; /* NULL: core.PID */
	int method;	    /* enum target_wish */
	bool all, force, quiet;
	int pid;
	char *path;
};

static const char *const usage[] = {"[OPTION...] TARGET", NULL};
static const char *const examples[] = {
	"seep core redis-server -o redis.core",
	"its memory as of now, for gdb and for seep itself",
	"seep core 4242 -o - | zstd > core.4242.zst",
	"compressed on the way to the disk",
	NULL,
};

static int read_options(struct core *c, int argc, char **argv, int *ret_first)
{
	const struct opt table[] = {
		{OPT_GROUP, 0, "Output", NULL, NULL, NULL},
		{OPT_TEXT, 'o', "output", "FILE",
		 "write to FILE; '-' is standard output (default core.PID)", &c->output},
		{OPT_FLAG, 'f', "force", NULL, "overwrite FILE if it is there", &c->force},
		{OPT_FLAG, 'q', "quiet", NULL, "do not say what was written", &c->quiet},
		{OPT_GROUP, 0, "Memory", NULL, NULL, NULL},
		{OPT_FLAG, 0, "all", NULL,
		 "unchanged file mappings, shared files and memory marked as not to be dumped, too",
		 &c->all},
		{OPT_CHOICE, 0, "method", "auto|clone|stop|live",
		 "how the process is read: from a frozen clone, while it stands still, as it runs, "
		 "or the first of these that is safe",
		 &c->method},
		{OPT_END, 0, NULL, NULL, NULL, NULL},
	};
	const struct cmd_spec spec = {
		.name = "core",
		.usage = usage,
		.purpose = "Writes the memory of a running process to a core file that gdb reads. "
			   "The process goes on while it is written.",
		.options = table,
		.examples = examples,
		.operands_min = 1,
		.operands_max = 1,
		.operands = "a process",
	};

	return cmd_options(&spec, argc, argv, ret_first);
}

/* What is a file and no process's name gets a reason that says so. */
static int find_process(struct core *c, const char *operand, struct error *e)
{
	struct stat st;
	int err = process_find_one(operand, &c->pid, e);

	if (err != -ESRCH || stat(operand, &st) < 0 || !S_ISREG(st.st_mode))
		return err;
	error_set(e, err, EXIT_USAGE, "'%s' is %s, not a process", operand,
		  target_is_core(operand) ? "a core already" : "a file");
	error_hint(e, "a core is written of a process that runs: give its pid or name");
	return err;
}

/* Before the process is touched. */
static int check_output(const struct core *c, struct error *e)
{
	struct stat st;

	if (c->force || !strcmp(c->path, "-") || stat(c->path, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	error_set(e, -EEXIST, EXIT_FILE, "'%s' exists already", c->path);
	error_hint(e, "--force overwrites it");
	return -EEXIST;
}

static void warn(const struct core_written *w, const struct target_how *how)
{
	if (!how->consistent)
		cmd_warn("the process ran on while it was read; the core is of no single "
			 "instant%s%s",
			 *how->why ? ": " : "", how->why);
	if (w->unread_bytes)
		cmd_warn("%s of memory could not be read and %s in the core",
			 format_bytes(w->unread_bytes).text, "are missing or zero");
	if (w->nr_without_registers)
		cmd_warn("the registers of %s of %s threads are not known; these threads are not "
			 "in the core",
			 format_count(w->nr_without_registers).text,
			 format_count(w->nr_threads).text);
	if (w->assumed_bytes)
		cmd_warn("%s of shared memory, which the process has not touched, are taken as "
			 "zeros; root could read them",
			 format_bytes(w->assumed_bytes).text);
}

static const char *manner(enum target_kind kind)
{
	switch (kind) {
	case TARGET_CLONE:
		return " while it was cloned";
	case TARGET_STOPPED:
		return " until all was read";
	default:
		return "";
	}
}

static void say_written(const struct core *c, const char *name, const struct core_written *w,
			const struct target_how *how)
{
	warn(w, how);
	if (c->quiet || !strcmp(c->path, "-"))
		return;
	cmd_note("%s (%d): %s of memory, %s of it not zero; stood still for %s%s; wrote %s", name,
		 c->pid, format_bytes(w->memory_bytes).text, format_bytes(w->stored_bytes).text,
		 format_duration(how->pause_ns).text, manner(how->kind), c->path);
}

static int write_core(struct core *c, struct error *e)
{
	struct target_options options = {.wish = (enum target_wish)c->method};
	struct core_write_options write_options = {.everything = c->all, .stop = &end_signal};
	struct core_written written;
	struct progress progress;
	struct target *t;
	int err = target_open_pid(c->pid, &options, &t, e);

	if (err < 0)
		return err;
	progress_start(&progress, STDERR_FILENO, "writing memory", 0);
	write_options.progress = &progress;
	err = core_write(t, c->path, &write_options, &written, e);
	progress_end(&progress);
	if (!err)
		say_written(c, process_name(target_process(t)), &written, target_how(t));
	target_close(t);
	return err;
}

int cmd_core(int argc, char **argv)
{
	struct core c = {.output = NULL};
	struct error e = {0};
	int first, status = read_options(&c, argc, argv, &first), err;

	if (status != CMD_GO_ON)
		return status;
	if (find_process(&c, argv[first], &e) < 0)
		return cmd_fail(&e);
	c.path = c.output ? mem_strdup(c.output) : mem_printf("core.%d", c.pid);
	err = check_output(&c, &e);
	if (!err) {
		end_signals_note(true);
		err = write_core(&c, &e);
		end_signals_note(false);
	}
	free(c.path);
	/* Our parent is to see what ended us. */
	if (err == -EINTR && end_signal)
		raise(end_signal);
	return err < 0 ? cmd_fail(&e) : EXIT_DONE;
}
