/*
 * Heaps of a target, seen from outside: which allocators are there, which heaps they have, every
 * block in them. Found by the properties of the structures in memory, never by symbols or version
 * numbers. One allocator a file, behind heap_ops in heap_private.h; doc/adding-an-allocator.md.
 *
 *   heaps_find() ─▶ struct heap[] (address, spans, threads)     reads little
 *   heaps_walk() ─▶ visit(block) in ascending order per span    reads every header once
 *                   and fills heap.figures, heap.fault, checks
 *
 * Nothing is ever guessed: a heap that cannot be walked has no HEAP_HAS_BLOCKS and says why.
 */
#ifndef SEEP_HEAP_HEAP_H
#define SEEP_HEAP_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/heaps.h"

struct error;
struct heaps;
struct str;
struct target;

#define HEAP_ALL SIZE_MAX

struct heap {
	enum heap_kind kind;
	const char *allocator;	 /* "glibc", "jemalloc" …; static storage */
	char name[48];		 /* "main", "arena 3" */
	uint64_t addr;		 /* of the allocator's structure; 0 none */
	size_t parent;		 /* index of the heap it lives in, SIZE_MAX none */
	uint32_t flags;		 /* enum heap_flags */
	struct heap_span *spans; /* ascending; .heap is this heap's index */
	size_t nr_spans, cap_spans;
	int32_t *tids; /* threads that allocate from it, as far as known */
	size_t nr_tids, cap_tids;
	struct heap_figures figures; /* complete after heaps_walk() */
	/* The first thing that does not fit: where, and a sentence; "" none. */
	uint64_t fault_addr;
	char fault[160];
};

/* One block, or a piece of a heap that is none. */
struct heap_block {
	uint64_t addr;	/* what malloc returned; free and top: where it would be */
	uint64_t size;	/* bytes that the program may use */
	uint64_t start; /* of header and block together */
	uint64_t total; /* bytes from start to the next one */
	size_t heap;
	enum block_state state;
	int32_t tid;	  /* cached: by which thread, 0 unknown or by none */
	const char *what; /* internal, overhead: what it is ("thread cache"); static; or NULL */
};

/* A check of books against blocks, for `what` see struct heap_check. */
struct heap_verdict {
	const char *what; /* static storage */
	size_t heap;	  /* or HEAP_ALL */
	uint64_t expected, found;
};

/*
 * Finds the heaps of a target. Fails only when the target cannot be read at all; a target without
 * any known allocator has HEAP_UNKNOWN rows. The target must outlive the result.
 */
int heaps_find(struct target *t, struct heaps **ret, struct error *e);
void heaps_free(struct heaps *h);
size_t heaps_nr(const struct heaps *h);
const struct heap *heaps_get(const struct heaps *h, size_t i);
/*
 * Name of the allocator that most of the memory is in, or that has no memory yet; for people; ""
 * none known.
 */
const char *heaps_allocator(const struct heaps *h);

/*
 * Memory outside all spans that holds an allocator's own structures (glibc's main arena in libc's
 * data): what looks like a pointer in there is not one of the program's.
 */
struct heap_own {
	uint64_t start, end;
};
const struct heap_own *heaps_own(const struct heaps *h, size_t *ret_nr);

/* Not 0: stop walking; the walk returns it. */
typedef int (*heap_visit)(void *context, const struct heap_block *block);

/*
 * Visits the blocks of heap `which` (or HEAP_ALL), span after span, each span ascending; overhead
 * too. visit NULL: only figures. A damaged heap is walked up to the damage, gets its fault, and
 * the walk goes on behind it where that is possible, otherwise with the next heap. 0; what visit
 * returned; or negative errno with *e (the target is gone).
 */
int heaps_walk(struct heaps *h, size_t which, heap_visit visit, void *context, struct error *e);
/* What the last complete walk of all heaps checked; belongs to h. */
const struct heap_verdict *heaps_verdicts(const struct heaps *h, size_t *ret_nr);

/* The heap whose span holds addr, the innermost one; HEAP_ALL none. */
size_t heaps_find_heap(const struct heaps *h, uint64_t addr);
/* The block that holds addr (header included). 0, -ENOENT: no heap, or a negative errno. */
int heaps_find_block(struct heaps *h, uint64_t addr, struct heap_block *ret);
/* addr: what malloc returned, or would; tid: of the thread. */
typedef void (*heap_hand)(void *context, uint64_t addr, int32_t tid);
/*
 * Blocks that threads in the middle of the allocator may hold by other means than a pointer to
 * them: by their header, by a link that the allocator alone can read. Some of these are no blocks.
 */
void heaps_in_hand(struct heaps *h, heap_hand take, void *context);
/* Appends the block's header, decoded, a line each ("size 0xc10, previous in use"). */
void heaps_describe(struct heaps *h, const struct heap_block *block, struct str *out);

#endif
