/*
 * A small recorder's table (wire/wire.h) made by hand, so that tests can lie in it.
 *
 *   nodes   4 <- 5 <- 6, with 5 and 1 blocks ever at 5 and 6, one of them in a thread's records,
 * one in the extra counters; 6 lies in a module that is gone blocks  100 bytes at node 5; a
 * megabyte at node 6; 16 bytes at node 6 in a dense chunk
 *   pools   one with 64 bytes at node 5 inside the megabyte, and 8 bytes from before a reset
 *   marks   "first", younger than the 100 bytes; "second", younger than all but the pool's block
 */
#ifndef FORGE_TABLE_H
#define FORGE_TABLE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/load.h"
#include "model/snapshot.h"
#include "target/table.h"
#include "wire/wire.h"

#define FORGED_BASE 0x100000000ull	 /* what chunk 0 shadows from */
#define FORGED_DENSE_BASE 0x200000000ull /* chunk 1 */
#define FORGED_BIG_BYTES (1u << 20)
#define FORGED_NODES 7
#define FORGED_COUNTS 4

struct forged {
	int fd;
	uint8_t *file; /* mapped, sparse */
	size_t bytes;
};

static inline struct wire_header *forged_header(const struct forged *f)
{
	return (struct wire_header *)f->file;
}

static inline struct wire_node *forged_nodes(const struct forged *f)
{
	return (struct wire_node *)(f->file + forged_header(f)->nodes_off);
}

static inline struct wire_count *forged_counts(const struct forged *f)
{
	return (struct wire_count *)(f->file + forged_header(f)->counts_off);
}

static inline struct wire_module *forged_modules(const struct forged *f)
{
	return (struct wire_module *)(f->file + forged_header(f)->modules_off);
}

static inline struct wire_thread *forged_thread(const struct forged *f)
{
	return (struct wire_thread *)(f->file + forged_header(f)->threads_off);
}

static inline struct wire_undo *forged_undo(const struct forged *f)
{
	return (struct wire_undo *)(f->file + forged_header(f)->undo_off);
}

static inline uint64_t *forged_slots(const struct forged *f, uint32_t chunk)
{
	return (uint64_t *)(f->file + forged_header(f)->chunks_off + chunk * WIRE_CHUNK_BYTES);
}

static inline uint64_t forged_place(uint64_t *end, uint64_t nr, uint64_t size)
{
	uint64_t at = *end;

	*end = (at + nr * size + 4095) & ~4095ull;
	return at;
}

static inline uint64_t forged_layout(struct wire_header *h)
{
	uint64_t end = (sizeof(*h) + 4095) & ~4095ull;

	h->magic = WIRE_MAGIC;
	h->version = WIRE_VERSION;
	h->header_bytes = sizeof(*h);
	h->modules_cap = 4;
	h->nodes_cap = 32;
	h->index_bits = 4;
	h->threads_cap = 2;
	h->thread_stride = (sizeof(struct wire_thread) + 4095) & ~4095ull;
	h->undo_cap = 16;
	h->chunks_cap = 2;
	h->rings_cap = 2;
	h->ring_stride = (sizeof(struct wire_ring) + 4095) & ~4095ull;
	h->modules_off = forged_place(&end, h->modules_cap, sizeof(struct wire_module));
	h->nodes_off = forged_place(&end, h->nodes_cap, sizeof(struct wire_node));
	h->counts_off = forged_place(&end, h->nodes_cap, sizeof(struct wire_count));
	h->extra_off = forged_place(&end, h->nodes_cap, sizeof(struct wire_extra));
	h->index_off = forged_place(&end, 1u << h->index_bits, sizeof(uint64_t));
	h->threads_off = forged_place(&end, h->threads_cap, h->thread_stride);
	h->undo_off = forged_place(&end, h->undo_cap, sizeof(struct wire_undo));
	h->marks_cap = 4;
	h->marks_off = forged_place(&end, h->marks_cap, sizeof(struct wire_mark));
	h->tags_cap = 2;
	h->tags_off = forged_place(&end, h->tags_cap, sizeof(struct wire_tag));
	h->pool_levels = 1;
	h->pools_off = forged_place(&end, wire_pool_first(1), sizeof(struct wire_pool_row));
	h->rings_off = forged_place(&end, h->rings_cap, h->ring_stride);
	h->level1_off = h->dense1_off = end;
	h->chunks_off = forged_place(&end, h->chunks_cap, WIRE_CHUNK_BYTES);
	h->file_bytes = end;
	return end;
}

