/* What jemalloc's heaps are made of: its extents, and the blocks of its metadata; jemalloc.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "heap/jemalloc.h"
#include "heap/scan.h"
#include "target/target.h"

#define METADATA_STEPS (1 << 15) /* pages that are tried downwards for the start of a block */
#define METADATA_MISSES 64	 /* addresses given up on before it is given up altogether */
#define PIECES_MAX (1u << 26)

/*
 * Head of a block of metadata (base_block_t): size, next, then a record of what is not used yet:
 * of no arena, and it ends where the block ends.
 */
static bool is_metadata_block(struct scatter *p, uint64_t addr, uint64_t *ret_bytes,
			      uint64_t *ret_next)
{
	uint64_t words[5];

	if (!scatter_read(p, addr, words, sizeof(words)) || words[0] == 0 || words[0] % 4096 ||
	    words[0] > 1ull << 46 || (words[2] & 0xfff) != JE_ARENA_NONE)
		return false;
	if (words[3] < addr || words[3] - addr > words[0] ||
	    words[4] != words[0] - (words[3] - addr) || words[1] % 4096)
		return false;
	*ret_bytes = words[0];
	*ret_next = words[1];
	return true;
}

uint64_t je_metadata_block(struct scatter *p, uint64_t addr, uint64_t *ret_bytes,
			   uint64_t *ret_next)
{
	uint64_t at = addr & ~4095ull;

	for (unsigned int i = 0; i < METADATA_STEPS && at; i++, at -= 4096)
		if (is_metadata_block(p, at, ret_bytes, ret_next) && addr - at < *ret_bytes)
			return at;
	return 0;
}

static int compare_pieces(const void *a, const void *b)
{
	const struct je_piece *x = a, *y = b;

	return x->base < y->base ? -1 : x->base > y->base;
}

/* Blocks of metadata met so far; few, so they are simply gone through, the last hit first. */
struct blocks {
	struct je_piece *items;
	size_t nr, cap, last;
	unsigned int misses;
};

static bool known_block(struct blocks *b, uint64_t addr)
{
	if (b->last < b->nr && addr - b->items[b->last].base < b->items[b->last].bytes)
		return true;
	for (size_t i = 0; i < b->nr; i++) {
		if (addr - b->items[i].base < b->items[i].bytes) {
			b->last = i;
			return true;
		}
	}
	return false;
}

/* The block around a piece of metadata, and the chain that it begins or continues. */
static void add_blocks(struct blocks *b, struct scatter *p, uint64_t addr, uint32_t arena)
{
	uint64_t bytes, next, at;

	if (b->misses >= METADATA_MISSES || known_block(b, addr))
		return;
	at = je_metadata_block(p, addr, &bytes, &next);
	if (!at)
		b->misses++;
	while (at && !known_block(b, at) && b->nr < 1 << 16 &&
	       scan_is_private(p->target, at, at + bytes)) {
		struct je_piece block = {
			.base = at, .bytes = bytes, .arena = arena, .committed = true};

		ARRAY_PUSH(b->items, b->nr, b->cap, block);
		at = next && is_metadata_block(p, next, &bytes, &next) ? next : 0;
	}
}

static void add_extents_of(struct je_instance *in, struct scatter *p, const struct map *m,
			   uint64_t *reach, uint64_t *budget, struct blocks *blocks)
{
	uint64_t page = 1ull << in->shape.page_bits;
	uint64_t addr = m->start > *reach ? m->start : *reach;

	while (addr < m->end && in->nr_pieces < PIECES_MAX) {
		struct je_extent x;
		uint64_t record;

		addr = je_next_page(in, p, addr, m->end, budget, &record);
		if (addr >= m->end)
			break;
		*reach = addr + page;
		if (je_extent_read(in, p, record, &x) && x.base == addr &&
		    x.arena != JE_ARENA_NONE &&
		    scan_is_private(p->target, x.base, x.base + x.bytes)) {
			struct je_piece piece = {.base = x.base,
						 .bytes = x.bytes,
						 .record = record,
						 .arena = x.arena,
						 .committed = x.committed && m->prot & MAP_WRITE};

			ARRAY_PUSH(in->pieces, in->nr_pieces, in->cap_pieces, piece);
			add_blocks(blocks, p, record, x.arena);
			*reach = x.base + x.bytes;
		}
		addr = *reach;
	}
}

