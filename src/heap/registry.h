/* Which allocators heaps_find() looks for, and in which order. */
#ifndef SEEP_HEAP_REGISTRY_H
#define SEEP_HEAP_REGISTRY_H

struct heap_ops;

/* Ended by NULL. */
extern const struct heap_ops *const heap_registry[];

#endif