static inline void forged_fill_tree(const struct forged *f)
{
	struct wire_node *n = forged_nodes(f);
	struct wire_module *m = forged_modules(f);
	struct wire_thread *t = forged_thread(f);
	struct wire_count *count = forged_counts(f);
	struct wire_extra *extra = (struct wire_extra *)(f->file + forged_header(f)->extra_off);

	m[0] = (struct wire_module){
		.state = WIRE_MODULE_LOADED,
		.is_main = 1,
		.build_id_len = 20,
		.start = 0x10000,
		.end = 0x20000,
	};
	m[1] = (struct wire_module){
		.state = WIRE_MODULE_UNLOADED,
		.start = 0x30000,
		.end = 0x40000,
		.path = "/opt/gone.so",
	};
	n[4] = (struct wire_node){.pc = 0x10100};
	n[5] = (struct wire_node){.pc = 0x10200, .parent = 4, .count = 2};
	n[6] = (struct wire_node){
		.pc = 2ull << WIRE_PC_BITS | 0x30100,
		.parent = 5,
		.count = 1,
	};
	count[1] = (struct wire_count){.bytes = FORGED_BIG_BYTES, .blocks = 1};
	count[2] = (struct wire_count){.blocks = 2, .bytes = 200};
	extra[5] = (struct wire_extra){.blocks = 2, .bytes = 50};
	t->tid = 1;
	t->pending_node = 5;
	t->pending_temps = 1;
	t->frees = 3;
	t->records[7] = (struct wire_record){.node = 5, .blocks = 1, .bytes = 10, .temps = 1};
}

static inline struct wire_mark *forged_marks(const struct forged *f)
{
	return (struct wire_mark *)(f->file + forged_header(f)->marks_off);
}

static inline struct wire_pool_row *forged_pools(const struct forged *f)
{
	return (struct wire_pool_row *)(f->file + forged_header(f)->pools_off);
}

#define FORGED_POOL_BLOCK (FORGED_BASE + 20 * 32 + 100)

static inline void forged_fill_told(const struct forged *f)
{
	struct wire_header *h = forged_header(f);
	struct wire_pool_row *pools = forged_pools(f);

	forged_marks(f)[0] = (struct wire_mark){
		.state = WIRE_ENTRY_DONE, .code = 9, .monotonic_ns = 2000, .name = "second"};
	forged_marks(f)[1] = (struct wire_mark){.state = WIRE_ENTRY_DONE,
						.code = 5,
						.monotonic_ns = 1000,
						.name = "first",
						.counted = 1,
						.blocks = 1,
						.bytes = 100};
	forged_marks(f)[2] = (struct wire_mark){.state = WIRE_ENTRY_WRITING, .code = 7};
	forged_marks(f)[3] =
		(struct wire_mark){.state = WIRE_ENTRY_DONE, .code = 4000, .name = "not yet"};
	h->marks_nr = 4;
	h->time_bits = 3000ull << WIRE_SLOT_TIME_SHIFT;
	pools[7] = (struct wire_pool_row){.key = WIRE_POOL_KEY_POOL | 0x5000 << 1, .owner = 3};
	pools[8] = (struct wire_pool_row){.key = WIRE_POOL_KEY_BLOCK | FORGED_POOL_BLOCK << 1,
					  .stack = 5ull << WIRE_SLOT_NODE_SHIFT |
						   10ull << WIRE_SLOT_TIME_SHIFT,
					  .size = 64,
					  .owner = 7ull << WIRE_POOL_GENERATION_BITS | 3};
	pools[9] = pools[8];
	pools[9].key += 256 << 1;
	pools[9].owner--;
	h->pool_depth = 1;
}

static inline void forged_fill_blocks(const struct forged *f)
{
	struct wire_header *h = forged_header(f);
	uint64_t *ordinary = forged_slots(f, 0), *dense = forged_slots(f, 1);

	h->chunk_base[0] = FORGED_BASE | 2;
	h->chunk_base[1] = FORGED_DENSE_BASE | 1;
	ordinary[10] = 5ull << WIRE_SLOT_NODE_SHIFT | 100;
	ordinary[20] =
		6ull << WIRE_SLOT_NODE_SHIFT | 5ull << WIRE_SLOT_TIME_SHIFT | WIRE_SIZE_ESCAPE;
	ordinary[21] = FORGED_BIG_BYTES;
	dense[3] = 6ull << WIRE_SLOT_NODE_SHIFT | 8ull << WIRE_SLOT_TIME_SHIFT | 16;
}

