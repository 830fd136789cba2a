/*
 * What the name of a mapping alone says: the kernel's own ("[vdso]"), devices, shared memory, and
 * the names that programs give to anonymous memory ("[anon:…]", prctl(PR_SET_VMA_ANON_NAME), Linux
 * 5.17). Names are chosen by the process: they decide only where nobody else claims the memory.
 */
#ifndef SEEP_MODEL_REGION_NAMES_H
#define SEEP_MODEL_REGION_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "model/regions.h"

struct region_name {
	enum region_kind kind; /* REGION_UNKNOWN: anonymous memory whose name says nothing */
	bool anonymous;	       /* no file is behind it */
	bool is_main;	       /* of a stack: the process's first one */
};

/* path as in struct region, never NULL. */
struct region_name region_name_of(const char *path, bool shared);
/* The name that a program gave to anonymous memory, without "[anon:"; its length in *ret_len. NULL
 * none. */
const char *region_given_name(const char *path, size_t *ret_len);

#endif
