/* Stepping over chunks, and finding the way again behind damage; see glibc_chunks.h. */
#include "heap/glibc_chunks.h"

#include <string.h>

#define LOSSES_MAX 4096 /* times that a piece is searched for the next good chunk */
#define CHAIN_ENOUGH 16 /* good chunks in a row */

/* Bytes at addr: what the window holds already costs no call. */
static inline const uint8_t *peek(struct window *w, uint64_t addr, size_t len)
{
	uint64_t offset = addr - w->start;

	if (addr >= w->start && offset <= w->len && w->len - offset >= len)
		return w->bytes + offset;
	return window_get(w, addr, len);
}

void chunk_walk_init(struct chunk_walk *cw, const struct glibc *g, const struct glibc_arena *a,
		     const struct glibc_piece *piece, struct window *w)
{
	*cw = (struct chunk_walk){.lib = g,
				  .window = w,
				  .at = piece->first,
				  .end = piece->end,
				  .top = a->top,
				  .is_main = a->is_main};
	w->limit = piece->end;
}

/* Is this a size that a chunk at `at` can have? It ends before the next header's end. */
static inline bool size_fits(const struct chunk_walk *cw, uint64_t at, uint64_t head)
{
	uint64_t size = head & ~(uint64_t)CHUNK_FLAGS, room = cw->end - at;

	if (size < 4ull * cw->lib->word || (size & (cw->lib->align - 1)) ||
	    (head & CHUNK_IS_MMAPPED) || size > room || room - size < 2ull * cw->lib->word)
		return false;
	return cw->top <= at || at + size <= cw->top || cw->top >= cw->end;
}

/* Does a plausible chain of chunks begin at `at`? */
static bool chain_begins(struct chunk_walk *cw, uint64_t at)
{
	unsigned int word = cw->lib->word;

	for (unsigned int i = 0; i < CHAIN_ENOUGH; i++) {
		const uint8_t *p = peek(cw->window, at, 2 * word);
		uint64_t head, size;

		if (!p)
			return false;
		head = glibc_load(p + word, word);
		size = head & ~(uint64_t)CHUNK_FLAGS;
		if (at == cw->top)
			return size == cw->end - at;
		/* A fence in front of the end is the end of a good chain; elsewhere it proves
		 * nothing. */
		if (i > 0 && (size == 2 * word || size == 0) && cw->end - at <= 6 * word)
			return true;
		if (!size_fits(cw, at, head))
			return false;
		p = peek(cw->window, at + size, 2 * word);
		if (!p)
			return false;
		if (!(glibc_load(p + word, word) & CHUNK_PREV_INUSE) && glibc_load(p, word) != size)
			return false;
		at += size;
	}
	return true;
}

static bool gap(struct chunk_walk *cw, uint64_t to, const char *what, struct chunk *ret)
{
	*ret = (struct chunk){
		.kind = CHUNK_GAP, .addr = cw->at, .bytes = to - cw->at, .what = what};
	cw->at = to;
	cw->fences = 0;
	return true;
}

/* Gives up what lies from cw->at to the next chunk that can be believed. */
static bool skip(struct chunk_walk *cw, const char *what, struct chunk *ret)
{
	uint64_t to = cw->at, unit = cw->lib->align;

	/* Chunks stand where their user's bytes are aligned. */
	to = glibc_first_chunk(cw->lib, to + 1);
	if (cw->losses++ >= LOSSES_MAX)
		to = cw->end;
	while (to < cw->end && !chain_begins(cw, to)) {
		if (!peek(cw->window, to, 1))
			to = (to & ~(uint64_t)(GLIBC_PAGE - 1)) + GLIBC_PAGE - unit;
		to += unit;
	}
	return gap(cw, to < cw->end ? to : cw->end, what, ret);
}

static bool damaged(struct chunk_walk *cw, uint64_t head, struct chunk *ret)
{
	glibc_fault(&cw->fault_addr, cw->fault, sizeof(cw->fault), cw->at,
		    "the header of the chunk at 0x%llx makes no sense (size 0x%llx)",
		    (unsigned long long)cw->at, (unsigned long long)head);
	return skip(cw, "damaged", ret);
}