/* False: no memory for it. */
static inline bool forged_init(struct forged *f)
{
	struct wire_header *layout = aligned_alloc(_Alignof(struct wire_header), sizeof(*layout));

	*f = (struct forged){.fd = memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
	if (!layout || f->fd < 0)
		return false;
	memset(layout, 0, sizeof(*layout));
	f->bytes = forged_layout(layout);
	f->file = MAP_FAILED;
	if (ftruncate(f->fd, (off_t)f->bytes) == 0 && fcntl(f->fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0)
		f->file = mmap(NULL, f->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (f->file != MAP_FAILED) {
		/* What is behind stays a hole. */
		memcpy(f->file, layout, offsetof(struct wire_header, chunk_base));
		forged_header(f)->state = WIRE_STATE_RECORDING;
		forged_header(f)->nodes_nr = FORGED_NODES;
		forged_header(f)->counts_nr = FORGED_COUNTS;
		forged_header(f)->modules_nr = 2;
		forged_header(f)->threads_nr = 1;
		forged_header(f)->chunks_nr = 2;
		forged_fill_tree(f);
		forged_fill_blocks(f);
		forged_fill_told(f);
	}
	free(layout);
	return f->file != MAP_FAILED;
}

static inline void forged_release(struct forged *f)
{
	munmap(f->file, f->bytes);
	close(f->fd);
}

/* Makes a snapshot of a cut, as commands do. */
static inline void forged_load(const struct cut *c, struct snapshot *ret)
{
	snapshot_init(ret);
	load_recording(ret, &(struct load_input){
				    .header = &c->header,
				    .nodes = c->nodes,
				    .node_blocks = c->node_blocks,
				    .node_bytes = c->node_bytes,
				    .node_temps = c->node_temps,
				    .node_samples = c->node_samples,
				    .sample_blocks = c->sample_blocks,
				    .sample_bytes = c->sample_bytes,
				    .sample_temps = c->sample_temps,
				    .nr_nodes = c->nr_nodes,
				    .blocks = c->blocks,
				    .nr_blocks = c->nr_blocks,
				    .pool_blocks = c->pool_blocks,
				    .nr_pool_blocks = c->nr_pool_blocks,
				    .handles = c->handles,
				    .nr_handles = c->nr_handles,
				    .marks = c->marks,
				    .nr_marks = c->nr_marks,
				    .tags = c->tags,
				    .nr_tags = c->nr_tags,
				    .modules = c->modules,
				    .nr_modules = c->nr_modules,
				    .taken_monotonic_ns = c->taken_monotonic_ns,
				    .frees = c->frees,
				    .unseen = c->unseen,
				    .broken_rows = c->broken_rows,
				    .exe = "/opt/program",
				    .with_blocks = 1,
			    });
}

/* What every reader of a snapshot relies on. */
static inline bool forged_is_sound(const struct snapshot *s)
{
	bool good = true;

	for (size_t i = 0; i < s->nr_nodes; i++)
		good = good && (i == 0 || s->nodes[i].parent < i) &&
		       (s->nodes[i].frame == NO_INDEX || s->nodes[i].frame < s->nr_frames);
	for (size_t i = 0; i < s->nr_frames; i++)
		good = good &&
		       (s->frames[i].module == NO_INDEX || s->frames[i].module < s->nr_modules);
	for (size_t i = 0; i < s->nr_stacks; i++)
		good = good && s->stacks[i].node < s->nr_nodes;
	for (size_t i = 0; i < s->nr_blocks; i++)
		good = good && s->blocks[i].stack < s->nr_stacks;
	for (size_t i = 0; i < s->nr_generations; i++)
		good = good && s->generations[i].stack < s->nr_stacks &&
		       s->generations[i].generation <= s->nr_marks;
	for (size_t i = 0; i < s->nr_resource_generations; i++)
		good = good && s->resource_generations[i].stack < s->nr_resources &&
		       s->resource_generations[i].generation <= s->nr_marks;
	for (size_t i = 0; i < s->nr_modules; i++)
		good = good && s->modules[i].build_id_len <= BUILD_ID_MAX;
	return good;
}

#endif
