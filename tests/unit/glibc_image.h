/*
 * The memory of a process with glibc, made up: main arena, a second arena with two heaps, thread
 * caches, fast lists, bins, mapped chunks, in the layout of any release. The offsets are written
 * down as they are in the releases' structures (malloc/malloc.c, malloc/arena.c), not computed the
 * way the walker does; which block is what is decided by dice, and kept for comparison.
 */
#ifndef GLIBC_IMAGE_H
#define GLIBC_IMAGE_H

#include <stdlib.h>
#include <string.h>

#include "../tools/fake_target.h"

#define IMAGE_THREADS 3
#define IMAGE_CHUNKS_MAX 6000
#define IMAGE_KEY 0x8a3f51d2c4b60e97ull

enum image_cache { CACHE_NONE, CACHE_BYTES, CACHE_WORDS, CACHE_SLOTS };
enum image_key { KEY_NONE, KEY_CACHE, KEY_RANDOM };

struct image_layout {
	const char *name;
	unsigned int word, align;
	uint16_t machine;
	/* malloc_state */
	unsigned int fast, nr_fast, top, bins, binmap, next, system_mem, state_bytes;
	bool attached;
	/* malloc_par */
	unsigned int mmaps, mapped, sbrk_base;
	unsigned int heap_info;
	enum image_cache cache;
	enum image_key key;
	bool safe, direct_full;
	unsigned int fill;
};

enum image_state { IMAGE_BUSY, IMAGE_FREE, IMAGE_CACHED, IMAGE_FAST, IMAGE_CACHE };

struct image_chunk {
	uint64_t at, size;
	enum image_state state;
	unsigned int arena;
	unsigned int cache; /* of which thread */
};

struct image {
	const struct image_layout *l;
	struct target *t;
	uint64_t seed;
	uint64_t arenas[2], par, heap_max;
	uint64_t tops[2];
	uint64_t caches[IMAGE_THREADS];
	unsigned int fills[IMAGE_THREADS][76];
	struct image_chunk *chunks;
	size_t nr, cap;
	/* Mapped blocks: address and usable size. */
	uint64_t direct[3], direct_bytes[3];
};

static inline uint64_t image_dice(struct image *m, uint64_t sides)
{
	m->seed ^= m->seed << 13;
	m->seed ^= m->seed >> 7;
	m->seed ^= m->seed << 17;
	return (m->seed >> 11) % sides;
}

static inline void image_put(struct image *m, uint64_t at, uint64_t value)
{
	uint8_t *p = fake_target_at(m->t, at);

	memcpy(p, &value, m->l->word);
}

static inline uint64_t image_get(struct image *m, uint64_t at)
{
	uint64_t value = 0;

	memcpy(&value, fake_target_at(m->t, at), m->l->word);
	return value;
}

static inline void image_put_int(struct image *m, uint64_t at, uint32_t value)
{
	memcpy(fake_target_at(m->t, at), &value, 4);
}

static inline uint64_t image_user(const struct image *m, const struct image_chunk *c)
{
	return c->at + 2 * m->l->word;
}

static inline uint64_t image_up(uint64_t x, uint64_t unit)
{
	return (x + unit - 1) / unit * unit;
}

static inline uint64_t image_request(const struct image *m, uint64_t bytes)
{
	uint64_t size = image_up(bytes + m->l->word, m->l->align);

	return size < 4 * m->l->word ? 4 * m->l->word : size;
}

static inline uint64_t image_cache_bytes(const struct image *m)
{
	switch (m->l->cache) {
	case CACHE_BYTES:
		return 64 + 64 * m->l->word;
	case CACHE_WORDS:
		return 128 + 64 * m->l->word;
	case CACHE_SLOTS:
		return 76 * 2 + 76 * m->l->word;
	default:
		return 0;
	}
}

/* Bin of a thread cache for chunks of this size; -1: none. */
static inline int image_cache_bin(const struct image *m, uint64_t size)
{
	uint64_t bin = (size - 4 * m->l->word) / m->l->align;

	return m->l->cache == CACHE_NONE || bin >= 64 ? -1 : (int)bin;
}

static inline unsigned int image_fast_bin(const struct image *m, uint64_t size)
{
	return (unsigned int)(size >> (m->l->word == 8 ? 4 : 3)) - 2;
}

static inline enum image_state image_toss(struct image *m, uint64_t size, bool after_free,
					  unsigned int *ret_cache)
{
	uint64_t kind = image_dice(m, 10);
	int bin = image_cache_bin(m, size);

	*ret_cache = (unsigned int)image_dice(m, IMAGE_THREADS);
	if (kind < 3 && !after_free && size >= 4 * m->l->word)
		return IMAGE_FREE;
	if (kind < 5 && bin >= 0 && m->fills[*ret_cache][bin] < m->l->fill) {
		m->fills[*ret_cache][bin]++;
		return IMAGE_CACHED;
	}
	if (kind == 5 && m->l->nr_fast && size <= 8 * 2 * m->l->word)
		return IMAGE_FAST;
	return IMAGE_BUSY;
}

