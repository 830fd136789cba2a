/* The names of inject_names that one module has, and which of them are what they say. */
#ifndef SEEP_INJECT_MODULE_NAMES_H
#define SEEP_INJECT_MODULE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inject/functions.h"

struct exports;
struct target;
struct target_module;

/* One definition. */
struct module_name {
	const struct inject_name *name;
	uint64_t addr, size;
	bool is_local;	/* no other module can mean it */
	bool is_chosen; /* addr is that of a function which chooses (STT_GNU_IFUNC) */
};

struct module_names {
	struct module_name *items;
	size_t nr, cap;
	bool families[INJECT_FAMILIES_NR]; /* that the module has */
	bool local_c;			   /* malloc and free are there, but for the module alone */
	bool is_static; /* a program without a loader, known by its own symbol table */
	bool stripped;	/* no symbol table in its file, or the file is not to be had */
	/* "glibc", "musl" …: who supplies what the module calls malloc; "unknown". */
	const char *allocator;
	uint64_t dl_find_object, dl_debug_state; /* 0: not there */
};

/* x: of the same module; is_static: it needs no other module. */
void module_names_collect(struct target *t, const struct target_module *m, struct exports *x,
			  bool is_static, struct module_names *ret);
void module_names_release(struct module_names *f);
/* Does this definition count: has the module all that makes up such an allocator? */
bool module_names_counts(const struct module_names *f, const struct module_name *n);
/* Whose it is: see struct entry. */
const char *module_names_allocator(const struct module_names *f, const struct module_name *n);

#endif
