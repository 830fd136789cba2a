/* The command table, dispatch, and how commands speak to people; see cmd.h. */
#include "cmd/cmd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "cmd/help.h"

const struct command commands[] = {
	{"top", "watch processes grow: memory, slope, and a plain sentence", "Look", cmd_top},
	{"heaps", "the heaps of a process: how big, how full, which one grows", "Look", cmd_heaps},
	{"blocks", "the blocks of a process: by size, one by one, what is in them", "Look",
	 cmd_blocks},
	{"leaks", "blocks that nothing points to any more", "Look", cmd_leaks},
	{"refs", "who points to a block, and what keeps it alive", "Look", cmd_refs},
	{"core", "write the memory of a running process to a core file", "Look", cmd_core},
	{"map", "what the address space of a process is used for", "Look", cmd_map},
	{"run", "start a program and record who allocates its memory", "Record", cmd_run},
	{"attach", "record a process that is running already", "Record", cmd_attach},
	{"detach", "take the recorder out of a process again", "Record", cmd_detach},
	{"flags", "record every next start of a program, whoever starts it", "Record", cmd_flags},
	{"mode", "how much is recorded of a running process: all, samples, nothing", "Record",
	 cmd_mode},
	{"snap", "take a snapshot of a process or core", "Record", cmd_snap},
	{"mark", "name this instant in the recording of a process", "Record", cmd_mark},
	{"diff", "what grew between two snapshots, by the code that allocated it", "Explain",
	 cmd_diff},
	{"report", "what one snapshot holds, by the code that allocated it", "Explain", cmd_report},
	{"events", "every allocation and free of a program, one by one", "Explain", cmd_events},
	{"help", "this overview, or the help of a command", "Other", cmd_help},
	{0},
};

const struct command *command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

/* Talk goes out in one write per line, and nothing in it can steer the terminal. */
static void say(const char *prefix, const char *text)
{
	struct str line = STR_INIT;

	str_add(&line, prefix);
	text_printable(&line, text, strlen(text));
	str_add_char(&line, '\n');
	(void)io_write_all(STDERR_FILENO, line.data, line.len);
	str_release(&line);
}

static void say_args(const char *prefix, const char *format, va_list ap)
{
	char *text;

	if (vasprintf(&text, format, ap) < 0)
		return;
	say(prefix, text);
	free(text);
}

int cmd_fail(const struct error *e)
{
	say("seep: ", e->message);
	if (*e->hint)
		say("hint: ", e->hint);
	return (int)e->status;
}

void cmd_warn(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say_args("seep: warning: ", format, ap);
	va_end(ap);
}

void cmd_note(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say_args("seep: ", format, ap);
	va_end(ap);
}

void cmd_hint(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say_args("hint: ", format, ap);
	va_end(ap);
}

int cmd_usage_error(const char *cmd, const char *format, ...)
{
	char *prefix = cmd ? mem_printf("seep: %s: ", cmd) : mem_strdup("seep: ");
	va_list ap;

	va_start(ap, format);
	say_args(prefix, format, ap);
	va_end(ap);
	free(prefix);
	cmd_hint("try 'seep %s%s--help'", cmd ? cmd : "", cmd ? " " : "");
	return EXIT_USAGE;
}

int cmd_print(const char *text, size_t len)
{
	int err = io_write_all(STDOUT_FILENO, text, len);
	struct error e;

	if (!err || err == -EPIPE)
		return EXIT_DONE;
	error_set(&e, err, EXIT_FILE, "cannot write to standard output: %s", error_strerror(err));
	return cmd_fail(&e);
}

int command_unknown(const char *name)
{
	const char *names[sizeof(commands) / sizeof(commands[0])];
	const char *nearest;
	size_t nr = 0;

	for (const struct command *c = commands; c->name; c++)
		names[nr++] = c->name;
	names[nr] = NULL;
	nearest = text_nearest(name, names);
	cmd_note("'%s' is not a seep command", name);
	if (nearest)
		cmd_hint("did you mean '%s'?", nearest);
	else
		cmd_hint("'seep help' lists the commands");
	return EXIT_USAGE;
}

/* `seep --color=never diff …`: the choice must reach the command's own options as their default. */
int cmd_main(int argc, char **argv)
{
	bool version = false;
	const struct opt options[] = {
		{OPT_FLAG, 'V', "version", NULL, "print the version and stop", &version},
		{0},
	};
	static const char *const usage[] = {"[--color=WHEN] COMMAND [ARGUMENT...]", NULL};
	const struct cmd_spec spec = {
		.usage = usage,
		.options = options,
		.stop_at_operand = true,
		.operands_max = SIZE_MAX,
		.help = help_overview,
	};
	const struct command *command;
	int first, status;

	status = cmd_options(&spec, argc, argv, &first);
	if (status != CMD_GO_ON)
		return status;
	if (version)
		return cmd_print("seep " SEEP_VERSION "\n", strlen("seep " SEEP_VERSION "\n"));
	if (first == argc)
		return help_overview();
	command = command_find(argv[first]);
	if (!command)
		return command_unknown(argv[first]);
	return command->run(argc - first, argv + first);
}
