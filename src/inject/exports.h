/*
 * What a module exports, by name, from its tables in the process's memory. All versions of a symbol
 * are found: older programs may use the older one.
 */
#ifndef SEEP_INJECT_EXPORTS_H
#define SEEP_INJECT_EXPORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPORTS_NAME_BYTES 256 /* of the longest name that is found, with its NUL */

struct target;
struct target_module;

struct exports {
	struct target *target;
	const struct target_module *module;
	uint64_t symbols, strings; /* addresses of the tables */
	uint64_t debug;		   /* DT_DEBUG: struct r_debug; 0 none */
	bool needs_others;	   /* has DT_NEEDED */
	bool has_versions;	   /* DT_VERDEF: what it exports has versions */
	bool looks_at_itself;	   /* for what it calls, before it looks at others (DT_SYMBOLIC) */
	/* GNU hash table, read whole, but for its chains. */
	uint32_t nr_buckets, first_symbol, shift, nr_words;
	uint64_t *words;
	uint32_t *buckets;
	uint64_t chains;
	/* Or the older one. */
	uint32_t plain_nr_buckets, plain_nr_symbols;
	uint64_t plain;
};

struct export
{
	uint64_t addr, size;
	bool is_function, is_chosen; /* chosen: by a function at addr (STT_GNU_IFUNC) */
};

/* The address that a pointer in a dynamic section means: the loader may have added the bias. */
uint64_t exports_rebase(const struct target_module *m, uint64_t value);
/* False: it exports nothing that can be read. Release it in either case. */
bool exports_open(struct exports *x, struct target *t, const struct target_module *m);
void exports_release(struct exports *x);
/* Finds the definitions of one name, at most cap; returns how many. */
size_t exports_find(struct exports *x, const char *name, struct export *ret, size_t cap);
bool exports_has(struct exports *x, const char *name);
/* The address of the first definition; 0 none. */
uint64_t exports_address(struct exports *x, const char *name);

#endif
