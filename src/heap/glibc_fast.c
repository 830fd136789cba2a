/*
 * Fast lists ("fastbins", up to 2.42): per arena and small size a singly linked list of freed
 * chunks that still count as used by their neighbour's flag. They can be long, so they are kept as
 * one bit per possible chunk.
 */
#include "base/mem.h"
#include "heap/glibc.h"

static unsigned int fast_index(const struct glibc *g, uint64_t size)
{
	return (unsigned int)(size >> (g->word == 8 ? 4 : 3)) - 2;
}

/* Can it be a chunk in list `bin` of this arena? */
static struct glibc_piece *fast_piece(const struct glibc *g, const struct glibc_arena *a,
				      uint64_t chunk, unsigned int bin)
{
	struct glibc_arena *owner;
	struct glibc_piece *piece;
	uint64_t head;

	if ((chunk + 2 * g->word) % g->align)
		return NULL;
	piece = glibc_piece_of(g, chunk, &owner);
	if (!piece || owner != a || chunk < piece->first || chunk >= piece->end ||
	    !scatter_word(g->memory, chunk + g->word, &head) ||
	    fast_index(g, head & ~(uint64_t)CHUNK_FLAGS) != bin)
		return NULL;
	return piece;
}

static bool set_bit(const struct glibc *g, struct glibc_piece *piece, uint64_t chunk)
{
	uint64_t unit = (chunk - piece->first) / g->align;
	uint8_t mask = (uint8_t)(1u << unit % 8);

	if (!piece->fast)
		piece->fast = mem_alloc((size_t)((piece->end - piece->first) / g->align / 8 + 1));
	if (piece->fast[unit / 8] & mask)
		return false;
	piece->fast[unit / 8] |= mask;
	return true;
}

/* How the first link of a list must be read for it to lead to a chunk of the same list, or nowhere.
 */
static void settle_links(struct glibc *g, const struct glibc_arena *a, uint64_t chunk,
			 unsigned int bin)
{
	uint64_t at = chunk + 2 * g->word, stored, next;
	bool fits[2];

	if (!scatter_word(g->memory, at, &stored))
		return;
	for (int safe = 0; safe < 2; safe++) {
		next = glibc_reveal(safe ? LINKS_SAFE : LINKS_PLAIN, at, stored);
		fits[safe] = next == 0 || fast_piece(g, a, next, bin);
	}
	if (fits[0] != fits[1])
		g->links = fits[1] ? LINKS_SAFE : LINKS_PLAIN;
}

static void collect_list(struct glibc *g, struct glibc_arena *a, uint64_t chunk, unsigned int bin)
{
	while (chunk) {
		struct glibc_piece *piece = fast_piece(g, a, chunk, bin);
		uint64_t stored;

		if (!piece || !scatter_word(g->memory, chunk + 2 * g->word, &stored)) {
			glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), chunk,
				    "a fast list leads to 0x%llx, where no chunk of its size is",
				    (unsigned long long)chunk);
			return;
		}
		if (!set_bit(g, piece, chunk)) {
			glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), chunk,
				    "a chunk is in the fast lists twice");
			return;
		}
		a->fast_blocks++;
		if (g->links == LINKS_UNKNOWN)
			settle_links(g, a, chunk, bin);
		chunk = glibc_reveal(g->links, chunk + 2 * g->word, stored);
	}
}

void glibc_collect_fast(struct glibc *g)
{
	for (size_t i = 0; i < g->nr_arenas; i++) {
		struct glibc_arena *a = &g->arenas[i];

		for (unsigned int bin = 0; bin < g->nr_fast; bin++) {
			uint64_t chunk;

			if (scatter_word(g->memory, a->addr + g->fast_offset + bin * g->word,
					 &chunk))
				collect_list(g, a, chunk, bin);
		}
	}
}
