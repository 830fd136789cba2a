/* What an allocator's file gives to heap.c, and what it gets. */
#ifndef SEEP_HEAP_HEAP_PRIVATE_H
#define SEEP_HEAP_HEAP_PRIVATE_H

#include "heap/heap.h"

struct walk;

/* One allocator. Every function may find hostile bytes; none may trust a length or loop for ever.
 */
struct heap_ops {
	const char *allocator;
	/*
	 * Looks for this allocator and adds its heaps with heaps_add(). *ret_state: its own data,
	 * NULL when it is not there. 0 also then; negative errno with *e: the target is gone.
	 */
	int (*find)(struct heaps *h, void **ret_state, struct error *e);
	/*
	 * Emits every block of heap i, ascending within each span, with walk_emit(). What it counts
	 * itself it compares with walk_verdict(). 0; what walk_emit() returned; negative errno.
	 */
	int (*walk)(struct walk *w, void *state, size_t i);
	/* Books that concern all heaps of the allocator, after the last; NULL: none. */
	void (*finish)(struct walk *w, void *state);
	/* See heaps_describe(); NULL: nothing to say. */
	void (*describe)(struct heaps *h, void *state, const struct heap_block *b, struct str *out);
	/* See heaps_in_hand(); NULL: threads in the middle hold blocks by plain pointers only. */
	void (*in_hand)(struct heaps *h, void *state, heap_hand take, void *context);
	void (*free_state)(void *state);
};

extern const struct heap_ops heap_glibc, heap_jemalloc, heap_musl, heap_python, heap_unknown;

struct target *heaps_target(struct heaps *h);
/* A new heap of this allocator, zeroed but for its index and parent; valid until the next call. */
struct heap *heaps_add(struct heaps *h, const struct heap_ops *ops, enum heap_kind kind,
		       size_t *ret_index);
struct heap *heaps_at(struct heaps *h, size_t i);
void heap_add_span(struct heap *heap, size_t index, uint64_t start, uint64_t committed_end,
		   uint64_t end);
/*
 * There is an allocator, it serves malloc(), and it has no memory yet: whatever else the process
 * has is nobody's heap. name: static storage.
 */
void heaps_set_idle(struct heaps *h, const char *name);
bool heaps_is_idle(const struct heaps *h);
/* See heaps_own(). */
void heaps_add_own(struct heaps *h, uint64_t start, uint64_t end);
void heap_add_tid(struct heap *heap, int32_t tid);

/*
 * Hands a block to the visitor and adds it to the figures. total must be inside a span of the heap.
 * size of a block that is not overhead: usable bytes; the rest of total counts as overhead.
 */
int walk_emit(struct walk *w, const struct heap_block *b);
struct heaps *walk_heaps(struct walk *w);
/* The first fault of a heap is kept, and HEAP_SUSPECT set. */
void walk_fault(struct walk *w, size_t heap, uint64_t addr, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void walk_verdict(struct walk *w, const char *what, size_t heap, uint64_t expected, uint64_t found);

#endif
