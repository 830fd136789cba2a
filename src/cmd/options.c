/* Reading a command line by a table; see cmd.h. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/help.h"

#define OPTIONS_MAX 64
#define LONG_VALUE 256 /* getopt's value of the option at index 0; letters are below */

/* Options that every command has. */
static bool want_help;
static int colour = COLOUR_AUTO;
static const struct opt general[] = {
	{OPT_GROUP, 0, "General", NULL, NULL, NULL},
	{OPT_CHOICE, 0, "color", "auto|always|never",
	 "colour the output; auto: on a terminal, unless NO_COLOR is set", &colour},
	{OPT_FLAG, 'h', "help", NULL, "show this help", &want_help},
	{0},
};

const struct opt *general_options(void)
{
	return general;
}

const struct palette *cmd_palette(void)
{
	return term_palette(STDOUT_FILENO, (enum colour_mode)colour);
}

void opt_list_release(struct opt_list *l)
{
	if (!l)
		return;
	free(l->items);
	*l = (struct opt_list){0};
}

/* The two tables of one command side by side, in getopt's form. */
struct parser {
	const struct cmd_spec *spec;
	const struct opt *opts[OPTIONS_MAX];
	struct option longs[OPTIONS_MAX + 1];
	char shorts[2 * OPTIONS_MAX + 3];
	size_t nr;
};

static void parser_add(struct parser *p, const struct opt *options)
{
	for (; options->kind != OPT_END; options++) {
		char *letters = p->shorts + strlen(p->shorts);

		if (options->kind == OPT_GROUP || p->nr == OPTIONS_MAX)
			continue;
		p->opts[p->nr] = options;
		p->longs[p->nr] = (struct option){
			.name = options->name,
			.has_arg = options->kind == OPT_FLAG ? no_argument : required_argument,
			.val = LONG_VALUE + (int)p->nr,
		};
		p->nr++;
		if (!options->letter)
			continue;
		*letters++ = options->letter;
		if (options->kind != OPT_FLAG)
			*letters++ = ':';
		*letters = '\0';
	}
}

/* The option that getopt's value stands for, NULL: none of ours. */
static const struct opt *parser_find(const struct parser *p, int value)
{
	if (value >= LONG_VALUE && (size_t)(value - LONG_VALUE) < p->nr)
		return p->opts[value - LONG_VALUE];
	for (size_t i = 0; i < p->nr; i++)
		if (p->opts[i]->letter && p->opts[i]->letter == value)
			return p->opts[i];
	return NULL;
}

static int bad_value(const struct parser *p, const struct opt *o, const char *text, int err)
{
	const char *name = p->spec->name;
	const char *cause = err == -ERANGE ? "too large" : "";

	if (*cause)
		return cmd_usage_error(name, "--%s: '%s' is %s", o->name, text, cause);
	switch (o->kind) {
	case OPT_COUNT:
		return cmd_usage_error(name, "--%s: '%s' is not a whole number", o->name, text);
	case OPT_SIZE:
		return cmd_usage_error(name, "--%s: '%s' is not a size such as 512, 64K or 1.5GiB",
				       o->name, text);
	case OPT_DURATION:
		return cmd_usage_error(name,
				       "--%s: '%s' is not a duration such as 10s, 5m or 1h30m",
				       o->name, text);
	default:
		return cmd_usage_error(name, "--%s: '%s' is not one of %s", o->name, text, o->arg);
	}
}

/* Index of text among "text|json|csv", or -EINVAL. */
static int find_choice(const char *choices, const char *text)
{
	size_t len = strlen(text);

	for (int i = 0;; i++) {
		size_t n = strcspn(choices, "|");

		if (n == len && !memcmp(choices, text, n))
			return i;
		if (!choices[n])
			return -EINVAL;
		choices += n + 1;
	}
}

