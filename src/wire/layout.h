/*
 * How large the parts of a recorder's table are: for whoever makes one (the launcher of seep run,
 * and the stub of seep flags, which has no libc). Pure arithmetic.
 */
#ifndef SEEP_WIRE_LAYOUT_H
#define SEEP_WIRE_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/wire.h"

#define WIRE_PAGE 4096ull
#define WIRE_MODULES_CAP 4096u
#define WIRE_CHUNKS_MIN 2u /* the recorder does not go below that */
#define WIRE_CHUNKS_LEAST_WANTED 1024u
#define WIRE_RAM_FACTOR 4 /* address space shadowed, in machine memories: heaps have holes */
#define WIRE_ADDRESS_SPACE_SHARE 3 /* the table takes a third of a limited address space */

/* Descriptors that a shell script or a program chooses for itself are lower. */
#define WIRE_FD_BASE 200

_Static_assert(WIRE_CHUNK_BYTES % WIRE_PAGE == 0, "chunks begin on pages");

static inline uint64_t wire_place(uint64_t *end, uint64_t bytes, uint64_t align)
{
	uint64_t at = (*end + align - 1) & ~(align - 1);

	*end = at + bytes;
	return at;
}

/* Everything in front of the live table, which will have at most so many chunks. */
static inline void wire_lay_out(struct wire_header *h, unsigned int node_bits,
				unsigned int index_bits, unsigned int threads, unsigned int undo,
				unsigned int pool_levels, unsigned int rings, uint64_t chunks)
{
	uint64_t end = sizeof(*h);

	h->modules_cap = WIRE_MODULES_CAP;
	h->nodes_cap = 1u << node_bits;
	h->index_bits = index_bits;
	h->threads_cap = threads;
	h->rings_cap = rings;
	h->ring_stride = (sizeof(struct wire_ring) + WIRE_PAGE - 1) & ~(WIRE_PAGE - 1);
	h->undo_cap = undo;
	h->thread_stride = (sizeof(struct wire_thread) + WIRE_PAGE - 1) & ~(WIRE_PAGE - 1);

	h->modules_off = wire_place(&end, h->modules_cap * sizeof(struct wire_module), WIRE_PAGE);
	h->nodes_off = wire_place(&end, h->nodes_cap * sizeof(struct wire_node), WIRE_PAGE);
	h->counts_off = wire_place(&end, h->nodes_cap * sizeof(struct wire_count), WIRE_PAGE);
	h->extra_off = wire_place(&end, h->nodes_cap * sizeof(struct wire_extra), WIRE_PAGE);
	h->index_off = wire_place(&end, sizeof(uint64_t) << h->index_bits, WIRE_PAGE);
	h->threads_off = wire_place(&end, h->threads_cap * h->thread_stride, WIRE_PAGE);
	h->undo_off = wire_place(&end, h->undo_cap * sizeof(struct wire_undo), WIRE_PAGE);
	h->known_off = wire_place(&end, chunks * (WIRE_CHUNK_BYTES / 8 / 8), WIRE_PAGE);
	h->marks_cap = WIRE_MARKS_CAP;
	h->marks_off = wire_place(&end, h->marks_cap * sizeof(struct wire_mark), WIRE_PAGE);
	h->tags_cap = WIRE_TAGS_CAP;
	h->tags_off = wire_place(&end, h->tags_cap * sizeof(struct wire_tag), WIRE_PAGE);
	h->pool_levels = pool_levels;
	h->pools_off = wire_place(&end, wire_pool_first(pool_levels) * sizeof(struct wire_pool_row),
				  WIRE_PAGE);
	h->rings_off = wire_place(&end, h->rings_cap * h->ring_stride, WIRE_PAGE);
	h->level1_off = wire_place(&end, WIRE_LEVEL1_NR * sizeof(struct wire_level1), WIRE_PAGE);
	h->dense1_off = wire_place(&end, WIRE_DENSE1_NR * sizeof(uint32_t), WIRE_PAGE);
	h->chunks_off = wire_place(&end, 0, WIRE_CHUNK_BYTES);
}

static inline uint64_t wire_wanted_chunks(uint64_t ram_bytes)
{
	uint64_t nr = (ram_bytes >> WIRE_SPAN_SHIFT) * WIRE_RAM_FACTOR;

	return nr < WIRE_CHUNKS_LEAST_WANTED ? WIRE_CHUNKS_LEAST_WANTED
	       : nr > WIRE_CHUNKS_MAX	     ? WIRE_CHUNKS_MAX
					     : nr;
}

/*
 * Sizes and places for a machine with this much memory, into a header that is otherwise left as it
 * is. The file will have at most limit_bytes; when that is little, the tables are smaller. The file
 * is sparse, so large is the normal case. False: even the smallest are too large.
 */
static inline bool wire_layout(struct wire_header *h, uint64_t ram_bytes, uint64_t limit_bytes)
{
	static const struct {
		uint32_t node_bits, index_bits, threads, undo, pool_levels, rings;
	} caps[] = {
		{WIRE_NODE_BITS, 21, WIRE_THREADS_MAX, 4u << 20, WIRE_POOL_LEVELS, 512},
		{22, 20, 2048, 1u << 20, WIRE_POOL_LEVELS - 1, 64},
		{20, 18, 256, 256u << 10, WIRE_POOL_LEVELS - 2, 16},
		{18, 17, 64, 128u << 10, WIRE_POOL_LEVELS - 4, 2},
		{17, 15, 16, 32u << 10, WIRE_POOL_LEVELS - 5, 1},
	};
	uint64_t chunks, most = limit_bytes / WIRE_CHUNK_BYTES;

	if (most > wire_wanted_chunks(ram_bytes))
		most = wire_wanted_chunks(ram_bytes);
	for (unsigned int i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		wire_lay_out(h, caps[i].node_bits, caps[i].index_bits, caps[i].threads,
			     caps[i].undo, caps[i].pool_levels, caps[i].rings, most);
		if (h->chunks_off <= limit_bytes / 2)
			break;
	}
	if (limit_bytes < h->chunks_off + WIRE_CHUNKS_MIN * WIRE_CHUNK_BYTES)
		return false;
	chunks = (limit_bytes - h->chunks_off) / WIRE_CHUNK_BYTES;
	if (chunks > wire_wanted_chunks(ram_bytes))
		chunks = wire_wanted_chunks(ram_bytes);
	h->chunks_cap = (uint32_t)chunks;
	h->file_bytes = h->chunks_off + chunks * WIRE_CHUNK_BYTES;
	return true;
}

/* How large the file may be under these limits (~0: none), of which the hard one counts. */
static inline uint64_t wire_room(uint64_t file_limit, uint64_t address_space)
{
	uint64_t limit = file_limit == ~0ull ? INT64_MAX : file_limit;

	if (address_space != ~0ull && address_space / WIRE_ADDRESS_SPACE_SHARE < limit)
		limit = address_space / WIRE_ADDRESS_SPACE_SHARE;
	return limit;
}

#endif
