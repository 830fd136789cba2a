/*
 * References: which block points to which, and what outside of blocks points to them. All that is
 * asked of memory to say what has leaked and who holds the rest, without the memory.
 *
 *   owner[o] ◀── root[…] ──▶ block[b] ◀── edge[…]     edges of block b: the nr_edges ones behind
 *                                                     those of block b - 1, ascending by slot
 *
 * A block's number is its row; rows ascend by address, and reach.h's ids are the same numbers.
 */
#ifndef SEEP_MODEL_REFERENCES_H
#define SEEP_MODEL_REFERENCES_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct reach;
struct root_hits;
struct snapshot;
struct str;

/* In `slot` and `into`: farther than can be said in 32 bits; into: or with a tag, or mangled; weak
 * as well. */
#define REF_FAR UINT32_MAX

enum ref_block_flags {
	REF_BLOCK_HELD = 1 << 0, /* an object that is held by pointers to its parts */
};

struct ref_block {
	uint64_t addr, size; /* bytes that may be used */
	uint64_t nr_edges;
	uint32_t class_name; /* string: "shop::Order[]"; "" unknown */
	uint8_t flags;	     /* enum ref_block_flags */
};

struct ref_edge {
	uint32_t block;
	uint32_t slot; /* words from the beginning of its own block to the pointer */
	uint32_t into; /* bytes behind the beginning of the block pointed to */
};

struct ref_root {
	uint64_t where; /* address of the pointer; 0: it is not in memory */
	uint32_t block, into;
	uint32_t owner;
	uint32_t detail; /* string: what is known of this place beyond its owner; "" */
};

/* A variable, a thread's stack, a mapping: whose a root is. */
struct ref_owner {
	uint64_t base;	 /* offsets of roots count from here; 0: they have none */
	uint32_t name;	 /* string: "global data shop_table", as a whole */
	uint32_t before; /* strings: of one of its roots, before and behind the offset */
	uint32_t behind;
	uint8_t kind;	       /* enum root_kind of heap/roots.h */
	uint8_t always_offset; /* whatever base is, and also where the offset is 0 */
};

/* What blocks of leaks that are alike look like, which only their contents tell. */
struct ref_pattern {
	uint32_t label;	  /* string: of the group */
	uint32_t pattern; /* string: "list node, next at +0" */
	uint8_t state;	  /* enum reach_state */
};

/* What could not be looked at, and what was: as struct reachable_account of heap/reachable.h. */
struct ref_account {
	uint64_t root_bytes, root_words, unread_bytes;
	uint64_t unwalked_heaps, unwalked_bytes, extra_blocks, rejected_blocks;
	uint8_t word_bytes; /* of the process; 0: no references */
	bool has_registers, has_kernel;
};

/*
 * The graph, marked. It reads addresses from the snapshot, which must outlive it; free with
 * reach_free(). unwanted: a bit for each kind of owner whose roots are left out. hits: of the roots
 * in their order, `where` being their number; to be released. The snapshot has references and has
 * been checked.
 */
struct reach *references_reach(const struct snapshot *s, uint32_t unwanted, struct root_hits *hits);
/* Number of the block that begins at addr, NO_INDEX: none. */
uint32_t references_find(const struct snapshot *s, uint64_t addr);
/* "global data shop_table+0x40 (libshop.so)" */
void references_describe_root(const struct snapshot *s, const struct ref_root *root,
			      struct str *out);
/* For snapshot_check(). */
int references_check(const struct snapshot *s, struct error *e);
/* Takes all of them out. */
void references_drop(struct snapshot *s);

#endif
