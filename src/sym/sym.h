/*
 * From code addresses to names: function, file:line, inlined functions, outside the target.
 *
 * A module is given by its path and build-id as they were in the target. A file is used only when its
 * build-id is the module's (or, where the module has none, when it is demonstrably the same file), so
 * a library replaced on disk never gives wrong names: it gives none, and says why.
 * Not thread-safe; everything returned belongs to the symbolizer until sym_free().
 */
#ifndef SEEP_SYM_SYM_H
#define SEEP_SYM_SYM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sym;

struct sym_options {
	const char *paths;	/* --symbols: colon-separated folders and files searched first; NULL none */
	const char *root;	/* prefix for module paths, e.g. "/proc/123/root" for another mount namespace; NULL "" */
	int pid;		/* 0: none; for map_files of deleted files and perf-PID.map */
	bool no_debuginfod;	/* default: used when the user's environment has DEBUGINFOD_URLS */
	bool no_inlines;
};

/* A module of the target; build_id_len 0: has none. bias: mapped address - address in the file. */
struct sym_module {
	const char *path;
	uint64_t start, end, bias;
	const uint8_t *build_id;
	size_t build_id_len;
};

struct sym_frame {
	const char *function;	/* demangled, never NULL, "" unknown */
	const char *file;	/* never NULL */
	uint32_t line;
	uint32_t offset;	/* address - start of the function, for the last (real) function */
};

/* How a module's symbols were found, for reports and `--verbose`. */
enum sym_source {
	SYM_NONE,		/* no symbols: file missing, build-id differs, or stripped with nothing beside it */
	SYM_EXPORTS,		/* only .dynsym */
	SYM_SYMTAB,		/* .symtab (or MiniDebugInfo) */
	SYM_DWARF,		/* functions and lines */
	SYM_PERF_MAP,
};

struct sym *sym_new(const struct sym_options *options);
void sym_free(struct sym *s);
/* Registers a module; returns its handle (>= 0). Opening is lazy. */
int sym_add_module(struct sym *s, const struct sym_module *m);
/*
 * Names of the code at `address` (a return address: pass pc - 1; offsets are of the address passed).
 * module: handle, or -1 for code in no module (JIT: perf-PID.map).
 * *ret_frames: innermost inlined function first. Returns their number, 0 when nothing is known.
 */
size_t sym_resolve(struct sym *s, int module, uint64_t address, const struct sym_frame **ret_frames);
/* Where module's symbols came from; *ret_why: a sentence for SYM_NONE ("build-id differs: …"), never NULL. */
enum sym_source sym_module_source(struct sym *s, int module, const char **ret_why);

#endif
