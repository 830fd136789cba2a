/*
 * Thread caches: per thread and size a list of freed blocks, newest first. The struct is a block of
 * the heap itself; how it is laid out shows in its size.
 *
 *   2.26-2.29  u8 counts[64];  void *entries[64];
 *   2.30-2.41  u16 counts[64]; void *entries[64];
 *   2.42 on    u16 free_slots[76]; void *entries[76];   the last 12 lists hold mixed sizes
 *
 * The first word of a cached block links to the next one (since 2.32 mixed with its own address),
 * the second is a key (2.29: the cache's address, 2.34: one random number for all).
 */
#include <stdlib.h>

#include "base/mem.h"
#include "heap/glibc_chunks.h"

#define LISTS_ENOUGH 256 /* that agree on how links are stored */
#define KEY_SAMPLES 256	 /* blocks that tell what the key is */

static const struct glibc_cache_layout wide_layouts[] = {
	{64, 64, 1, false, 0x240},
	{64, 64, 2, false, 0x280},
	{76, 64, 2, true, 0x2f8},
};
static const struct glibc_cache_layout narrow_layouts[] = {
	{64, 64, 1, false, 0x140},
	{64, 64, 2, false, 0x180},
	{76, 64, 2, true, 0x1c8},
};

/* From 2.27 on the arena has a counter more, or no fast lists any more: then there are caches. */
static bool has_caches(const struct glibc *g)
{
	bool old = g->distance == (g->word == 8 ? 0x68 : 0x38) ||
		   (g->distance == 0x3c && g->fast_offset == 8);

	return !old || g->par.has_tcache;
}

const struct glibc_cache_layout *glibc_cache_layout(const struct glibc *g, uint64_t chunk_bytes)
{
	const struct glibc_cache_layout *l = g->word == 8 ? wide_layouts : narrow_layouts;

	if (!has_caches(g))
		return NULL;
	for (size_t i = 0; i < 3; i++)
		if (glibc_fits_request(g, chunk_bytes, l[i].bytes))
			return &l[i];
	return NULL;
}

struct cache_image {
	uint32_t counts[76];
	uint64_t entries[76];
};

static bool read_cache(const struct glibc *g, uint64_t addr, const struct glibc_cache_layout *l,
		       struct cache_image *ret)
{
	uint8_t bytes[0x300];
	const uint8_t *entries = bytes + l->bins * l->count_bytes;

	if (!scatter_read(g->memory, addr, bytes, l->bytes))
		return false;
	for (unsigned int i = 0; i < l->bins; i++) {
		ret->counts[i] = l->count_bytes == 1
					 ? bytes[i]
					 : bytes[2 * i] | (uint32_t)bytes[2 * i + 1] << 8;
		ret->entries[i] = glibc_load(entries + i * g->word, g->word);
	}
	return true;
}

/* Slots of an empty list: the most that any has. */
static uint32_t slots(const struct cache_image *image, const struct glibc_cache_layout *l)
{
	uint32_t most = 0;

	for (unsigned int i = 0; i < l->bins; i++)
		if (image->counts[i] > most)
			most = image->counts[i];
	return most;
}

static uint64_t class_size(const struct glibc *g, unsigned int bin)
{
	return glibc_min_size(g) + (uint64_t)bin * g->align;
}

/* Does a list's first block look like one of its size? */
static bool entry_fits(const struct glibc *g, const struct glibc_cache_layout *l, unsigned int bin,
		       uint64_t entry)
{
	uint64_t head;

	if (entry % g->align || !scatter_word(g->memory, entry - g->word, &head))
		return false;
	return bin >= l->small_bins || (head & ~(uint64_t)CHUNK_FLAGS) == class_size(g, bin);
}

int glibc_cache_shape(const struct glibc *g, uint64_t addr, const struct glibc_cache_layout *l)
{
	struct cache_image image;
	uint32_t full, nr = 0;

	if (!read_cache(g, addr, l, &image))
		return 0;
	full = l->counts_down ? slots(&image, l) : 0;
	for (unsigned int i = 0; i < l->bins; i++) {
		bool empty = l->counts_down ? image.counts[i] == full || image.counts[i] == 0
					    : image.counts[i] == 0;

		if (image.entries[i] == 0 && !empty)
			return 0;
		if (image.entries[i] == 0)
			continue;
		if ((!l->counts_down && empty) || !entry_fits(g, l, i, image.entries[i]))
			return 0;
		nr++;
	}
	return nr ? 2 : 1;
}

