/*
 * Which blocks can be reached from which: an index of all blocks by address, a graph of the words
 * in them that point to blocks, and a walk over it from the roots. Conservative: every aligned word
 * is taken for a pointer. Pure data; whoever feeds it reads memory.
 *
 *   reach_add_span(), reach_add_block() …   what there is
 *   reach_seal()
 *   reach_scan() over the busy blocks       their words become edges, in ascending order
 *   reach_root() for words of roots
 *   reach_mark()                            then reach_state() of every block
 *
 * The index is a bit for every granule (8 or 16 bytes) that begins a block or a gap, sixty-four to
 * a cell, each cell with the number of bits before it:
 *
 *   cell:   starts 0100…1001 | rank        id of an address = rank + bits up to it - 1
 *
 * so that looking up a word is one access to memory, wherever in a block it points. A gap (free
 * memory between blocks) has an id too, which is no node of the graph.
 *
 * Memory: 16 bytes for 64 granules, 8 for a block, 4 for an edge, some bits.
 */
#ifndef SEEP_MODEL_REACH_H
#define SEEP_MODEL_REACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reach;

#define REACH_NONE UINT32_MAX
#define REACH_MAX_BLOCKS ((uint32_t)1 << 31)

enum reach_state {
	REACH_LEAKED,	/* nothing points to it that is itself held */
	REACH_POSSIBLE, /* held by pointers into its middle only, or by what is so held */
	REACH_HELD,
};

/* word_bytes: of the target, 8 or 4; pointers are looked for at multiples of it. */
struct reach *reach_new(unsigned int word_bytes);
/*
 * Before reach_seal(): words may also stand for addresses as glibc keeps them in a jmp_buf on
 * x86-64, address ^ guard rotated to the left by 17 bits. What such a word points to is weakly
 * held. Only a guard with something above bit 46 can be told from other words; another one changes
 * nothing.
 */
void reach_set_guard(struct reach *r, uint64_t guard);
void reach_free(struct reach *r);

/*
 * Address range in which blocks begin at multiples of granule (a power of two, 8 at least). Spans
 * must not overlap; any order. -EINVAL: it does, or is empty.
 */
int reach_add_span(struct reach *r, uint64_t start, uint64_t end, unsigned int granule);
/*
 * A block; ascending within a span. -EINVAL: in no span, not aligned, or before the end of the last
 * one. -EOVERFLOW: too many.
 */
int reach_add_block(struct reach *r, uint64_t addr, uint64_t size);
void reach_seal(struct reach *r);

/* Ids are from 0 to reach_ids() - 1, ascending with the address; gaps have ids too. */
uint32_t reach_ids(const struct reach *r);
uint64_t reach_blocks(const struct reach *r); /* without gaps */
bool reach_is_block(const struct reach *r, uint32_t id);
/* The block that holds addr, REACH_NONE when none does. */
uint32_t reach_find(const struct reach *r, uint64_t addr);
uint64_t reach_address(const struct reach *r, uint32_t id);
uint64_t reach_size(const struct reach *r, uint32_t id);
/* As reach_address(), quicker for ids that ascend. *c: zeroed at first. */
struct reach_cursor {
	size_t span, cell;
};
uint64_t reach_next_address(const struct reach *r, uint32_t id, struct reach_cursor *c);

/*
 * The contents of memory from addr on: words in blocks become edges. Pieces in ascending order over
 * all spans, none twice; what is left out has no edges. Pieces need not respect blocks.
 */
void reach_scan(struct reach *r, uint64_t addr, const void *bytes, size_t len);
/* After the last piece. */
void reach_scan_end(struct reach *r);

/* What a word would be as an edge: REACH_NONE where it points to no block, else its id. */
uint32_t reach_resolve(const struct reach *r, uint64_t word);
/*
 * The address in a word that has something else in the bits that no address needs (47 and above on
 * x86-64), or is mangled with the guard: what such a word points to is weakly held.
 */
uint64_t reach_untagged(const struct reach *r, uint64_t word);

/* A word found in a root. Returns the block it points to, REACH_NONE for most. */
uint32_t reach_root(struct reach *r, uint64_t word);
/* All words of a piece of a root. */
void reach_root_bytes(struct reach *r, const void *bytes, size_t len);
/* Walks from the roots; may be called again after more roots. */
void reach_mark(struct reach *r);
enum reach_state reach_state(const struct reach *r, uint32_t id);

/*
 * Calls fn for each block that is only possibly held and into whose middle a root or a held block
 * points; more than once for some. reach_hold() of such a block, and reach_mark() again, make it
 * and what it points to held: for who knows that the pointer is no chance.
 */
void reach_each_weakly_held(struct reach *r, void (*fn)(void *context, uint32_t id), void *context);
void reach_hold(struct reach *r, uint32_t id);
/* All that was taken for a root, in that order: edges, as below. */
const uint32_t *reach_roots(const struct reach *r, size_t *ret_nr);

/* Edges of a block: ids of the blocks it points to, with REACH_WEAK set for pointers to a middle.
 */
#define REACH_WEAK ((uint32_t)1 << 31)
const uint32_t *reach_edges(const struct reach *r, uint32_t id, size_t *ret_nr);
uint64_t reach_nr_edges(const struct reach *r);
/* Frees their memory: no block has any from then on, so nothing can be marked again. */
void reach_drop_edges(struct reach *r);

#endif