static bool fence(struct chunk_walk *cw, uint64_t bytes, struct chunk *ret)
{
	*ret = (struct chunk){.kind = CHUNK_FENCE, .addr = cw->at, .bytes = bytes};
	cw->at += bytes;
	cw->fences++;
	return true;
}

static bool at_top(struct chunk_walk *cw, uint64_t head, struct chunk *ret)
{
	uint64_t size = head & ~(uint64_t)CHUNK_FLAGS;

	if (size != cw->end - cw->at)
		glibc_fault(&cw->fault_addr, cw->fault, sizeof(cw->fault), cw->at,
			    "the top chunk's size is 0x%llx, but 0x%llx bytes are left",
			    (unsigned long long)size, (unsigned long long)(cw->end - cw->at));
	*ret = (struct chunk){
		.kind = CHUNK_TOP, .addr = cw->at, .bytes = cw->end - cw->at, .head = head};
	cw->at = cw->end;
	return true;
}

/* What is no block: posts at the end of a piece, other people's memory, damage. */
static bool oddity(struct chunk_walk *cw, uint64_t head, struct chunk *ret)
{
	uint64_t size = head & ~(uint64_t)CHUNK_FLAGS, room = cw->end - cw->at;
	unsigned int word = cw->lib->word;

	if (size == 2 * word && room >= 2 * word)
		return fence(cw, size, ret);
	if (size == 0 && !cw->is_main && room <= 2 * word + cw->lib->align)
		return fence(cw, room, ret);
	if (cw->fences >= 2)
		return room < cw->lib->align ? gap(cw, cw->end, "alignment", ret)
					     : skip(cw, "not of malloc", ret);
	return damaged(cw, head, ret);
}

/* The rest of an old top that is too small to be freed stands before the last fence post. */
static bool is_remnant(const struct chunk_walk *cw, uint64_t size, uint64_t next_head)
{
	unsigned int word = cw->lib->word;

	return !cw->is_main && size == 4ull * word && (next_head & ~(uint64_t)CHUNK_FLAGS) == 0 &&
	       cw->end - cw->at - size <= 2ull * word + cw->lib->align;
}

bool chunk_next(struct chunk_walk *cw, struct chunk *ret)
{
	unsigned int word = cw->lib->word;
	uint64_t room = cw->end - cw->at, next;
	const uint8_t *p;

	if (cw->at >= cw->end)
		return false;
	if (room < 2 * word)
		return gap(cw, cw->end, "alignment", ret);
	p = peek(cw->window, cw->at, room < 4 * word ? 2 * word : 4 * word);
	if (!p) {
		glibc_fault(&cw->fault_addr, cw->fault, sizeof(cw->fault), cw->at,
			    "the memory at 0x%llx cannot be read", (unsigned long long)cw->at);
		return skip(cw, "unreadable", ret);
	}
	ret->head = glibc_load(p + word, word);
	if (cw->at == cw->top)
		return at_top(cw, ret->head, ret);
	if (__builtin_expect(!size_fits(cw, cw->at, ret->head), 0))
		return oddity(cw, ret->head, ret);
	ret->addr = cw->at;
	ret->bytes = ret->head & ~(uint64_t)CHUNK_FLAGS;
	ret->word[0] = glibc_load(p + 2 * word, word);
	ret->word[1] = glibc_load(p + 3 * word, word);
	ret->what = NULL;
	p = peek(cw->window, cw->at + ret->bytes, 2 * word);
	if (!p) {
		glibc_fault(&cw->fault_addr, cw->fault, sizeof(cw->fault), cw->at,
			    "the memory behind the chunk at 0x%llx cannot be read",
			    (unsigned long long)cw->at);
		return skip(cw, "unreadable", ret);
	}
	ret->foot = glibc_load(p, word);
	next = glibc_load(p + word, word);
	if (is_remnant(cw, ret->bytes, next))
		return fence(cw, ret->bytes, ret);
	ret->kind = next & CHUNK_PREV_INUSE ? CHUNK_USED : CHUNK_FREE;
	cw->at += ret->bytes;
	cw->fences = 0;
	return true;
}
