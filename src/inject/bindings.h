/*
 * What the loader will bind a name to that a module has not called yet. Said only where it is
 * certain: the loader looks at the program and what was loaded with it, in order, and takes the
 * first; of what was loaded later, what is looked at depends on how.
 */
#ifndef SEEP_INJECT_BINDINGS_H
#define SEEP_INJECT_BINDINGS_H

#include <stddef.h>
#include <stdint.h>

#include "inject/exports.h"

struct target;

struct bindings {
	struct target *target;
	/* Modules as the loader lists them, the first nr_listed of `order`: indices. */
	size_t *order, nr_listed;
	struct exports *exports; /* of each of them, by place in the list */
	size_t libc;		 /* place of glibc: all before it came with the program */
};

/* r_debug: as of struct entries. */
void bindings_open(struct bindings *b, struct target *t, uint64_t r_debug);
void bindings_release(struct bindings *b);
/* The address that module `m` (an index) will call by this name; 0: that is not certain. */
uint64_t bindings_find(struct bindings *b, size_t m, const char *name);

#endif
