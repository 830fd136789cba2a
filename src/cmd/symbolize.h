/*
 * Fills the frames of a snapshot with names. The glue between sym/, which knows files, and model/,
 * which knows stacks; a live process is asked for what only it can tell (its root, deleted files).
 */
#ifndef SEEP_CMD_SYMBOLIZE_H
#define SEEP_CMD_SYMBOLIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sym/sym.h"

struct progress;
struct snapshot;
struct str;

struct symbolize_options {
	const char *symbols; /* --symbols: colon-separated folders and files; NULL none */
	bool no_debuginfod;
	bool no_inlines;
	bool again;   /* also frames that have names; where nothing is found they keep them */
	bool offline; /* do not look at the process, even when it is still there */
	struct progress *progress; /* NULL: none; counted in frames */
};

/* What is known of one module; frames are those that this call looked up. */
struct symbolize_module {
	enum sym_source source; /* meaningful when frames > 0 */
	char *why;		/* reason of SYM_NONE, or a reservation, or "" */
	size_t frames, named;
};

struct symbolize_summary {
	size_t frames;	/* looked up: all but special ones and those that had names */
	size_t named;	/* with at least a function or a line */
	size_t kept;	/* had names already */
	size_t outside; /* looked up, in no module */
	/* Modules that a looked-up frame is in, by what was found. */
	size_t modules_with_lines, modules_with_names, modules_with_exports, modules_without;
	struct symbolize_module *modules; /* as many as the snapshot has, in its order */
	size_t nr_modules;
};

/*
 * Resolves every frame once, at pc - 1, and sets symbols_resolved. Whatever cannot be found is left
 * without symbols and counted. 0 or -EINVAL (indices of the snapshot are broken; nothing changed).
 * *ret is to be released; NULL: not wanted.
 */
int symbolize_snapshot(struct snapshot *s, const struct symbolize_options *o,
		       struct symbolize_summary *ret);
void symbolize_summary_release(struct symbolize_summary *summary);

/* Names of variables, one at a time, in the modules of a snapshot. */
struct variables;
struct variables *variables_open(const struct snapshot *s, const struct symbolize_options *o);
void variables_close(struct variables *v);
/* The symbolizer behind it; handles of modules are the rows of the snapshot. */
struct sym *variables_sym(struct variables *v);
/*
 * Appends what is written before and behind an offset: "name" and " (libshop.so)", the module where
 * it is not the program's own; where no variable is known, "module" and nothing. *ret_base: where
 * offsets count from. Is a variable known? Where the address is in no module nothing is appended
 * and *ret_base is 0.
 */
bool variables_name(struct variables *v, uint64_t address, struct str *before, struct str *behind,
		    uint64_t *ret_base);
/* Where the variable begins that holds address; 0: none is known. */
uint64_t variables_start(struct variables *v, uint64_t address);

#endif
