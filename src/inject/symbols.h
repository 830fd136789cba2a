/* The symbol table (.symtab) of an ELF file: what a static program, or one not stripped, has. */
#ifndef SEEP_INJECT_SYMBOLS_H
#define SEEP_INJECT_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>

struct symbol {
	const char *name;    /* valid during the call */
	uint64_t addr, size; /* as in the file: without the bias */
	bool is_local, is_chosen;
};

/*
 * Calls each() for every defined function in the file's own symbol table that begins with four
 * characters which some name of inject_names, or of `more` (NULL-terminated), begins with. 0;
 * -ENOENT: it has no such table (stripped); -EPROTO: the file makes no sense; -EFBIG: too large.
 */
int symbols_each(int fd, const char *const *more, void (*each)(void *arg, const struct symbol *s),
		 void *arg);

#endif
