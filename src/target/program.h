/*
 * From what the user typed to a program that can be recorded: search in PATH, scripts, and the
 * reasons why the recorder could not be loaded into it, found out before it is started.
 */
#ifndef SEEP_TARGET_PROGRAM_H
#define SEEP_TARGET_PROGRAM_H

#include <stdbool.h>

struct error;

struct program {
	char *path;  /* what to execute */
	char *image; /* the ELF file that will run: path itself, or the interpreter of the script */
	bool is_static; /* image has no loader, so nothing can be preloaded */
	bool by_shell;	/* no format of its own: /bin/sh runs it, as execvp() would have it */
};

#define PROGRAM_INIT                                                                               \
	{                                                                                          \
		.path = 0                                                                          \
	}

/*
 * name with a slash is a path, otherwise it is looked for in PATH as execvp() does. 0, or negative
 * errno with *e (status EXIT_TARGET): not found, not executable, a directory, broken, of another
 * machine, or with privileges of its own. A program that may be run and not read is let pass.
 */
int program_open(const char *name, struct program *ret, struct error *e);
void program_release(struct program *p);

#endif