static int store(const struct opt *o, const char *text)
{
	struct opt_list *list;
	int r;

	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)o->value = true;
		return 0;
	case OPT_TEXT:
		*(const char **)o->value = text;
		return 0;
	case OPT_LIST:
		list = o->value;
		ARRAY_PUSH(list->items, list->nr, list->cap, text);
		return 0;
	case OPT_COUNT:
		return parse_count(text, o->value);
	case OPT_SIZE:
		return parse_size(text, o->value);
	case OPT_DURATION:
		return parse_duration(text, o->value);
	case OPT_CHOICE:
		r = find_choice(o->arg, text);
		if (r < 0)
			return r;
		*(int *)o->value = r;
		return 0;
	case OPT_END:
	case OPT_GROUP:
		break;
	}
	return -EINVAL;
}

/* "--form=json" as given; finds what was meant among the long names. */
static int unknown_long(const struct parser *p, const char *given)
{
	const char *names[OPTIONS_MAX + 1];
	char *name = mem_strndup(given + 2, strcspn(given + 2, "="));
	const char *nearest;

	for (size_t i = 0; i < p->nr; i++)
		names[i] = p->opts[i]->name;
	names[p->nr] = NULL;
	nearest = text_nearest(name, names);
	if (nearest) {
		const char *cmd = p->spec->name;

		cmd_note("%s%sunknown option '--%s'", cmd ? cmd : "", cmd ? ": " : "", name);
		cmd_hint("did you mean '--%s'?", nearest);
	} else {
		cmd_usage_error(p->spec->name, "unknown option '--%s'", name);
	}
	free(name);
	return EXIT_USAGE;
}

/* getopt said '?' (wrong option) or ':' (argument missing); optopt says which, argv how. */
static int explain(const struct parser *p, int answer, char **argv)
{
	const struct opt *o = parser_find(p, optopt);
	const char *name = p->spec->name;

	if (answer == ':' && o)
		return cmd_usage_error(name, "--%s needs %s", o->name,
				       o->kind == OPT_CHOICE ? "a value" : o->arg);
	if (o)
		return cmd_usage_error(name, "--%s takes no value", o->name);
	if (optopt)
		return cmd_usage_error(name, "unknown option '-%c'", optopt);
	return unknown_long(p, argv[optind - 1]);
}

static int read_options(struct parser *p, int argc, char **argv)
{
	int value;

	optind = 0; /* GNU: start afresh, also after the global options */
	opterr = 0;
	while ((value = getopt_long(argc, argv, p->shorts, p->longs, NULL)) != -1) {
		const struct opt *o = value == '?' || value == ':' ? NULL : parser_find(p, value);
		int r;

		if (!o)
			return explain(p, value, argv);
		r = store(o, optarg);
		if (r < 0)
			return bad_value(p, o, optarg, r);
	}
	return CMD_GO_ON;
}

static int check_operands(const struct cmd_spec *spec, char **operands, size_t nr)
{
	if (nr < spec->operands_min && !nr)
		return cmd_usage_error(spec->name, "nothing to work on: expected %s",
				       spec->operands ? spec->operands : "an operand");
	if (nr < spec->operands_min)
		return cmd_usage_error(spec->name, "too few operands: expected %s",
				       spec->operands ? spec->operands : "more");
	if (nr > spec->operands_max)
		return cmd_usage_error(spec->name, "unexpected operand '%s'",
				       operands[spec->operands_max]);
	return CMD_GO_ON;
}

int cmd_options(const struct cmd_spec *spec, int argc, char **argv, int *ret_first)
{
	struct parser p = {.spec = spec};
	int status;

	strcpy(p.shorts, spec->stop_at_operand ? "+:" : ":");
	parser_add(&p, spec->options);
	parser_add(&p, general);
	want_help = false;
	status = read_options(&p, argc, argv);
	if (status != CMD_GO_ON)
		return status;
	if (want_help)
		return spec->help ? spec->help() : help_command(spec);
	*ret_first = optind;
	return check_operands(spec, argv + optind, (size_t)(argc - optind));
}