static inline void image_add(struct image *m, struct image_chunk c)
{
	ARRAY_PUSH(m->chunks, m->nr, m->cap, c);
}

/*
 * Chunks from first on, some `nr` of them; returns where the next one would be. The first of each
 * arena's first piece is a thread's cache.
 */
static inline uint64_t image_fill_piece(struct image *m, unsigned int arena, uint64_t first,
					size_t nr, int cache)
{
	bool after_free = false;

	if (cache >= 0 && m->l->cache != CACHE_NONE) {
		struct image_chunk c = {.at = first,
					.size = image_request(m, image_cache_bytes(m)),
					.state = IMAGE_CACHE,
					.arena = arena,
					.cache = (unsigned int)cache};

		image_add(m, c);
		m->caches[cache] = image_user(m, &c);
		first += c.size;
	}
	for (size_t i = 0; i < nr; i++) {
		uint64_t kind = image_dice(m, 20);
		uint64_t bytes = image_dice(m, kind < 13 ? 200 : kind < 19 ? 2000 : 9000);
		struct image_chunk c = {
			.at = first, .size = image_request(m, bytes), .arena = arena};

		/* What an arena ends with is never free: it would be part of top. */
		c.state = i + 1 == nr ? IMAGE_BUSY : image_toss(m, c.size, after_free, &c.cache);
		after_free = c.state == IMAGE_FREE;
		image_add(m, c);
		first += c.size;
	}
	return first;
}

static inline uint64_t image_hide(const struct image *m, uint64_t at, uint64_t value)
{
	return m->l->safe ? (at >> 12) ^ value : value;
}

/* Headers, and garbage in the blocks that looks like anything. */
static inline void image_write_chunks(struct image *m)
{
	unsigned int p = m->l->word;

	for (size_t i = 0; i < m->nr; i++) {
		const struct image_chunk *c = &m->chunks[i];
		bool first = i == 0 || m->chunks[i - 1].at + m->chunks[i - 1].size != c->at;
		bool before = first || m->chunks[i - 1].state != IMAGE_FREE;

		for (uint64_t at = c->at + 2 * p; at < c->at + c->size; at += p) {
			uint64_t kind = image_dice(m, 4);

			image_put(m, at,
				  kind == 0   ? 0
				  : kind == 1 ? image_user(m, &m->chunks[image_dice(m, m->nr)])
				  : kind == 2 ? image_dice(m, 5000)
					      : m->seed);
		}
		image_put(m, c->at + p, c->size | (before ? 1 : 0) | (c->arena ? 4 : 0));
		/* A block in use reaches into the next chunk's prev_size. */
		image_put(m, c->at + c->size, c->state == IMAGE_FREE ? c->size : m->seed);
	}
}

static inline void image_link_bins(struct image *m)
{
	unsigned int p = m->l->word;

	for (unsigned int a = 0; a < 2; a++) {
		image_put(m, m->arenas[a] + m->l->next, m->arenas[1 - a]);
		for (unsigned int bin = 0; bin < 127; bin++) {
			uint64_t head = m->arenas[a] + m->l->bins + 2 * bin * p - 2 * p;

			image_put(m, head + 2 * p, head);
			image_put(m, head + 3 * p, head);
		}
	}
	for (size_t i = 0; i < m->nr; i++) {
		struct image_chunk *c = &m->chunks[i];
		uint64_t bin = image_dice(m, 3) ? 1 + c->size / m->l->align % 120 : 0, head, fd;

		if (c->state != IMAGE_FREE)
			continue;
		head = m->arenas[c->arena] + m->l->bins + 2 * bin * p - 2 * p;
		fd = image_get(m, head + 2 * p);
		image_put(m, c->at + 2 * p, fd);
		image_put(m, c->at + 3 * p, head);
		image_put(m, fd + 3 * p, c->at);
		image_put(m, head + 2 * p, c->at);
	}
}

static inline void image_link_fast(struct image *m)
{
	unsigned int p = m->l->word;

	for (size_t i = 0; i < m->nr; i++) {
		struct image_chunk *c = &m->chunks[i];
		uint64_t head;

		if (c->state != IMAGE_FAST)
			continue;
		head = m->arenas[c->arena] + m->l->fast + image_fast_bin(m, c->size) * p;
		image_put(m, c->at + 2 * p, image_hide(m, c->at + 2 * p, image_get(m, head)));
		image_put(m, head, c->at);
	}
}

