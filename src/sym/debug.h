/*
 * What the ELF symbol tables and the DWARF of one module say, through elfutils. Opening is cheap;
 * debug information is searched for and indexed when the first address asks for it, unit by unit.
 * Addresses are those of the file's program headers. Nothing in the files is trusted: what does not
 * make sense is as if it were not there.
 */
#ifndef SEEP_SYM_DEBUG_H
#define SEEP_SYM_DEBUG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct debug;
struct image;

#define DEBUG_FRAMES_MAX 64 /* inlined calls shown at one address, the real function included */

struct debug_options {
	bool debuginfod; /* ask the servers of DEBUGINFOD_URLS when nothing was found here */
	/*
	 * Open the separate debug file (asked at most once), and the file shared by several debug
	 * files. A descriptor that is given away, or -1.
	 */
	int (*open_debug)(void *arg);
	int (*open_alternate)(void *arg);
	void *arg;
	const struct image
		*image; /* of the module's file; NULL unknown. Outlives the struct debug */
};

struct debug_symbol {
	const char *name; /* mangled, perhaps with "@VERSION"; lives as long as the struct debug */
	uint64_t addr, size;
	bool is_function, is_local;
};

/* One function at an address. Texts live as long as the struct debug. */
struct debug_frame {
	const char *function; /* NULL unknown */
	bool mangled;	      /* function is the linker's name of it */
	const char *folder;   /* of the compilation, for relative files; NULL unknown */
	const char *file;     /* NULL unknown */
	uint32_t line;	      /* 0 unknown */
	uint64_t start;	      /* of the real function, or of its part that holds the address */
};

/* fd is taken over, also on failure. NULL: not an ELF file that can be loaded. */
struct debug *debug_open(int fd, const char *path, const struct debug_options *o);
/*
 * The same for a module whose file is not on this machine: asks debuginfod for it by build-id.
 * `start` and `end`: its mapped range as addresses of program headers.
 */
struct debug *debug_open_remote(const char *path, uint64_t start, uint64_t end,
				const uint8_t *build_id, size_t build_id_len,
				const struct debug_options *o);
void debug_close(struct debug *d);

bool debug_has_dwarf(struct debug *d);
bool debug_has_symtab(struct debug *d); /* more than exported names */
enum debug_symbols {
	DEBUG_CODE, /* every symbol that may name code */
	DEBUG_DATA, /* variables, but for thread-local ones: their addresses are no addresses */
};
void debug_each_symbol(struct debug *d, enum debug_symbols which,
		       void (*fn)(void *arg, const struct debug_symbol *s), void *arg);
/*
 * Functions at addr by DWARF, innermost inlined one first (only the real one without `inlines`).
 * Their number, 0: no function is known, but *frames' file and line may be set all the same
 * (assembler).
 */
size_t debug_find(struct debug *d, uint64_t addr, bool inlines,
		  struct debug_frame frames[DEBUG_FRAMES_MAX]);

#endif