static bool is_known(const struct glibc *g, uint64_t addr)
{
	for (size_t i = 0; i < g->nr_caches; i++)
		if (g->caches[i].addr == addr)
			return true;
	return false;
}

void glibc_guess_caches(struct glibc *g)
{
	struct chunk_walk cw;
	struct chunk c;
	struct window w;

	if (!has_caches(g))
		return;
	window_init(&w, g->target, 0);
	for (size_t i = 0; i < g->nr_arenas; i++) {
		for (size_t k = 0; k < g->arenas[i].nr_pieces; k++) {
			chunk_walk_init(&cw, g, &g->arenas[i], &g->arenas[i].pieces[k], &w);
			while (chunk_next(&cw, &c)) {
				struct glibc_cache cache = {.addr = c.addr + 2 * g->word};

				if (c.kind != CHUNK_USED)
					continue;
				cache.layout = glibc_cache_layout(g, c.bytes);
				if (cache.layout &&
				    glibc_cache_shape(g, cache.addr, cache.layout) == 2 &&
				    !is_known(g, cache.addr))
					ARRAY_PUSH(g->caches, g->nr_caches, g->cap_caches, cache);
			}
		}
	}
	window_release(&w);
}

/* Can this be a block that a list links to? */
static bool is_block(const struct glibc_state *s, const struct glibc *g, uint64_t addr)
{
	return addr % g->align == 0 &&
	       (glibc_piece_of(g, addr, NULL) || (g->direct_full && glibc_direct_of(s, addr)));
}

/* Does a list, its links read in this way, have as many blocks as its counter says, and all fit? */
static bool list_fits(const struct glibc_state *s, const struct glibc *g,
		      const struct glibc_cache *c, unsigned int bin, uint64_t entry,
		      uint64_t counted, enum glibc_links links)
{
	for (uint64_t nr = 0; nr < counted; nr++) {
		uint64_t stored;

		if (!is_block(s, g, entry) || !entry_fits(g, c->layout, bin, entry) ||
		    !scatter_word(g->memory, entry, &stored))
			return false;
		entry = glibc_reveal(links, entry, stored);
	}
	return entry == 0;
}

static void broken(struct glibc_state *s, size_t lib, uint64_t at, const struct glibc_cache *c,
		   const char *what)
{
	if (!s->fault[0])
		s->fault_lib = lib;
	glibc_fault(&s->fault_addr, s->fault, sizeof(s->fault), at,
		    "in the cache of thread %d at 0x%llx, %s", c->tid, (unsigned long long)c->addr,
		    what);
}

/* Marks the blocks of one list; `limit` is what its counter allows. */
static void collect_list(struct glibc_state *s, size_t lib, size_t cache, uint64_t entry,
			 unsigned int bin, uint64_t limit)
{
	struct glibc *g = &s->libs[lib];
	const struct glibc_cache *c = &g->caches[cache];

	for (uint64_t nr = 0; entry; nr++) {
		uint64_t stored;

		if (nr > limit) {
			broken(s, lib, entry, c, "a list is longer than its counter says");
			return;
		}
		if (!is_block(s, g, entry) || !scatter_word(g->memory, entry, &stored)) {
			broken(s, lib, entry, c, "a list leads out of the heap");
			return;
		}
		if (!entry_fits(g, c->layout, bin, entry))
			broken(s, lib, entry, c, "a block is in the list of another size");
		ARRAY_PUSH(s->marks, s->nr_marks, s->cap_marks,
			   ((struct glibc_mark){
				   .addr = entry, .lib = (uint32_t)lib, .cache = (uint32_t)cache}));
		entry = glibc_reveal(g->links, entry, stored);
	}
}

/* Blocks that a list has by its counter. */
static uint64_t counted_in(const struct glibc *g, const struct glibc_cache_layout *l,
			   const struct cache_image *image, unsigned int bin)
{
	uint64_t full;

	if (!l->counts_down)
		return image->counts[bin];
	full = g->par.known && g->par.has_tcache ? g->par.tcache_count : slots(image, l);
	return full > image->counts[bin] ? full - image->counts[bin] : 0;
}