static inline void image_link_caches(struct image *m)
{
	unsigned int p = m->l->word, bins = m->l->cache == CACHE_SLOTS ? 76 : 64;
	unsigned int width = m->l->cache == CACHE_BYTES ? 1 : 2;

	for (unsigned int i = 0; m->l->cache != CACHE_NONE && i < IMAGE_THREADS; i++) {
		uint8_t *bytes = fake_target_at(m->t, m->caches[i]);

		memset(bytes, 0, (size_t)image_cache_bytes(m));
		for (unsigned int bin = 0; bin < bins; bin++)
			bytes[bin * width] =
				(uint8_t)(m->l->cache == CACHE_SLOTS ? m->l->fill - m->fills[i][bin]
								     : m->fills[i][bin]);
	}
	for (size_t i = 0; i < m->nr; i++) {
		struct image_chunk *c = &m->chunks[i];
		uint64_t entry, user = image_user(m, c), key;

		if (c->state != IMAGE_CACHED)
			continue;
		entry = m->caches[c->cache] + bins * width +
			(uint64_t)image_cache_bin(m, c->size) * p;
		key = m->l->key == KEY_CACHE ? m->caches[c->cache] : IMAGE_KEY;
		image_put(m, user, image_hide(m, user, image_get(m, entry)));
		if (m->l->key != KEY_NONE)
			image_put(m, user + p, key);
		image_put(m, entry, user);
	}
}

/* Where everything is. */
static inline uint64_t image_base(const struct image *m, uint64_t wide, uint64_t narrow)
{
	return m->l->word == 8 ? wide : narrow;
}

static inline void image_write_state(struct image *m, unsigned int arena, uint64_t top,
				     uint64_t bytes)
{
	const struct image_layout *l = m->l;
	uint64_t at = m->arenas[arena];

	m->tops[arena] = top;
	image_put(m, at + l->top, top);
	if (l->attached)
		image_put(m, at + l->system_mem - l->word, 1);
	image_put(m, at + l->system_mem, bytes);
	image_put(m, at + l->system_mem + l->word, bytes + 4096);
}

/* Thread i's own memory, with its cache and its arena at the usual places. */
static inline void image_add_thread(struct image *m, unsigned int i)
{
	uint64_t base = image_base(m, 0x7fff00000000ull, 0xf7800000) + i * 0x10000;
	bool arm = m->l->machine == EM_AARCH64 || m->l->machine == EM_ARM;
	struct target_thread *thread = target_add_thread(m->t, 1000 + (int)i, "thread");

	fake_target_map(m->t, base, 0x8000, MAP_READ | MAP_WRITE, "");
	thread->has_registers = true;
	thread->tp = base + 0x6000;
	if (arm) {
		image_put(m, thread->tp + 0x40, m->caches[i]);
		image_put(m, thread->tp + 0x50, m->arenas[i & 1]);
	} else {
		image_put(m, thread->tp, thread->tp);
		image_put(m, thread->tp - 0x48, m->caches[i]);
		image_put(m, thread->tp - 0x38, m->arenas[i & 1]);
	}
}

/* A mapping: plain, right behind it another one, and one with a header that memalign() moved. */
static inline void image_add_direct(struct image *m)
{
	unsigned int p = m->l->word;
	uint64_t base = image_base(m, 0x7f5500000000ull, 0xe0000000), at = base;
	static const uint64_t bytes[] = {0x22000, 0x41000, 0x33000};
	uint64_t sum = 0;

	fake_target_map(m->t, base, 0x100000, MAP_READ | MAP_WRITE, "");
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t lead = m->l->align == 16 && p == 4 ? 8 : 0, size, tail;

		tail = m->l->direct_full ? 2 * p : 0;
		size = bytes[i] - lead - tail;
		image_put(m, at + lead, lead | (m->l->direct_full && i == 1 ? 1 : 0));
		image_put(m, at + lead + p, size | 2);
		if (i == 2) {
			/* Aligned to 4096: the old header stays, the new one says where it was. */
			lead = 4096 - 2 * p;
			size = bytes[i] - lead - tail;
			image_put(m, at + lead, lead);
			image_put(m, at + lead + p, size | 2);
		}
		m->direct[i] = at + lead + 2 * p;
		m->direct_bytes[i] = m->l->direct_full ? size - p : size - 2 * p;
		sum += bytes[i];
		at += bytes[i] + (i == 1 ? 0x5000 : 0);
	}
	image_put_int(m, m->par + m->l->mmaps, 3);
	image_put_int(m, m->par + m->l->mmaps + 4, 65536);
	image_put_int(m, m->par + m->l->mmaps + 8, 5);
	image_put(m, m->par + m->l->mapped, sum);
	image_put(m, m->par + m->l->mapped + p, sum + 0x10000);
}

