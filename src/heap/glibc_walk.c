/*
 * Every chunk of an arena once, in the order of addresses, with the arena's books checked on the
 * way in a fixed amount of memory.
 *
 * The lists of free chunks are not followed. Each link x -> y that is stored as x's fd must be
 * stored as y's bk, too; both sides are summed up as hashes of { x, y }, so the sums are equal
 * exactly if the links are (up to chance). Only when they differ are the links followed, chunk by
 * chunk, to find the first that is wrong.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "heap/glibc_chunks.h"

/* Chunks that one call of malloc or free may have left half done, for each thread in one. */
#define IN_WORK 16

struct tally {
	struct glibc_state *s;
	const struct glibc *g;
	struct glibc_arena *a;
	uint64_t forward, back; /* sums over links */
	uint64_t free, feet;	/* free chunks; those with the right size behind them */
	uint64_t cached, keyed; /* blocks of thread caches that were met; with the key */
	uint64_t fast;		/* chunks of fast lists that were met */
	uint64_t tops;
	size_t mark, name; /* next ones */
	bool trust_key;
	bool between; /* malloc may be in the middle of its work on this arena */
};

static inline uint64_t hash_link(uint64_t from, uint64_t to)
{
	uint64_t x =
		from * 0x9e3779b97f4a7c15ull ^ (to + 0x7f4a7c159e3779b9ull) * 0xc2b2ae3d27d4eb4full;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ull;
	return x ^ x >> 32;
}

