/*
 * A stack as people read it: one line per function, inlined ones included, innermost first, each
 * with a word on what kind of code it is.
 *
 *   lines[0]  malloc                 LINE_ALLOCATOR   ┐ folded away in short displays:
 *   lines[1]  operator new           LINE_ALLOCATOR   ┘ everything before lines.inner
 *   lines[2]  battery_info_new       LINE_OWN, inlined into the next line
 *   lines[3]  worker_turn            LINE_OWN
 *   lines[4]  start_thread           LINE_STARTUP     ┐ folded away too: from lines.outer on
 *   lines[5]  clone3                 LINE_STARTUP     ┘
 *
 * Texts belong to the snapshot and stay valid as long as it is not changed.
 */
#ifndef SEEP_MODEL_LINES_H
#define SEEP_MODEL_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snapshot;
struct str;

enum line_kind {
	LINE_OWN,     /* code of the program or of its private libraries */
	LINE_LIBRARY, /* a system library, or a library's source compiled in (templates, headers) */
	LINE_ALLOCATOR, /* malloc, operator new, and what is under them */
	LINE_RECORDER,	/* seep's own */
	LINE_STARTUP,	/* how every program and thread begins */
	LINE_MARK,	/* no code: says why the stack ends here, see `special` */
	LINE_TAG,	/* no code: a scope that the program has named; `function` is "[NAME]" */
};

struct line {
	enum line_kind kind;
	uint8_t special;	  /* enum special_frame; FRAME_NONE for code */
	bool inlined;		  /* inlined into the next line */
	uint8_t build_id_len;	  /* 0: none */
	uint32_t line;		  /* 0 unknown */
	uint32_t function_offset; /* of the return address in the function, bytes; 0 when inlined */
	const char *function;	  /* demangled; "" unknown */
	const char *file;	  /* as the compiler knew it; "" unknown */
	const char *module;	  /* path; "" none */
	const uint8_t *build_id;
	uint64_t address;	/* return address in the process; 0 for marks */
	uint64_t module_offset; /* the same in the module's file */
};

struct lines {
	struct line *items;
	size_t nr, cap;	     /* nr >= 1 after lines_of_stack() */
	size_t inner, outer; /* what is worth reading: [inner, outer), never empty */
};

/*
 * Names of further functions to be taken for allocator functions (a program's own wrappers), as
 * patterns of whole names with '*'. NULL or nr 0: none.
 */
struct wrapper_names {
	const char *const *patterns;
	size_t nr;
};

void lines_init(struct lines *l);
void lines_release(struct lines *l);
/* Replaces the contents by the stack that ends at `node` of s. */
void lines_of_stack(struct lines *l, const struct snapshot *s, uint32_t node,
		    const struct wrapper_names *wrappers);

/* Its tags, outermost first: "[request] [query]"; nothing where it has none. */
void lines_tags(const struct lines *l, struct str *out);

#endif