/* One answer for the whole process: plain links or safe ones, by which more lists make sense. */
static void settle_links(const struct glibc_state *s, struct glibc *g)
{
	size_t plain = 0, safe = 0;
	struct cache_image image;

	for (size_t i = 0; i < g->nr_caches && plain + safe < LISTS_ENOUGH; i++) {
		const struct glibc_cache *c = &g->caches[i];

		if (!read_cache(g, c->addr, c->layout, &image))
			continue;
		for (unsigned int k = 0; k < c->layout->bins; k++) {
			uint64_t nr = counted_in(g, c->layout, &image, k);

			if (nr == 0)
				continue;
			plain += list_fits(s, g, c, k, image.entries[k], nr, LINKS_PLAIN);
			safe += list_fits(s, g, c, k, image.entries[k], nr, LINKS_SAFE);
		}
	}
	if (plain != safe)
		g->links = plain > safe ? LINKS_PLAIN : LINKS_SAFE;
}

static bool lists_fit(const struct glibc_state *s, const struct glibc *g,
		      const struct glibc_cache *c, const struct cache_image *image,
		      enum glibc_links links)
{
	for (unsigned int i = 0; i < c->layout->bins; i++)
		if (!list_fits(s, g, c, i, image->entries[i], counted_in(g, c->layout, image, i),
			       links))
			return false;
	return true;
}

bool glibc_cache_proven(const struct glibc_state *s, const struct glibc *g, uint64_t addr,
			const struct glibc_cache_layout *l)
{
	const struct glibc_cache c = {.addr = addr, .layout = l};
	struct cache_image image;

	return read_cache(g, addr, l, &image) && (lists_fit(s, g, &c, &image, LINKS_SAFE) ||
						  lists_fit(s, g, &c, &image, LINKS_PLAIN));
}

static void collect_cache(struct glibc_state *s, size_t lib, size_t cache)
{
	struct glibc *g = &s->libs[lib];
	const struct glibc_cache_layout *l = g->caches[cache].layout;
	struct cache_image image;

	if (!read_cache(g, g->caches[cache].addr, l, &image))
		return;
	for (unsigned int i = 0; i < l->bins; i++) {
		uint64_t counted = counted_in(g, l, &image, i), before = s->nr_marks;

		collect_list(s, lib, cache, image.entries[i], i, counted);
		s->cache_counted += counted;
		s->cache_listed += s->nr_marks - before;
	}
}

static int compare_marks(const void *a, const void *b)
{
	const struct glibc_mark *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* A block that is twice in the lists was freed twice. */
static void sort_marks(struct glibc_state *s)
{
	size_t kept = 0;

	if (s->nr_marks)
		qsort(s->marks, s->nr_marks, sizeof(*s->marks), compare_marks);
	for (size_t i = 0; i < s->nr_marks; i++) {
		if (kept && s->marks[kept - 1].addr == s->marks[i].addr) {
			broken(s, s->marks[i].lib, s->marks[i].addr,
			       &s->libs[s->marks[i].lib].caches[s->marks[i].cache],
			       "a block is in the lists twice");
			continue;
		}
		s->marks[kept++] = s->marks[i];
	}
	s->nr_marks = kept;
}

/* What the second word of cached blocks is. */
static void find_key(struct glibc_state *s, size_t lib)
{
	struct glibc *g = &s->libs[lib];
	size_t seen = 0, own = 0, same = 0;
	uint64_t first = 0;

	for (size_t i = 0; i < s->nr_marks && seen < KEY_SAMPLES; i++) {
		const struct glibc_mark *m = &s->marks[i];
		uint64_t word;

		if (m->lib != lib || !scatter_word(g->memory, m->addr + g->word, &word))
			continue;
		if (seen++ == 0)
			first = word;
		own += word == g->caches[m->cache].addr;
		same += word == first;
	}
	/* Before 2.29 the word is what the program left there: no two need be the same. */
	g->key_is_cache = seen && own * 10 >= seen * 9;
	if (!g->key_is_cache && seen >= 4 && same * 10 >= seen * 9)
		g->key = first;
}

void glibc_collect_caches(struct glibc_state *s)
{
	for (size_t i = 0; i < s->nr; i++) {
		settle_links(s, &s->libs[i]);
		for (size_t k = 0; k < s->libs[i].nr_caches; k++)
			collect_cache(s, i, k);
	}
	sort_marks(s);
	for (size_t i = 0; i < s->nr; i++)
		find_key(s, i);
}