static size_t first_mark(const struct glibc_state *s, uint64_t addr)
{
	size_t low = 0, high = s->nr_marks;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->marks[middle].addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static size_t first_name(const struct glibc_state *s, uint64_t addr)
{
	size_t low = 0, high = s->nr_names;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->names[middle].addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The mark of the block at addr; marks are met in ascending order. */
static const struct glibc_mark *mark_at(struct tally *t, uint64_t addr)
{
	const struct glibc_state *s = t->s;

	while (t->mark < s->nr_marks && s->marks[t->mark].addr < addr)
		t->mark++;
	return t->mark < s->nr_marks && s->marks[t->mark].addr == addr ? &s->marks[t->mark] : NULL;
}

static const char *name_at(struct tally *t, uint64_t addr)
{
	const struct glibc_state *s = t->s;

	while (t->name < s->nr_names && s->names[t->name].addr < addr)
		t->name++;
	return t->name < s->nr_names && s->names[t->name].addr == addr ? s->names[t->name].what
								       : NULL;
}

static bool is_fast(const struct tally *t, const struct glibc_piece *piece, uint64_t chunk)
{
	uint64_t unit = (chunk - piece->first) / t->g->align;

	return piece->fast && piece->fast[unit / 8] & 1u << unit % 8;
}

/* Does it carry the key of a cache, though no list has it? Believed where lists are torn. */
static bool has_stray_key(const struct tally *t, const struct chunk *c)
{
	if (!t->trust_key || c->word[1] == 0)
		return false;
	if (t->g->key)
		return c->word[1] == t->g->key;
	for (size_t i = 0; t->g->key_is_cache && i < t->g->nr_caches; i++)
		if (c->word[1] == t->g->caches[i].addr)
			return true;
	return false;
}

static void classify_used(struct tally *t, const struct glibc_piece *piece, const struct chunk *c,
			  struct heap_block *b)
{
	const struct glibc_mark *mark = mark_at(t, b->addr);

	b->state = BLOCK_BUSY;
	if (mark) {
		const struct glibc *g = &t->s->libs[mark->lib];
		const struct glibc_cache *cache = &g->caches[mark->cache];

		b->state = BLOCK_CACHED;
		b->tid = cache->tid;
		t->cached++;
		t->keyed += c->word[1] == (g->key_is_cache ? cache->addr : g->key);
	} else if (is_fast(t, piece, c->addr)) {
		b->state = BLOCK_CACHED;
		t->fast++;
	} else if (has_stray_key(t, c)) {
		b->state = BLOCK_CACHED;
	} else {
		b->what = name_at(t, b->addr);
		if (!b->what && glibc_is_vector(t->s, t->g, b->addr, c->word[0], c->bytes))
			b->what = "thread's vector of modules";
		if (b->what)
			b->state = BLOCK_INTERNAL;
	}
}

static void classify_free(struct walk *w, struct tally *t, const struct chunk *c)
{
	t->free++;
	t->forward += hash_link(c->addr, c->word[0]);
	t->back += hash_link(c->word[1], c->addr);
	if (c->foot == c->bytes)
		t->feet++;
	else if (!t->between)
		walk_fault(w, t->a->heap, c->addr,
			   "the free chunk at 0x%llx has size 0x%llx, behind it stands 0x%llx",
			   (unsigned long long)c->addr, (unsigned long long)c->bytes,
			   (unsigned long long)c->foot);
}

static int emit_chunk(struct walk *w, struct tally *t, const struct glibc_piece *piece,
		      const struct chunk *c)
{
	unsigned int word = t->g->word;
	struct heap_block b = {.addr = c->addr + 2 * word,
			       .size = c->bytes - word,
			       .start = c->addr,
			       .total = c->bytes,
			       .heap = t->a->heap};

	switch (c->kind) {
	case CHUNK_USED:
		classify_used(t, piece, c, &b);
		break;
	case CHUNK_FREE:
		b.state = BLOCK_FREE;
		classify_free(w, t, c);
		break;
	case CHUNK_TOP:
		b.state = BLOCK_TOP;
		b.size = c->bytes > 2 * word ? c->bytes - 2 * word : 0;
		t->tops++;
		break;
	case CHUNK_FENCE:
	case CHUNK_GAP:
		b.state = BLOCK_OVERHEAD;
		b.addr = c->addr;
		b.size = 0;
		b.what = c->kind == CHUNK_GAP ? c->what : "end of a piece";
		break;
	}
	return walk_emit(w, &b);
}

static int emit_overhead(struct walk *w, size_t heap, uint64_t start, uint64_t end,
			 const char *what)
{
	struct heap_block b = {.addr = start,
			       .start = start,
			       .total = end - start,
			       .heap = heap,
			       .state = BLOCK_OVERHEAD,
			       .what = what};

	return start < end ? walk_emit(w, &b) : 0;
}

static int walk_piece(struct walk *w, struct tally *t, const struct glibc_piece *piece,
		      struct window *window)
{
	struct chunk_walk cw;
	struct chunk c;
	int r;

	r = emit_overhead(w, t->a->heap, piece->start, piece->first,
			  t->a->is_main ? "alignment" : "arena");
	if (r)
		return r;
	t->mark = first_mark(t->s, piece->start);
	t->name = first_name(t->s, piece->start);
	chunk_walk_init(&cw, t->g, t->a, piece, window);
	while (chunk_next(&cw, &c)) {
		r = emit_chunk(w, t, piece, &c);
		if (r)
			return r;
	}
	/* A header may be still to be written. */
	if (cw.fault[0] && t->between && cw.losses <= 1)
		heaps_at(walk_heaps(w), t->a->heap)->flags |= HEAP_LOCKED;
	else if (cw.fault[0])
		walk_fault(w, t->a->heap, cw.fault_addr, "%s", cw.fault);
	return emit_overhead(w, t->a->heap, piece->end, piece->committed_end, "given back");
}

/* Do the neighbours of the list element at addr link back to it? */
static bool is_linked(const struct glibc *g, uint64_t addr, uint64_t fd, uint64_t bk)
{
	uint64_t back, forth;

	return scatter_word(g->memory, fd + 3 * g->word, &back) && back == addr &&
	       scatter_word(g->memory, bk + 2 * g->word, &forth) && forth == addr;
}

/* After the sums differed: how many free chunks are linked well, and which is the first that is
 * not.
 */
static uint64_t count_linked(struct walk *w, struct tally *t, bool may_fault)
{
	struct chunk_walk cw;
	struct chunk c;
	struct window window;
	uint64_t linked = 0;

	window_init(&window, t->g->target, 0);
	for (size_t i = 0; i < t->a->nr_pieces; i++) {
		chunk_walk_init(&cw, t->g, t->a, &t->a->pieces[i], &window);
		while (chunk_next(&cw, &c)) {
			if (c.kind != CHUNK_FREE)
				continue;
			if (is_linked(t->g, c.addr, c.word[0], c.word[1])) {
				linked++;
				continue;
			}
			if (may_fault)
				walk_fault(w, t->a->heap, c.addr,
					   "the free chunk at 0x%llx is not linked well "
					   "(next 0x%llx, previous 0x%llx)",
					   (unsigned long long)c.addr,
					   (unsigned long long)c.word[0],
					   (unsigned long long)c.word[1]);
		}
	}
	window_release(&window);
	return linked;
}

static void add_heads(struct tally *t)
{
	const struct glibc *g = t->g;

	for (unsigned int i = 0; i < GLIBC_BINS; i++) {
		uint64_t at = t->a->bins + 2ull * i * g->word, head = at - 2 * g->word, fd, bk;

		if (!scatter_word(g->memory, at, &fd) ||
		    !scatter_word(g->memory, at + g->word, &bk))
			continue;
		t->forward += hash_link(head, fd);
		t->back += hash_link(bk, head);
	}
}

/*
 * A difference while malloc is in the middle of its work proves nothing, if it is as small as that
 * work can make it.
 */
static void check(struct walk *w, const struct tally *t, const char *what, uint64_t expected,
		  uint64_t found, uint64_t slack)
{
	uint64_t difference = expected > found ? expected - found : found - expected;

	if (difference == 0 || !t->between || difference > slack)
		walk_verdict(w, what, t->a->heap, expected, found);
	else
		heaps_at(walk_heaps(w), t->a->heap)->flags |= HEAP_LOCKED;
}

static void check_bins(struct walk *w, struct tally *t)
{
	uint64_t linked = t->free;

	add_heads(t);
	if (t->forward != t->back) {
		linked = count_linked(w, t, !t->between);
		if (linked == t->free && !t->between) {
			walk_fault(w, t->a->heap, t->a->bins,
				   "a list of free chunks does not lead back to its head");
			linked = t->free ? t->free - 1 : 1;
		}
	}
	check(w, t, "free chunks linked in bins = free by their neighbour's flag", t->free, linked,
	      IN_WORK);
	check(w, t, "free chunks with their size behind them = free chunks", t->free, t->feet,
	      IN_WORK);
}

static uint64_t marks_in(const struct tally *t)
{
	uint64_t nr = 0;

	for (size_t i = 0; i < t->a->nr_pieces; i++)
		nr += first_mark(t->s, t->a->pieces[i].committed_end) -
		      first_mark(t->s, t->a->pieces[i].start);
	return nr;
}

static uint64_t arena_bytes(const struct tally *t)
{
	const struct glibc_arena *a = t->a;
	uint64_t bytes = 0;

	if (a->contiguous && t->g->par.known && t->g->par.sbrk_base && a->nr_pieces == 1)
		return a->pieces[0].end - t->g->par.sbrk_base;
	for (size_t i = 0; i < a->nr_pieces; i++)
		bytes += a->pieces[i].end - a->pieces[i].start;
	return bytes;
}

static void check_arena(struct walk *w, struct tally *t)
{
	bool has_key = t->g->key || t->g->key_is_cache;

	check_bins(w, t);
	check(w, t, "blocks in thread caches = used chunks there", marks_in(t), t->cached, IN_WORK);
	if (has_key)
		check(w, t, "blocks in thread caches with the caches' key = blocks in them",
		      t->cached, t->keyed, IN_WORK);
	check(w, t, "chunks in fast lists = used chunks there", t->a->fast_blocks, t->fast,
	      IN_WORK);
	check(w, t, "bytes from the system = bytes of the arena", t->a->system_mem, arena_bytes(t),
	      UINT64_MAX);
	check(w, t, "top chunk = last chunk", 1, t->tops, 1);
}

/* What went wrong while the lists were read belongs to the heap that it went wrong in. */
static void tell_faults(struct walk *w, struct tally *t)
{
	const struct glibc_state *s = t->s;
	struct glibc_arena *owner = NULL;

	if (s->fault[0] && glibc_piece_of(t->g, s->fault_addr, &owner) ? owner == t->a : false)
		walk_fault(w, t->a->heap, s->fault_addr, "%s", s->fault);
	else if (s->fault[0] && !owner && t->a == &s->libs[s->fault_lib].arenas[0])
		walk_fault(w, t->a->heap, s->fault_addr, "%s", s->fault);
	if (t->a->fault[0])
		walk_fault(w, t->a->heap, t->a->fault_addr, "%s", t->a->fault);
}

static int walk_arena(struct walk *w, struct glibc_state *s, struct glibc *g, struct glibc_arena *a)
{
	struct tally t = {.s = s, .g = g, .a = a};
	struct window window;
	int r = 0;

	/* A core is of the moment that something went wrong in: nothing is excused there. */
	t.between = (a->locked || s->threads_inside) && target_how(g->target)->kind != TARGET_CORE;
	t.trust_key = s->fault[0] || !target_how(g->target)->consistent;
	window_init(&window, g->target, 0);
	for (size_t i = 0; i < a->nr_pieces && !r; i++)
		r = walk_piece(w, &t, &a->pieces[i], &window);
	window_release(&window);
	if (r)
		return r;
	tell_faults(w, &t);
	check_arena(w, &t);
	return 0;
}

static int walk_direct(struct walk *w, struct glibc_state *s)
{
	const struct glibc *g = &s->libs[0];
	struct tally t = {.s = s, .g = g};
	uint64_t nr = 0, bytes = 0, total = 0;

	for (size_t i = 0; i < s->nr; i++) {
		nr += s->libs[i].par.mmaps;
		bytes += s->libs[i].par.mmapped_bytes;
	}
	for (size_t i = 0; i < s->nr_direct; i++) {
		const struct glibc_direct *d = &s->direct[i];
		uint64_t used = (d->chunk - d->base) + (g->direct_full ? 3 : 2) * g->word;
		struct heap_block b = {.addr = d->chunk + 2 * g->word,
				       .size = d->total - used,
				       .start = d->base,
				       .total = d->total,
				       .heap = s->direct_heap};
		const struct glibc_mark *mark = mark_at(&t, b.addr);
		int r;

		total += d->total;
		b.what = name_at(&t, b.addr);
		b.state = mark ? BLOCK_CACHED : b.what ? BLOCK_INTERNAL : BLOCK_BUSY;
		if (mark)
			b.tid = s->libs[mark->lib].caches[mark->cache].tid;
		r = walk_emit(w, &b);
		if (r)
			return r;
	}
	/* Counted before the mapping is made or after it is gone: on the way it proves nothing. */
	if (s->threads_inside && (nr != s->nr_direct || bytes != total)) {
		heaps_at(walk_heaps(w), s->direct_heap)->flags |= HEAP_LOCKED;
		return 0;
	}
	walk_verdict(w, "mapped blocks counted = found", s->direct_heap, nr, s->nr_direct);
	walk_verdict(w, "bytes of mapped blocks counted = found", s->direct_heap, bytes, total);
	return 0;
}

void glibc_collect(struct glibc_state *s, struct target *t)
{
	size_t nr, known = 0;
	const struct target_thread *threads = target_threads(t, &nr);

	if (s->collected)
		return;
	for (size_t i = 0; i < nr; i++)
		known += threads[i].tp != 0;
	for (size_t i = 0; i < s->nr; i++)
		if (known < nr || (nr == 0 && s->libs[i].nr_caches == 0))
			glibc_guess_caches(&s->libs[i]);
	s->threads_inside = glibc_threads_inside(s, t);
	if (nr && known == nr)
		glibc_find_orphans(s);
	glibc_collect_caches(s);
	for (size_t i = 0; i < s->nr; i++)
		glibc_collect_fast(&s->libs[i]);
	glibc_collect_names(s, t);
	s->collected = true;
}

int glibc_walk(struct walk *w, void *state, size_t i)
{
	struct glibc_state *s = state;

	glibc_collect(s, heaps_target(walk_heaps(w)));
	if (i == s->direct_heap)
		return walk_direct(w, s);
	for (size_t k = 0; k < s->nr; k++)
		for (size_t n = 0; n < s->libs[k].nr_arenas; n++)
			if (s->libs[k].arenas[n].heap == i)
				return walk_arena(w, s, &s->libs[k], &s->libs[k].arenas[n]);
	return 0;
}
