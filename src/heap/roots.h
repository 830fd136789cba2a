/*
 * Where a program keeps the pointers that it can still use: all memory of its own that is not a
 * heap, the registers of its threads, and what the kernel keeps for it.
 *
 * Left out, because what lies there is no longer used: stacks below their stack pointer, stacks of
 * threads that have ended (the C library keeps them mapped), the allocators' own structures, seep's
 * recorder. Everything else counts that is private or shared memory, whoever made it and however it
 * is protected now: coroutine stacks, JIT memory, a program's own arenas, sealed tables.
 */
#ifndef SEEP_HEAP_ROOTS_H
#define SEEP_HEAP_ROOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct extra_blocks;
struct heaps;
struct target;
struct target_module;

enum root_kind {
	ROOT_GLOBAL,	  /* data of a program or library, relocated constants included */
	ROOT_STACK,	  /* live part of a thread's stack, its thread-local storage above it too */
	ROOT_THREAD_DATA, /* thread-local storage elsewhere */
	ROOT_MEMORY,	  /* any other private writable memory */
	ROOT_SHARED,	  /* shared writable memory */
	ROOT_REGISTER,
	ROOT_KERNEL,
	ROOT_KINDS
};

/* Memory to be read. */
struct root_range {
	uint64_t start, end;
	enum root_kind kind;
	int32_t tid;			    /* stack, thread data; 0 unknown */
	const struct target_module *module; /* global */
	const char *path;		    /* of the mapping; "" anonymous */
};

/* A word that is not in the target's memory. */
struct root_word {
	uint64_t value;
	enum root_kind kind; /* ROOT_REGISTER, ROOT_KERNEL */
	int32_t tid;	     /* register */
	char what[48];	     /* "register", "epoll 5, descriptor 9", "timer 0" */
};

struct roots {
	struct root_range *ranges; /* ascending */
	size_t nr_ranges, cap_ranges;
	struct root_word *words;
	size_t nr_words, cap_words;
	/* What was left out, bytes: stacks of ended threads, below stack pointers. */
	uint64_t dead_bytes;
	size_t nr_other;		  /* pieces of memory that ROOTS_NO_OTHER left out */
	const struct extra_blocks *extra; /* see roots_add_blocks(); NULL none */
	bool has_registers; /* of every thread; false: pointers in flight may be missed */
	bool has_kernel;    /* what the kernel keeps could be asked for */
};

enum roots_options {
	ROOTS_NO_SHARED = 1 << 0,
	ROOTS_NO_OTHER = 1 << 1,  /* without ROOT_MEMORY */
	ROOTS_ALL_STACK = 1 << 2, /* stacks below the stack pointer too */
};

/* *ret points into the target, which must outlive it. Cannot fail: what cannot be had is absent. */
void roots_find(struct target *t, struct heaps *h, unsigned int options, struct roots *ret);
/*
 * What these blocks lie in is no root any more; reachable_find() takes them as blocks. They must
 * outlive the roots.
 */
void roots_add_blocks(struct roots *r, const struct extra_blocks *extra);
void roots_release(struct roots *r);
/* "global data", "stack" … */
const char *root_kind_name(enum root_kind kind);
/* The range that holds addr, or NULL. */
const struct root_range *roots_find_range(const struct roots *r, uint64_t addr);

#endif
