/*
 * Every allocator entry point of a running process, found from outside: nothing is stopped, nothing
 * is written.
 *
 * Exported symbols are read from the process's own memory; those of static programs and hidden ones
 * from the symbol table of the file that is mapped, whatever its name means by now. Which modules
 * there are is taken from the mappings, so that namespaces of dlmopen() are seen, too. A process
 * that loads or unloads a library meanwhile may be seen in between: whoever patches compares the
 * bytes at the entry with `bytes` once the process stands still.
 */
#ifndef SEEP_INJECT_ENTRIES_H
#define SEEP_INJECT_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "inject/functions.h"

struct error;
struct target;

/* Bytes of each function that are kept at most: what its code is moved and searched by. */
#define ENTRY_BYTES_MAX 16384
/* In the place of the bytes that are taken of an entry: none, slots.h is about it. */
#define ENTRY_BY_SLOTS 255

struct entry {
	enum inject_function function;
	uint64_t addr;
	uint64_t size;	    /* of the function, 0 unknown */
	const char *module; /* path; "" the program; belongs to the target */
	const char *name;   /* the symbol: "je_malloc" */
	/*
	 * Whose it is: "glibc", "jemalloc", "tcmalloc", "mimalloc", "musl", "unknown", as in struct
	 * wire_header; "" of what is no allocator's (dlclose).
	 */
	const char *allocator;
	/*
	 * The same address is in the list already, earlier: then that one says what the function
	 * is, and this one only what else it is called.
	 */
	bool is_alias_of_earlier;
	/* Of malloc and free: it never calls another of these; see apart.h. */
	bool is_apart;
	/* Of functions of pairs. */
	bool is_needed; /* without it the user would not have what was asked for */
	uint32_t what;	/* see WIRE_PAIR_KIND in wire/blob.h */
	/* As read from the process; at most the function's size, where that is known. */
	uint8_t *bytes;
	size_t bytes_nr;
};

/* A function that was found and cannot be had. */
struct entry_skipped {
	const char *name, *module;
	const char *why; /* "its address is chosen at its first use" */
};

struct entries {
	/* By module in search order, then by address; the first of an address is the one to use. */
	struct entry *items;
	size_t nr, cap;
	struct entry_skipped *skipped;
	size_t nr_skipped, cap_skipped;
	size_t modules_nr;	 /* that were looked at */
	const char *allocator;	 /* the one that malloc means to the program */
	uint64_t allocator_addr; /* of that malloc; 0: there is no malloc, only other names */
	const char *allocator_module;
	/* Of use to the recorder inside; 0: there is none. */
	uint64_t dl_find_object;     /* glibc >= 2.35: _dl_find_object */
	uint64_t dl_debug_state;     /* _dl_debug_state: called when modules have come or gone */
	uint64_t r_debug;	     /* struct r_debug of the first namespace */
	uint64_t vdso_clock_gettime; /* __vdso_clock_gettime */
	uint64_t file_number, dir_number; /* fileno, dirfd; looked for with pairs only */
	bool has_loader;		  /* false: a static program */
};

#define ENTRIES_INIT                                                                               \
	{                                                                                          \
		.items = NULL                                                                      \
	}

/*
 * t: a live 64-bit process (TARGET_WISH_LIVE); it must outlive *ret. 0, or negative errno with *e
 * (EXIT_TARGET, with a hint): nothing can be found, because it is static and stripped, has no
 * allocator, or is of another kind of machine.
 */
int entries_find(struct target *t, struct entries *ret, struct error *e);
void entries_release(struct entries *e);
/* Fills e->bytes, which is overwritten, from addr and size. */
void entry_read_bytes(struct target *t, struct entry *e);

#endif
