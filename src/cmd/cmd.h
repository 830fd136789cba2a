/*
 * What all commands share: the table of commands, how an option is declared, how failures are told.
 *
 * A command is one file src/cmd/NAME.c with `int cmd_NAME(int argc, char **argv)`, argv[0] being
 * its name; it returns an enum exit_status. Only this layer prints to stderr or decides the exit
 * status.
 */
#ifndef SEEP_CMD_CMD_H
#define SEEP_CMD_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/term.h"

struct command {
	const char *name;
	const char *summary; /* one line of `seep help`: lower case, no full stop */
	const char *group;   /* heading in `seep help`; commands of one group stand together */
	int (*run)(int argc, char **argv);
};

/* In the order of `seep help`. Ends with name NULL. */
extern const struct command commands[];
const struct command *command_find(const char *name); /* NULL: no such command */
/* Says so, and which command may have been meant. Returns EXIT_USAGE. */
int command_unknown(const char *name);

int cmd_run(int argc, char **argv);
int cmd_attach(int argc, char **argv);
int cmd_detach(int argc, char **argv);
int cmd_snap(int argc, char **argv);
int cmd_mark(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_heaps(int argc, char **argv);
int cmd_blocks(int argc, char **argv);
int cmd_core(int argc, char **argv);
int cmd_leaks(int argc, char **argv);
int cmd_refs(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_flags(int argc, char **argv);
int cmd_mode(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_help(int argc, char **argv);

/* Global options, then the command; the whole of main(). */
int cmd_main(int argc, char **argv);

/*
 * Options are a table, so that parsing, --help and the manual cannot drift apart. OPT_GROUP starts
 * a heading in --help. value must hold its default before cmd_options() is called; it is written
 * only when the option is given.
 */
enum opt_kind {
	OPT_END = 0,
	OPT_GROUP,    /* name: heading */
	OPT_FLAG,     /* bool: set to true */
	OPT_TEXT,     /* const char *: points into argv */
	OPT_LIST,     /* struct opt_list: may be given again; points into argv */
	OPT_COUNT,    /* uint64_t: "20"; thousands separators are not read */
	OPT_SIZE,     /* uint64_t bytes: "10M", "1.5GiB" */
	OPT_DURATION, /* uint64_t ns: "10s", "5m", "1h30m" */
	OPT_CHOICE,   /* int: index into arg, which is "text|json|csv" */
};

struct opt {
	enum opt_kind kind;
	char letter;	  /* 0: none */
	const char *name; /* long name without dashes */
	const char *arg;  /* placeholder in --help ("FILE"), or the choices; NULL for OPT_FLAG */
	const char *help; /* lower case, no full stop; wrapped to the terminal; "\n" breaks */
	void *value;
};

struct opt_list {
	const char **items; /* free with opt_list_release() */
	size_t nr, cap;
};

void opt_list_release(struct opt_list *l);

struct cmd_spec {
	const char *name;	     /* "diff" */
	const char *const *usage;    /* "[OPTION...] OLD NEW", one a form; ends with NULL */
	const char *purpose;	     /* one or two sentences, with full stops */
	const struct opt *options;   /* ends with OPT_END; --color and --help are added */
	const char *const *examples; /* pairs: command line, what it does; ends with NULL */
	const char *found;    /* meaning of exit status 1, NULL: the command never gives it */
	bool stop_at_operand; /* the first operand ends the options (seep run CMD …) */
	size_t operands_min, operands_max; /* checked here; both 0: none are taken; SIZE_MAX: any */
	const char *operands; /* for the message when some are missing: "two snapshots" */
	int (*help)(void);    /* NULL: made from this table */
};

/* What cmd_options() adds to every command. */
const struct opt *general_options(void);

#define CMD_GO_ON (-1)

/*
 * Reads argv by the table. CMD_GO_ON: go on, operands are argv[*ret_first] … argv[argc - 1]
 * (options between operands have been moved in front). Otherwise the status to return: --help was
 * printed, or the usage was wrong and has been explained.
 */
int cmd_options(const struct cmd_spec *spec, int argc, char **argv, int *ret_first);

/* Prints "seep: MESSAGE", then "hint: …" if there is one, on stderr, and returns the exit status.
 */
int cmd_fail(const struct error *e);
/* "seep: warning: …" on stderr; for what makes a result incomplete. */
void cmd_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "seep: …" on stderr: a remark beside the result ("wrote one.seep"). */
void cmd_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "hint: …" on stderr, after a note or warning. */
void cmd_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "seep: CMD: …" and the hint to try --help; cmd NULL: plain seep. Returns EXIT_USAGE. */
int cmd_usage_error(const char *cmd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Colours for standard output as --color, NO_COLOR and the terminal want it. Never NULL. */
const struct palette *cmd_palette(void);

/*
 * Writes text to standard output, all of it. 0, or EXIT_FILE after an explanation (disk full); a
 * reader that went away (EPIPE) is quietly EXIT_DONE's business and gives 0.
 */
int cmd_print(const char *text, size_t len);

#endif
