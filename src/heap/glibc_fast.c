/*
 * Fast lists ("fastbins", up to 2.42): per arena and small size a singly linked list of freed
 * chunks that still count as used by their neighbour's flag. They can be long, so they are kept as
 * one bit per possible chunk.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "heap/glibc.h"

#define LONG_LISTS 5000	  /* chunks from which on lists are not followed one by one */
#define STEPS_ENOUGH 1000 /* of a list that tells how links are stored */

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

bool glibc_set_fast(const struct glibc *g, struct glibc_piece *piece, uint64_t chunk)
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

/* Does a list lead through chunks of its size to its end, as far as is looked? */
static bool list_fits(const struct glibc *g, const struct glibc_arena *a, uint64_t chunk,
		      unsigned int bin, enum glibc_links links)
{
	for (unsigned int i = 0; chunk && i < STEPS_ENOUGH; i++) {
		uint64_t stored;

		if (!fast_piece(g, a, chunk, bin) ||
		    !scatter_word(g->memory, chunk + 2 * g->word, &stored))
			return false;
		chunk = glibc_reveal(links, chunk + 2 * g->word, stored);
	}
	return true;
}

/* How links must be read for the more lists to make sense; where no thread cache could tell. */
static void settle_links(struct glibc *g)
{
	size_t plain = 0, safe = 0;

	for (size_t i = 0; i < g->nr_arenas; i++) {
		const struct glibc_arena *a = &g->arenas[i];

		for (unsigned int bin = 0; bin < g->nr_fast; bin++) {
			uint64_t chunk;

			if (!scatter_word(g->memory, a->addr + g->fast_offset + bin * g->word,
					  &chunk) ||
			    chunk == 0)
				continue;
			plain += list_fits(g, a, chunk, bin, LINKS_PLAIN);
			safe += list_fits(g, a, chunk, bin, LINKS_SAFE);
		}
	}
	if (plain != safe)
		g->links = plain > safe ? LINKS_PLAIN : LINKS_SAFE;
}

/* Marks a list's chunks; false: there are more than `most`, all lists of the arena together. */
static bool collect_list(struct glibc *g, struct glibc_arena *a, uint64_t chunk, unsigned int bin,
			 uint64_t most)
{
	while (chunk) {
		struct glibc_piece *piece = fast_piece(g, a, chunk, bin);
		uint64_t stored;

		if (!piece || !scatter_word(g->memory, chunk + 2 * g->word, &stored)) {
			glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), chunk,
				    "a fast list leads to 0x%llx, where no chunk of its size is",
				    (unsigned long long)chunk);
			return true;
		}
		if (!glibc_set_fast(g, piece, chunk)) {
			glibc_fault(&a->fault_addr, a->fault, sizeof(a->fault), chunk,
				    "a chunk is in the fast lists twice");
			return true;
		}
		if (++a->fast_blocks > most)
			return false;
		chunk = glibc_reveal(g->links, chunk + 2 * g->word, stored);
	}
	return true;
}

static bool collect_arena(struct glibc *g, struct glibc_arena *a, uint64_t most)
{
	for (unsigned int bin = 0; bin < g->nr_fast; bin++) {
		uint64_t chunk;

		if (scatter_word(g->memory, a->addr + g->fast_offset + bin * g->word, &chunk) &&
		    !collect_list(g, a, chunk, bin, most))
			return false;
	}
	return true;
}

static void forget_arena(struct glibc_arena *a)
{
	a->fast_blocks = 0;
	for (size_t i = 0; i < a->nr_pieces; i++) {
		free(a->pieces[i].fast);
		a->pieces[i].fast = NULL;
	}
}

void glibc_collect_fast(struct glibc *g)
{
	if (g->links == LINKS_UNKNOWN)
		settle_links(g);
	for (size_t i = 0; i < g->nr_arenas; i++) {
		struct glibc_arena *a = &g->arenas[i];

		if (collect_arena(g, a, LONG_LISTS))
			continue;
		forget_arena(a);
		if (glibc_map_fast(g, a))
			continue;
		collect_arena(g, a, UINT64_MAX);
	}
}
