/* The allocators that are known, one a line: those that others live in come first. */
#include "heap/registry.h"

#include <stddef.h>

#include "heap/heap_private.h"

const struct heap_ops *const heap_registry[] = {
	&heap_glibc,
	&heap_jemalloc,
	&heap_musl,
	&heap_python,
	NULL,
};
