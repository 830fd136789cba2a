/*
 * musl's mallocng (musl 1.2.1 and newer) as it looks from outside: no symbols needed, since its
 * structures carry a secret word and point at each other.
 *
 *   context (.bss): secret, …, first and last page of records, …, active[48], slots by class[48]
 *        │
 *        ▼ page of records: secret, next page, nr, record[nr]
 *                                                  │ memory, which slots are free, class, pages
 *                                                  ▼
 *          group: back pointer │ slot 0 │ slot 1 │ …          a group may lie in a slot of another
 *
 * Source: src/malloc/mallocng/{meta.h,malloc.c,free.c,aligned_alloc.c,donate.c} of musl 1.2.5; the
 * layout is the same since 1.2.1. Both word sizes.
 */
#ifndef SEEP_HEAP_MUSL_H
#define SEEP_HEAP_MUSL_H

#include "heap/heap_private.h"
#include "heap/scatter.h"

#define MUSL_UNIT 16u
#define MUSL_CLASSES 48u
#define MUSL_CLASS_DIRECT 63u /* a mapping of its own */
#define MUSL_AREA 4096u	      /* a page of records */
#define MUSL_HEADER 4u	      /* bytes in front of a block that tell where it is */

struct musl_group {
	uint64_t record, mem;
	uint32_t free_mask; /* slots that are not handed out */
	uint8_t nr;	    /* slots */
	uint8_t class;
	bool freeable;	/* not: given to malloc by the loader, a gap in a module */
	uint64_t pages; /* of 4 KiB; 0: it lies in a slot of another group, or in a module */
	uint64_t bytes; /* of the whole group, head included */
};

/* A copy of mallocng: one in a process, unless somebody linked it in twice. */
struct musl {
	uint64_t context, context_end, secret;
	unsigned int word; /* bytes: 8 or 4 */
	uint64_t used_by_class[MUSL_CLASSES];
	struct musl_group *groups; /* ascending by mem */
	size_t nr_groups, cap_groups;
	uint64_t *areas; /* ascending */
	size_t nr_areas, cap_areas;
	size_t main_heap, direct_heap; /* in struct heaps; SIZE_MAX none */
	size_t nr_bad; /* records whose memory does not point back, or that cannot be */
};

/* Bytes from one slot to the next. */
uint64_t musl_stride(const struct musl_group *g);
/* Looks for a context in the modules' data. False: none. */
bool musl_find_context(struct target *t, struct scatter *p, struct musl *ret);
/* Fills areas and groups. */
void musl_collect(struct musl *m, struct scatter *p);
/*
 * The block in slot i of a group: address and the size that the program asked for. False: its
 * header contradicts itself.
 */
bool musl_block(struct scatter *p, const struct musl_group *g, unsigned int i, uint64_t *ret_addr,
		uint64_t *ret_size);
/* Where slot i begins, its header included. */
uint64_t musl_slot(const struct musl_group *g, unsigned int i);

#endif
