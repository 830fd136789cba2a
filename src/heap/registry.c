/* The allocators that are known: those that others live in come first, the unknown last. */
#include "heap/registry.h"

#include <stddef.h>

#include "heap/heap_private.h"

const struct heap_ops *const heap_registry[] = {
	&heap_glibc, &heap_jemalloc, &heap_musl, &heap_python, &heap_unknown, NULL,
};
