/*
 * jemalloc 5.x of 64-bit programs as it looks from outside, whatever its build: found by its page
 * map, proved by its slabs' own books.
 *
 *   root[], an array in .bss ─▶ leaf[] ─▶ extent's record ─▶ address, size, state, bitmap
 *   indexed by high address bits  by page      (extent_t, since 5.3 edata_t)
 *
 * The page map (rtree.h) is the same in 5.0 to 5.3.1, and so is where a record keeps its address
 * (+8), size (+16) and bitmap (+64, a set bit is a free region). What moved are the fields of its
 * first word; which positions hold is decided by comparing the count of free regions in that word
 * with the bitmap, over many slabs. Sources: include/jemalloc/internal/{extent_structs,edata,rtree,
 * sc,size_classes,cache_bin,tcache_structs}.h of releases 5.0.0 to 5.3.1.
 */
#ifndef SEEP_HEAP_JEMALLOC_H
#define SEEP_HEAP_JEMALLOC_H

#include "heap/heap_private.h"
#include "heap/scatter.h"
#include "target/maps.h"

#define JE_SIZES_MAX 256
#define JE_RECORD_HEAD 24    /* bytes of a record that are always needed */
#define JE_RECORD_BITMAP 64  /* offset of a slab's bitmap */
#define JE_ARENA_NONE 0xfffu /* a record of no arena: of metadata */
#define JE_METADATA_ALIGN (2ull << 20)

/* How the page map is cut: depends on the build's page size and address bits. */
struct je_shape {
	uint8_t page_bits, addr_bits;
	uint8_t levels;	     /* 2, or 3 when addresses have 57 bits */
	uint8_t bits[3];     /* of the address, per level, root first */
	uint8_t entry_bytes; /* of a leaf: 8, or 16 where the pointer leaves no room for flags */
};

/* Positions in a record's first word; arena (bits 0-11), slab (12), committed (13) never moved. */
struct je_layout {
	const char *versions;
	uint8_t state_shift, state_bits;
	uint8_t index_shift; /* size class, 8 bits */
	uint8_t free_shift;  /* free regions, page_bits - 2 bits */
};

/* Usable sizes by size class. */
struct je_sizes {
	uint64_t bytes[JE_SIZES_MAX];
	unsigned int nr;
	unsigned int small; /* classes below this come in slabs */
};

enum je_state { JE_ACTIVE, JE_DIRTY, JE_MUZZY, JE_RETAINED };

/* A record, decoded. */
struct je_extent {
	uint64_t record, addr; /* addr: of the block, where it is one */
	uint64_t base, bytes;  /* whole pages */
	unsigned int arena, state, index, nr_free;
	bool slab, committed;
};

/* What heaps are made of, ascending. record 0: metadata. */
struct je_piece {
	uint64_t base, bytes, record;
	uint32_t arena;
	bool committed;
};

/* A block that a thread keeps for itself. */
struct je_cached {
	uint64_t addr;
	int32_t tid;
	uint32_t index;
};

/* A block that no program asked for, and what it is. */
struct je_internal {
	uint64_t addr;
	const char *what;
};

struct je_arena {
	uint32_t index;
	size_t heap;   /* in struct heaps */
	uint64_t addr; /* of arena_t; 0 not found */
};

/* One jemalloc; a process may hold several. */
struct je_instance {
	const char *module; /* path */
	uint64_t root;
	uint64_t bss_start, bss_end;
	struct je_shape shape;
	struct je_layout layout;
	struct je_sizes sizes;
	uint64_t pad; /* bytes that a large block's pages have to spare */
	struct je_piece *pieces;
	size_t nr_pieces, cap_pieces;
	struct je_arena *arenas;
	size_t nr_arenas, cap_arenas;
	struct je_cached *cached; /* ascending */
	size_t nr_cached, cap_cached;
	struct je_internal *internals; /* ascending */
	size_t nr_internals, cap_internals;
	size_t nr_caches;
	uint64_t nr_cached_bad; /* entries of thread caches that are no block of their size */
};

/* Regions of a slab. */
unsigned int je_regions(const struct je_instance *in, const struct je_extent *x);
/* Bytes of the root array. */
uint64_t je_root_bytes(const struct je_shape *s);
/*
 * Decides layout and sizes from slabs' records (nr, of many): the one under which every slab's
 * count equals its bitmap. False: none.
 */
bool je_layout_find(struct je_instance *in, struct scatter *p, const uint64_t *records, size_t nr);
/* False: not readable, or nothing that a record could say. */
bool je_extent_read(const struct je_instance *in, struct scatter *p, uint64_t record,
		    struct je_extent *ret);
/* Which regions are handed out: a bit each, set when busy. False: not readable. */
bool je_busy_read(const struct je_instance *in, struct scatter *p, const struct je_extent *x,
		  uint64_t *bits, unsigned int *ret_busy);
#define JE_REGIONS_MAX 8192
#define JE_BITMAP_WORDS (JE_REGIONS_MAX / 64)

/*
 * The first page in [addr, end) that the page map knows; *ret_record: of what. end: none. What is
 * not mapped by a leaf is skipped at once. Each entry looked at is taken off *budget.
 */
uint64_t je_next_page(const struct je_instance *in, struct scatter *p, uint64_t addr, uint64_t end,
		      uint64_t *budget, uint64_t *ret_record);
#define JE_BUDGET (1ull << 31) /* entries; 8 TiB of pages */
/* Looks for page maps in the writable data of every module; at most JE_INSTANCES_MAX. */
size_t je_find_roots(struct target *t, struct scatter *p, struct je_instance *items);
#define JE_INSTANCES_MAX 4
/* Fills pieces with every extent in the page map and with the blocks of metadata, in order. */
void je_collect(struct je_instance *in, struct target *t, struct scatter *p);
/* The piece that holds addr, or NULL. */
const struct je_piece *je_find_piece(const struct je_instance *in, uint64_t addr);
/* The block that holds addr, busy or not: start, size class. False: none. */
bool je_block_at(const struct je_instance *in, struct scatter *p, uint64_t addr,
		 uint64_t *ret_start, uint64_t *ret_bytes, unsigned int *ret_index);
/* Usable bytes of a block that has an extent of its own. */
uint64_t je_large_bytes(const struct je_instance *in, const struct je_extent *x);
/* Finds what threads keep, and tells the heaps who uses them; needs pieces and arenas. */
void je_find_cached(struct je_instance *in, struct heaps *h, struct scatter *p);
void je_instance_release(struct je_instance *in);

/* The block of metadata that holds addr, and the next of its chain (0 none); 0: none. */
uint64_t je_metadata_block(struct scatter *p, uint64_t addr, uint64_t *ret_bytes,
			   uint64_t *ret_next);
/* Records of the first extents, slabs before all; at most cap. */
size_t je_sample(const struct je_instance *in, struct target *t, struct scatter *p,
		 uint64_t *records, size_t cap);
/* Memory that jemalloc may have got: private and of no file, whatever its protection. */
bool je_may_hold(const struct map *m);

#endif
