/*
 * What a region of the address space is for, as VMMap and vmmap tell it. The classification is made
 * of the snapshot's own rows (regions, modules, heaps, spans, threads), so it can be made again for
 * a snapshot that was read from a file.
 */
#ifndef SEEP_MODEL_REGIONS_H
#define SEEP_MODEL_REGIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snapshot;

enum region_kind {
	REGION_UNKNOWN, /* private anonymous memory nobody claims */
	REGION_IMAGE,	/* code, constants, data of a program or library */
	REGION_MAPPED_FILE,
	REGION_SHARED, /* shared memory: shm, memfd, shared anonymous */
	REGION_HEAP,   /* of a heap: brk, arenas, an allocator's extents */
	REGION_BLOCK,  /* one big block with a mapping of its own */
	REGION_STACK,
	REGION_GUARD,	 /* no access, beside a stack or inside a heap's reservation */
	REGION_RESERVED, /* no access, nothing in it */
	REGION_TLS,
	REGION_JIT,	 /* anonymous and executable */
	REGION_DEVICE,	 /* /dev/…: graphics, infiniband, io_uring rings … */
	REGION_KERNEL,	 /* vdso, vvar, vsyscall */
	REGION_RECORDER, /* seep's own, while recording */
	REGION_KINDS
};

enum region_vm_flags {
	REGION_VM_LOCKED = 1 << 0,     /* lo */
	REGION_VM_HUGE = 1 << 1,       /* hg: MADV_HUGEPAGE */
	REGION_VM_NO_HUGE = 1 << 2,    /* nh */
	REGION_VM_NO_DUMP = 1 << 3,    /* dd */
	REGION_VM_NO_FORK = 1 << 4,    /* dc */
	REGION_VM_WIPE_FORK = 1 << 5,  /* wf */
	REGION_VM_IO = 1 << 6,	       /* io, pf */
	REGION_VM_NO_RESERVE = 1 << 7, /* nr */
	REGION_VM_GROWS_DOWN = 1 << 8, /* gd */
	REGION_VM_HUGETLB = 1 << 9,    /* ht */
	REGION_VM_SEALED = 1 << 10,    /* sl */
	REGION_VM_USERFAULT = 1 << 11, /* um, uw, ui */
};

/* What the owner of a region is an index of. */
enum region_owner {
	REGION_OWNER_NONE,
	REGION_OWNER_MODULE,
	REGION_OWNER_HEAP,
	REGION_OWNER_THREAD
};

/*
 * By kind; a region of another kind has no owner. A guard's is the thread whose stack it ends; one
 * inside a heap's reservation has none.
 */
static inline enum region_owner region_owner_of(enum region_kind kind)
{
	switch (kind) {
	case REGION_IMAGE:
	case REGION_KERNEL:
		return REGION_OWNER_MODULE;
	case REGION_HEAP:
	case REGION_BLOCK:
	case REGION_RESERVED:
		return REGION_OWNER_HEAP;
	case REGION_STACK:
	case REGION_GUARD:
	case REGION_TLS:
		return REGION_OWNER_THREAD;
	default:
		return REGION_OWNER_NONE;
	}
}

/* "heap", "image" …: what a filter and a column say. */
const char *region_kind_name(enum region_kind kind);
/*
 * Sets kind and owner of every region; splits none, so a region in which several things lie (the
 * kernel joins neighbours of equal rights) is what most of it is. Needs regions and spans in order.
 */
void regions_classify(struct snapshot *s);

/* Bytes of [start, end) in memory, and swapped out. False: that is not known. */
typedef bool (*region_measure)(void *context, uint64_t start, uint64_t end, uint64_t *ret_resident,
			       uint64_t *ret_swapped);
/*
 * Cuts private anonymous regions at the ends of the threads' stacks and thread-local storage, where
 * each part's figures can be told: the region is all private (or has no figures), and measure
 * answers for all parts but the largest, which gets what is left. Needs regions and threads.
 */
void regions_split(struct snapshot *s, region_measure measure, void *context);

/* What a thread's memory has of a range. */
struct region_area {
	uint64_t start, end;
	uint32_t thread;
	bool is_tls; /* not part of a stack */
};

/* Known ones, ascending, as an allocated array; none overlap. */
size_t regions_areas(const struct snapshot *s, struct region_area **ret);
/* The first area that ends above addr. */
size_t regions_area_above(const struct region_area *areas, size_t nr, uint64_t addr);

/* What heaps hold of a region. */
struct region_claim {
	uint32_t heap;	   /* that holds most of it, the innermost of equals; NO_INDEX none */
	uint32_t nr_heaps; /* that lie in it */
	uint64_t spans;
	uint64_t bytes; /* of all of them; nested ones once */
};

/* Fills ret[0 … nr_regions - 1]. */
void regions_claims(const struct snapshot *s, struct region_claim *ret);

/* Parts of an image, told by rights, file and neighbours. */
enum region_section {
	REGION_SECTION_NONE, /* no image */
	REGION_SECTION_TEXT,
	REGION_SECTION_RODATA, /* headers and constants */
	REGION_SECTION_RELRO,  /* relocated, then made read-only */
	REGION_SECTION_DATA,
	REGION_SECTION_BSS,
	REGION_SECTION_GAP, /* no access: between segments */
};

enum region_section region_section(const struct snapshot *s, size_t region);
/* "text", "rodata" …; "" for none. */
const char *region_section_name(enum region_section section);

#endif
