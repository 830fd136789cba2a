/* The help texts: made from the tables, so that they cannot disagree with what is parsed. */
#ifndef SEEP_CMD_HELP_H
#define SEEP_CMD_HELP_H

struct cmd_spec;

/* `seep`, `seep help`, `seep --help`: all commands. Returns the exit status. */
int help_overview(void);
/* `seep NAME --help`. Returns the exit status. */
int help_command(const struct cmd_spec *spec);

#endif
