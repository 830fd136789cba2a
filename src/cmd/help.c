/* `seep help [COMMAND]`, and the text of every --help; see help.h. */
#include "cmd/help.h"

#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/text.h"
#include "cmd/cmd.h"

#define HELP_WIDTH 80 /* when not a terminal, so that files of help text are all alike */
#define HELP_WIDTH_MAX 100
#define OPTION_COLUMN 26

static unsigned int help_width(void)
{
	unsigned int width =
		term_is_tty(STDOUT_FILENO) ? term_width(STDOUT_FILENO, HELP_WIDTH) : HELP_WIDTH;

	return width > HELP_WIDTH_MAX ? HELP_WIDTH_MAX : width < 50 ? 50 : width;
}

static int print_and_release(struct str *out)
{
	int status = cmd_print(out->data, out->len);

	str_release(out);
	return status;
}

static void add_heading(struct str *out, const char *text)
{
	const struct palette *p = cmd_palette();

	str_printf(out, "\n%s%s%s\n", p->bold, text, p->reset);
}

static void add_commands(struct str *out)
{
	const struct palette *p = cmd_palette();
	const char *group = "";

	for (const struct command *c = commands; c->name; c++) {
		if (strcmp(group, c->group))
			add_heading(out, c->group);
		group = c->group;
		str_printf(out, "  %s%-8s%s  %s\n", p->name, c->name, p->reset, c->summary);
	}
}

int help_overview(void)
{
	struct str out = STR_INIT;

	str_add(&out, "seep finds where a Linux process's native memory goes, and who let it go "
		      "there.\n\n"
		      "Usage: seep [--color=WHEN] COMMAND [ARGUMENT...]\n"
		      "       seep COMMAND --help\n");
	add_commands(&out);
	add_heading(&out, "A first session");
	str_add(&out,
		"  seep run -- ./program            start it, recording\n"
		"  seep snap program -o one.seep    in another terminal\n"
		"  seep snap program -o two.seep    a while later\n"
		"  seep diff one.seep two.seep      the lines of code that let memory go\n"
		"\nSee 'man seep' for the manual; 'seep --version' says which seep this is.\n");
	return print_and_release(&out);
}

static void add_usage(struct str *out, const struct cmd_spec *spec)
{
	const char *lead = "Usage:";

	for (const char *const *line = spec->usage; *line; line++) {
		str_printf(out, "%-6s seep %s %s\n", lead, spec->name, *line);
		lead = "";
	}
}

static void pad_to(struct str *out, unsigned int column, unsigned int wanted)
{
	if (column + 2 > wanted) {
		str_add_char(out, '\n');
		column = 0;
	}
	for (; column < wanted; column++)
		str_add_char(out, ' ');
}

static void add_option(struct str *out, const struct opt *o, unsigned int width)
{
	size_t start = out->len;

	str_add(out, "  ");
	if (o->letter)
		str_printf(out, "-%c, ", o->letter);
	str_printf(out, "--%s", o->name);
	if (o->arg)
		str_printf(out, "=%s", o->arg);
	pad_to(out, (unsigned int)(out->len - start), OPTION_COLUMN);
	text_wrap(out, o->help, OPTION_COLUMN, OPTION_COLUMN, width);
	str_add_char(out, '\n');
}

static void add_options(struct str *out, const struct opt *options, unsigned int width)
{
	if (options->kind != OPT_GROUP && options->kind != OPT_END)
		add_heading(out, "Options");
	for (const struct opt *o = options; o->kind != OPT_END; o++) {
		if (o->kind == OPT_GROUP)
			add_heading(out, o->name);
		else
			add_option(out, o, width);
	}
}

static void add_examples(struct str *out, const char *const *examples, unsigned int width)
{
	if (!examples || !*examples)
		return;
	add_heading(out, "Examples");
	for (; examples[0] && examples[1]; examples += 2) {
		str_printf(out, "  %s\n      ", examples[0]);
		text_wrap(out, examples[1], 6, 6, width);
		str_add_char(out, '\n');
	}
}

static void add_statuses(struct str *out, const char *found, unsigned int width)
{
	add_heading(out, "Exit status");
	str_add(out, "   0  done\n");
	if (found) {
		str_add(out, "   1  ");
		text_wrap(out, found, 6, 6, width);
		str_add_char(out, '\n');
	}
	str_add(out, "   2  the command line is wrong\n"
		     "   3  the target cannot be started or read\n"
		     "   4  a file is bad or cannot be written\n"
		     "  70  an error in seep itself\n");
}

int help_command(const struct cmd_spec *spec)
{
	unsigned int width = help_width();
	struct str out = STR_INIT;

	add_usage(&out, spec);
	str_add_char(&out, '\n');
	text_wrap(&out, spec->purpose, 0, 0, width);
	str_add_char(&out, '\n');
	add_options(&out, spec->options, width);
	add_options(&out, general_options(), width);
	add_examples(&out, spec->examples, width);
	add_statuses(&out, spec->found, width);
	str_printf(&out, "\nSee 'man seep-%s' for the manual.\n", spec->name);
	return print_and_release(&out);
}

int cmd_help(int argc, char **argv)
{
	static const char *const usage[] = {"[COMMAND]", NULL};
	static const struct opt options[] = {{0}};
	static const char *const examples[] = {
		"seep help diff",
		"the same as 'seep diff --help'",
		NULL,
	};
	static const struct cmd_spec spec = {
		.name = "help",
		.usage = usage,
		.purpose = "Shows what seep can do, or the options of one command.",
		.options = options,
		.examples = examples,
		.operands_max = 1,
	};
	char *help_argv[] = {NULL, (char[]){"--help"}, NULL};
	const struct command *command;
	int first, status;

	status = cmd_options(&spec, argc, argv, &first);
	if (status != CMD_GO_ON)
		return status;
	if (first == argc)
		return help_overview();
	command = command_find(argv[first]);
	if (!command)
		return command_unknown(argv[first]);
	help_argv[0] = argv[first];
	return command->run(2, help_argv);
}