/* Ascending and none over another; a hostile map of pages may say otherwise. */
static void sort_pieces(struct je_instance *in)
{
	size_t kept = 0;

	if (in->nr_pieces == 0)
		return;
	qsort(in->pieces, in->nr_pieces, sizeof(*in->pieces), compare_pieces);
	for (size_t i = 0; i < in->nr_pieces; i++) {
		const struct je_piece *last = kept ? &in->pieces[kept - 1] : NULL;

		if (!last || in->pieces[i].base - last->base >= last->bytes)
			in->pieces[kept++] = in->pieces[i];
	}
	in->nr_pieces = kept;
}

/* What most large blocks have to spare beyond their class: nothing, or a page. */
static uint64_t find_pad(const struct je_instance *in, struct scatter *p)
{
	uint64_t page = 1ull << in->shape.page_bits;
	size_t none = 0, one = 0;

	for (size_t i = 0; i < in->nr_pieces && none + one < 256; i++) {
		struct je_extent x;

		if (in->pieces[i].record == 0 || !je_extent_read(in, p, in->pieces[i].record, &x) ||
		    x.slab || x.state != JE_ACTIVE || x.index >= in->sizes.nr ||
		    x.index < in->sizes.small)
			continue;
		none += in->sizes.bytes[x.index] == x.bytes;
		one += in->sizes.bytes[x.index] + page == x.bytes;
	}
	return none > one ? 0 : page;
}

void je_collect(struct je_instance *in, struct target *t, struct scatter *p)
{
	const struct maps *maps = target_maps(t);
	uint64_t reach = 0, budget = JE_BUDGET;
	struct blocks blocks = {0};

	for (size_t i = 0; i < maps->nr; i++)
		if (je_may_hold(&maps->items[i]))
			add_extents_of(in, p, &maps->items[i], &reach, &budget, &blocks);
	for (size_t i = 0; i < blocks.nr; i++)
		ARRAY_PUSH(in->pieces, in->nr_pieces, in->cap_pieces, blocks.items[i]);
	free(blocks.items);
	sort_pieces(in);
	in->pad = find_pad(in, p);
}

const struct je_piece *je_find_piece(const struct je_instance *in, uint64_t addr)
{
	size_t low = 0, high = in->nr_pieces;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (in->pieces[middle].base <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || addr - in->pieces[low - 1].base >= in->pieces[low - 1].bytes)
		return NULL;
	return &in->pieces[low - 1];
}

bool je_block_at(const struct je_instance *in, struct scatter *p, uint64_t addr,
		 uint64_t *ret_start, uint64_t *ret_bytes, unsigned int *ret_index)
{
	const struct je_piece *piece = je_find_piece(in, addr);
	struct je_extent x;
	uint64_t size;

	if (!piece || piece->record == 0 || !je_extent_read(in, p, piece->record, &x) ||
	    x.state != JE_ACTIVE || x.base != piece->base || x.index >= in->sizes.nr)
		return false;
	*ret_index = x.index;
	if (!x.slab) {
		*ret_start = x.addr;
		*ret_bytes = je_large_bytes(in, &x);
		return addr >= x.addr;
	}
	size = in->sizes.bytes[x.index];
	*ret_start = x.base + (addr - x.base) / size * size;
	*ret_bytes = size;
	return (addr - x.base) / size < je_regions(in, &x);
}

void je_instance_release(struct je_instance *in)
{
	free(in->pieces);
	free(in->arenas);
	free(in->cached);
	free(in->internals);
}
