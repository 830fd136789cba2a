/*
 * /proc/PID/smaps: the lines of maps, each with how much of it is in memory and of what sort.
 *
 * Read in one pass and in pieces, never as a whole: 65,000 mappings are 45 MB of text. The figures
 * are of the moment at which the kernel walked that mapping; between two mappings the process may
 * go on. Lines that are not of the kernel's form are counted and left out, a mapping that goes
 * backwards with all its figures. See maps.h for paths; fs/proc/task_mmu.c of Linux 3.x to 6.x for
 * the keys, of which the newer ones may be missing (zero then).
 */
#ifndef SEEP_TARGET_SMAPS_H
#define SEEP_TARGET_SMAPS_H

#include <stddef.h>
#include <stdint.h>

#include "target/maps.h"

/* The same bits as enum region_vm_flags in model/regions.h. */
enum smaps_vm_flags {
	SMAPS_VM_LOCKED = 1 << 0,     /* lo */
	SMAPS_VM_HUGE = 1 << 1,	      /* hg */
	SMAPS_VM_NO_HUGE = 1 << 2,    /* nh */
	SMAPS_VM_NO_DUMP = 1 << 3,    /* dd */
	SMAPS_VM_NO_FORK = 1 << 4,    /* dc */
	SMAPS_VM_WIPE_FORK = 1 << 5,  /* wf */
	SMAPS_VM_IO = 1 << 6,	      /* io, pf */
	SMAPS_VM_NO_RESERVE = 1 << 7, /* nr */
	SMAPS_VM_GROWS_DOWN = 1 << 8, /* gd */
	SMAPS_VM_HUGETLB = 1 << 9,    /* ht */
	SMAPS_VM_SEALED = 1 << 10,    /* sl */
	SMAPS_VM_USERFAULT = 1 << 11, /* um, uw, ui */
};

/* Bytes. rss is the sum of shared_* and private_*. */
struct smaps_region {
	const struct map *map; /* in the maps of struct smaps, or in what smaps_take_maps() gave */
	uint32_t vm_flags;     /* enum smaps_vm_flags */
	uint64_t rss, pss, shared_clean, shared_dirty, private_clean, private_dirty;
	uint64_t anonymous; /* of rss: pages of no file, or copied from one */
	uint64_t lazy_free; /* of anonymous: given back with MADV_FREE, not yet taken */
	uint64_t swap;	    /* not in rss */
	uint64_t locked;    /* proportional, as pss */
	uint64_t huge;	    /* in huge pages; those of hugetlbfs too, which rss leaves out */
};

struct smaps {
	struct smaps_region *items; /* ascending by address */
	size_t nr, cap;
	size_t bad_lines; /* not understood and left out */
	struct maps maps; /* the mappings alone; none after smaps_take_maps() */
};

/*
 * From a descriptor of /proc/PID. 0 or negative errno (*ret untouched); a process without memory
 * (zombie, kernel thread) gives no rows and no error.
 */
int smaps_read_at(int dir, struct smaps *ret);
/* The sums over all mappings, of smaps_rollup (Linux 4.14); map is NULL. */
int smaps_read_rollup_at(int dir, struct smaps_region *ret);
/* From text in the kernel's form. Never fails: what is not understood is counted in bad_lines. */
void smaps_parse(const char *text, size_t len, struct smaps *ret);
void smaps_release(struct smaps *s);
/*
 * Hands over the mappings, as maps_read_at() would have given them at that instant. The rows go on
 * to point to them.
 */
void smaps_take_maps(struct smaps *s, struct maps *ret);

#endif