static inline void image_add_libc(struct image *m)
{
	uint64_t data = image_base(m, 0x7f6600000000ull, 0xf7700000);
	unsigned int p = m->l->word;

	fake_target_map(m->t, data, 0x4000, MAP_READ | MAP_WRITE, "/lib/libc.so.6");
	fake_target_module(m->t, "/lib/libc.so.6", data, data + 0x4000, 0);
	m->par = data + 0x3a0;
	m->arenas[0] = data + 0xc60;
	if (m->l->cache != CACHE_NONE) {
		image_put(m, m->par + m->l->sbrk_base + p, 64);
		image_put(m, m->par + m->l->sbrk_base + 2 * p, 1032);
		image_put(m, m->par + m->l->sbrk_base + 3 * p, m->l->fill);
	}
}

/* The second arena: heap 1 full, with fence posts at its end, heap 2 with top. */
static inline void image_add_arena(struct image *m)
{
	const struct image_layout *l = m->l;
	unsigned int p = l->word;
	uint64_t heap[2], first, end, top, sizes[2];

	if (!m->heap_max)
		m->heap_max = l->word == 8 ? 64u << 20 : 1u << 20;
	heap[0] = image_base(m, 0x7e0000000000ull, 0xd0000000);
	heap[1] = heap[0] + 3 * m->heap_max;
	m->arenas[1] = heap[0] + l->heap_info;
	for (unsigned int i = 0; i < 2; i++)
		fake_target_map(m->t, heap[i], 0xa0000, MAP_READ | MAP_WRITE, "");
	first = image_up(m->arenas[1] + l->state_bytes + 2 * p, l->align) - 2 * p;
	end = image_fill_piece(m, 1, first, 400, 1);
	sizes[0] = image_up(end + 4 * p - heap[0], 4096);
	/* The last chunk takes what is left but for the posts. */
	top = (heap[0] + sizes[0] - end - 4 * p) / l->align * l->align;
	m->chunks[m->nr - 1].size += top;
	end += top;
	image_put(m, end + p, 2 * p | 1);
	image_put(m, end + 3 * p, 1);
	first = heap[1] + l->heap_info;
	top = image_fill_piece(m, 1, first, 300, 2);
	sizes[1] = image_up(top + 0x3000 - heap[1], 4096);
	image_put(m, top + p, (heap[1] + sizes[1] - top) | 1);
	for (unsigned int i = 0; i < 2; i++) {
		image_put(m, heap[i], m->arenas[1]);
		image_put(m, heap[i] + p, i ? heap[0] : 0);
		image_put(m, heap[i] + 2 * p, sizes[i]);
		image_put(m, heap[i] + 3 * p, image_up(sizes[i], 8192));
	}
	image_write_state(m, 1, top, sizes[0] + sizes[1]);
}

static inline void image_add_main(struct image *m)
{
	const struct image_layout *l = m->l;
	uint64_t base = image_base(m, 0x555500000000ull, 0x56558000), top, first;
	uint64_t end;

	fake_target_map(m->t, base, 0x200000, MAP_READ | MAP_WRITE, "[heap]");
	first = image_up(base + 2 * l->word, l->align) - 2 * l->word;
	top = image_fill_piece(m, 0, first, 1500, 0);
	end = image_up(top + 0x5000, 4096);
	image_put(m, top + l->word, (end - top) | 1);
	image_put(m, m->par + l->sbrk_base, base);
	image_write_state(m, 0, top, end - base);
}

/* heap_max: greatest size of a heap; 0: the usual one. */
static inline void image_make_of(struct image *m, const struct image_layout *l, uint64_t seed,
				 uint64_t heap_max)
{
	*m = (struct image){.l = l, .seed = seed * 0x9e3779b97f4a7c15ull + 1, .heap_max = heap_max};
	m->t = fake_target_new(l->word, l->machine);
	image_add_libc(m);
	image_add_main(m);
	image_add_arena(m);
	image_add_direct(m);
	image_write_chunks(m);
	image_link_bins(m);
	image_link_fast(m);
	image_link_caches(m);
	for (unsigned int i = 0; i < IMAGE_THREADS; i++)
		image_add_thread(m, i);
	fake_target_ready(m->t);
}

static inline void image_make(struct image *m, const struct image_layout *l, uint64_t seed)
{
	image_make_of(m, l, seed, 0);
}

static inline void image_release(struct image *m)
{
	target_close(m->t);
	free(m->chunks);
}

#endif
