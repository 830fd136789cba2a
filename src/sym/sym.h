/*
 * From code addresses to names: function, file:line, inlined functions, outside the target.
 *
 * A module is given by its path and build-id as they were in the target. A file is used only when
 * its build-id is the module's (or, where the module has none, when it is demonstrably the same
 * file), so a library replaced on disk never gives wrong names: it gives none, and says why.
 *
 * Not thread-safe; everything returned belongs to the symbolizer until sym_free().
 */
#ifndef SEEP_SYM_SYM_H
#define SEEP_SYM_SYM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sym;

struct sym_options {
	const char *paths; /* --symbols: folders and files searched first, with colons; or NULL */
	const char *root;  /* folder that the target sees as "/"; NULL ours */
	int root_fd; /* the same as a descriptor (duplicated), used when root is NULL; 0 none */
	int pid;     /* for perf-PID.map; 0 none */
	int namespace_pid; /* pid as the target itself sees it, in a container; 0: as pid */
	unsigned int uid;  /* of the target: its perf-PID.map is believed, as root's and ours are */
	bool no_debuginfod; /* default: used when the user's environment has DEBUGINFOD_URLS */
	bool no_inlines;
	/*
	 * A live target's own view of its mappings; NULL: none. They let deleted and replaced files
	 * be read, and files without a build-id be recognised. open_mapped: a descriptor that
	 * becomes the symbolizer's, or -1. process: their arg; must live as long as the symbolizer.
	 */
	int (*open_mapped)(void *process, uint64_t address);
	bool (*is_mapped)(void *process, uint64_t address, uint64_t device, uint64_t inode);
	void *process;
};

/* A module of the target; build_id_len 0: has none. bias: mapped address - address in the file. */
struct sym_module {
	const char *path;
	uint64_t start, end, bias;
	const uint8_t *build_id;
	size_t build_id_len;
	bool replaced; /* the file at path is known to be another one: do not look at it */
	bool unloaded; /* no longer mapped: something else may be there now */
};

struct sym_frame {
	const char *function; /* demangled, never NULL, "" unknown */
	const char *file;     /* never NULL */
	uint32_t line;
	/*
	 * address - start of the function, for the last (real) function; in a part of a function
	 * that the compiler moved away (".cold"), from the start of that part.
	 */
	uint32_t offset;
};

/* How a module's symbols were found, for reports and `--verbose`. */
enum sym_source {
	SYM_NONE,    /* file missing, build-id differs, or stripped with nothing beside it */
	SYM_EXPORTS, /* only .dynsym */
	SYM_SYMTAB,  /* .symtab (or MiniDebugInfo) */
	SYM_DWARF,   /* functions and lines */
	SYM_PERF_MAP,
};

struct unwind_frame;
struct unwind_thread;

struct sym *sym_new(const struct sym_options *options);
void sym_free(struct sym *s);
/* Registers a module; returns its handle (>= 0). Opening is lazy. */
int sym_add_module(struct sym *s, const struct sym_module *m);
/*
 * Names of the code at `address` (a return address: pass pc - 1; offsets are of the address
 * passed). module: handle, or -1 for code in no module (JIT: perf-PID.map).
 *
 * *ret_frames: innermost inlined function first. Returns their number, 0 when nothing is known.
 */
size_t sym_resolve(struct sym *s, int module, uint64_t address,
		   const struct sym_frame **ret_frames);
/*
 * The variable that holds `address`: its name, demangled, and how far behind its beginning the
 * address is. NULL: none is known. Thread-local variables are not among them.
 */
const char *sym_variable(struct sym *s, int module, uint64_t address, uint64_t *ret_offset);
/*
 * The calls that a thread of the target is in (unwind.h), innermost first, at most max. All modules
 * must have been added.
 */
size_t sym_unwind(struct sym *s, const struct unwind_thread *t, struct unwind_frame *ret,
		  size_t max);
/*
 * Where module's symbols came from. *ret_why: for SYM_NONE the reason ("build-id differs: …"), else
 * "" or a reservation ("no build-id: recognised by its size only"); never NULL.
 */
enum sym_source sym_module_source(struct sym *s, int module, const char **ret_why);
/* Path of the file that the names are read from (debug file before program), "" none. */
const char *sym_module_file(struct sym *s, int module);

#endif
