/*
 * Ranges of a frozen target that cannot be read where the rest is read: kept in a copy of ours, or
 * known not to be had.
 */
#ifndef SEEP_TARGET_PATCHES_H
#define SEEP_TARGET_PATCHES_H

#include <stddef.h>
#include <stdint.h>

struct procmem;

enum patch_kind {
	PATCH_BYTES,	/* as it was, in our memory */
	PATCH_MISSING,	/* not to be had: reads end before it */
	PATCH_RESIDENT, /* only pages that are there may be touched (userfaultfd) */
};

struct patch {
	uint64_t start, end;
	enum patch_kind kind;
	uint8_t *bytes; /* end - start of them, owned; PATCH_BYTES only */
};

struct patches {
	struct patch *items; /* ascending, apart from each other */
	size_t nr, cap;
};

/* Takes over bytes. What overlaps a range that is there already is left out. */
void patches_add(struct patches *p, uint64_t start, uint64_t end, enum patch_kind kind,
		 uint8_t *bytes);
void patches_release(struct patches *p);
struct procmem_run;

/* As procmem_next_used(): what is patched counts as used. */
int patches_next_used(const struct patches *p, struct procmem *m, uint64_t from, uint64_t end,
		      struct procmem_run *ret);
/* As procmem_read(), with the patches over it. */
size_t patches_read(const struct patches *p, struct procmem *m, uint64_t addr, void *buffer,
		    size_t len);

#endif
