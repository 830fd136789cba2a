/*
 * A jemalloc that was never run: an arena with two slabs, a large block, a free extent and one
 * thread's cache, laid out as a release of one's choice does it (include/jemalloc/internal of the
 * releases). Knows nothing of how the walker reads it.
 *
 *   BSS  root array, arenas[]        HEAP  slab, slab, large, stacks of the cache, free
 *   META block head, base, arena, records, leaf (and for 57 bits, a node)      TLS  cache
 */
#ifndef JEMALLOC_IMAGE_H
#define JEMALLOC_IMAGE_H

#include "../tools/fake_target.h"

#define IMAGE_BSS 0x560000000000ull
#define IMAGE_META 0x7f2000000000ull
#define IMAGE_HEAP 0x7f1000000000ull
#define IMAGE_TLS 0x7f3000000000ull
#define IMAGE_TP (IMAGE_TLS + 0xf000)
#define IMAGE_ROOT (IMAGE_BSS + 0x2b18)
#define IMAGE_ARENA (IMAGE_META + 0x1040)
#define IMAGE_RECORDS (IMAGE_META + 0x10000)
#define IMAGE_RECORD_BYTES 4096u
#define IMAGE_NODE (IMAGE_META + 0x100040)
#define IMAGE_LEAF (IMAGE_META + 0x200040)
#define IMAGE_META_BYTES 0x1000000ull
#define IMAGE_ENTRIES 5u /* in each bin of the cache that is used */

struct image_kind {
	const char *name;
	int version; /* 50, 51, 52, 53 */
	unsigned int page_bits, addr_bits, quantum, small;
	unsigned int of_32, of_48; /* size classes of these sizes */
};

struct image {
	struct image_kind kind;
	struct target *t;
	uint64_t page, at; /* next extent */
	unsigned int nr_records;
	uint64_t slab32, slab48, large, stacks, free_extent;
};

static inline void image_word(struct image *m, uint64_t addr, uint64_t value)
{
	memcpy(fake_target_at(m->t, addr), &value, sizeof(value));
}

/* Widths of the fields of a record's first word, lowest first. */
static inline uint64_t image_bits(const struct image_kind *kind, const uint64_t *fields)
{
	const unsigned int nr_free = kind->page_bits - 2;
	const unsigned int widths[3][12] = {
		/* arena, slab, committed, zeroed, state, class, free */
		{12, 1, 1, 1, 2, 8, nr_free},
		/* arena, slab, committed, dumpable, zeroed, state, class, free, shard */
		{12, 1, 1, 1, 1, 2, 8, nr_free, 6},
		/* arena, slab, committed, pai, zeroed, guarded, state, class, free, shard, head */
		{12, 1, 1, 1, 1, 1, 3, 8, nr_free, 6, 1},
	};
	const unsigned int *w = widths[kind->version == 50 ? 0 : kind->version == 53 ? 2 : 1];
	unsigned int shift = 0;
	uint64_t bits = 0;

	for (unsigned int i = 0; w[i]; shift += w[i++])
		bits |= fields[i] << shift;
	return bits;
}

static inline uint64_t image_first_word(const struct image_kind *kind, bool slab,
					unsigned int state, unsigned int class,
					unsigned int nr_free)
{
	const uint64_t oldest[12] = {0, slab, 1, 0, state, class, nr_free};
	const uint64_t middle[12] = {0, slab, 1, 1, 0, state, class, nr_free, 3};
	const uint64_t newest[12] = {0, slab, 1, 0, 0, 0, state, class, nr_free, 3, 1};

	return image_bits(kind, kind->version == 50   ? oldest
				: kind->version == 53 ? newest
						      : middle);
}

static inline void image_map_page(struct image *m, uint64_t addr, uint64_t record,
				  unsigned int class, bool slab)
{
	uint64_t entry;

	if (m->kind.addr_bits == 57) { /* three levels of 15 bits; a pointer, then its flags */
		image_word(m, IMAGE_ROOT + 8 * (addr >> 42), IMAGE_NODE);
		image_word(m, IMAGE_NODE + 8 * (addr >> 27 & 0x7fff), IMAGE_LEAF);
		entry = IMAGE_LEAF + 16 * (addr >> 12 & 0x7fff);
		image_word(m, entry, record);
		image_word(m, entry + 8, (uint64_t) class << 5 | slab);
		return;
	}
	entry = (48 - m->kind.page_bits) / 2;
	image_word(m, IMAGE_ROOT + 8 * (addr >> (48 - entry)), IMAGE_LEAF);
	entry = IMAGE_LEAF + 8 * (addr >> m->kind.page_bits & ((1ull << entry) - 1));
	image_word(m, entry, (uint64_t) class << 48 | record | slab);
}

/* Returns the record; the bitmap is all 0: every region busy. */
static inline uint64_t image_extent(struct image *m, bool slab, unsigned int state,
				    unsigned int class, uint64_t pages)
{
	uint64_t record = IMAGE_RECORDS + (uint64_t)m->nr_records++ * IMAGE_RECORD_BYTES;
	uint64_t bytes = pages * m->page;

	image_word(m, record, image_first_word(&m->kind, slab, state, class, 0));
	image_word(m, record + 8, m->at);
	image_word(m, record + 16, bytes | 7);
	image_map_page(m, m->at, record, class, slab);
	image_map_page(m, m->at + bytes - m->page, record, class, slab);
	m->at += bytes;
	return record;
}

/* Makes every third region of a slab free. */
static inline void image_free_some(struct image *m, uint64_t record, unsigned int class,
				   unsigned int nr)
{
	uint8_t *bitmap = fake_target_at(m->t, record + 64);
	unsigned int nr_free = 0;

	for (unsigned int i = 0; i < nr; i += 3, nr_free++)
		bitmap[i / 8] |= (uint8_t)(1u << (i % 8));
	image_word(m, record, image_first_word(&m->kind, true, 0, class, nr_free));
}

static inline void image_bin(struct image *m, uint64_t bin, uint64_t stack_end, uint64_t nr)
{
	if (m->kind.version == 53) {
		uint64_t head = stack_end - 8 * nr;

		image_word(m, bin, head);
		image_word(m, bin + 16,
			   (stack_end & 0xffff) << 32 | ((stack_end - 512) & 0xffff) << 16 |
				   (stack_end & 0xffff));
	} else {
		image_word(m, bin, nr << 32);
		image_word(m, bin + 16, stack_end);
	}
}

/* The cache: a stack of 64 entries for each class; of 32 and 48 bytes some are in it. */
static inline void image_cache(struct image *m)
{
	uint64_t cache = IMAGE_TLS + 0x8000, small = m->kind.small, bins = cache + 16;
	uint64_t after = bins + small * 24, descriptor = after + 16, slow = IMAGE_TLS + 0x4000;

	if (m->kind.version == 53) {
		bins = cache + 8;
		descriptor = slow + 16;
		image_word(m, cache, slow);
		image_word(m, descriptor + 16, bins);
		image_word(m, descriptor + 24, IMAGE_ARENA);
	} else if (m->kind.version == 50) {
		descriptor = cache;
		image_word(m, after, cache);
		image_word(m, after + 8, cache);
		image_word(m, after + 16, IMAGE_ARENA);
	} else {
		descriptor += m->kind.version == 52 ? 24 : 0;
		image_word(m, descriptor + 16, bins);
		image_word(m, descriptor + 24, descriptor + 40 + 4 + small + 12);
		image_word(m, descriptor + 32, IMAGE_ARENA);
	}
	if (m->kind.version != 50) {
		image_word(m, descriptor, descriptor);
		image_word(m, descriptor + 8, descriptor);
	}
	image_word(m, IMAGE_ARENA + 0x2408, descriptor);
	for (unsigned int i = 0; i < small; i++) {
		uint64_t end = m->stacks + 512 * (i + 1ull);
		bool used = i == m->kind.of_32 || i == m->kind.of_48;
		uint64_t size = i == m->kind.of_32 ? 32 : 48;
		uint64_t first = i == m->kind.of_32 ? m->slab32 : m->slab48;

		image_bin(m, bins + 24ull * i, end, used ? IMAGE_ENTRIES : 0);
		for (unsigned int k = 0; used && k < IMAGE_ENTRIES; k++)
			image_word(m, end - 8 * (k + 1ull), first + (3 * k + 1) * size);
	}
}

static inline void image_metadata(struct image *m)
{
	image_word(m, IMAGE_META, IMAGE_META_BYTES);
	image_word(m, IMAGE_META + 16, 0xfff);
	image_word(m, IMAGE_META + 24, IMAGE_META + 0xf00000);
	image_word(m, IMAGE_META + 32, IMAGE_META_BYTES - 0xf00000);
	image_word(m, IMAGE_BSS + 0x208, IMAGE_ARENA);
}

/* Regions of 32 bytes in a page, of 48 in three. */
static inline unsigned int image_regions_32(const struct image *m)
{
	return (unsigned int)(m->page / 32);
}

static inline unsigned int image_regions_48(const struct image *m)
{
	return (unsigned int)(3 * m->page / 48);
}

static inline void image_make(struct image *m, const struct image_kind *kind)
{
	unsigned int rw = MAP_READ | MAP_WRITE;
	uint64_t record;

	*m = (struct image){.kind = *kind, .page = 1ull << kind->page_bits, .at = IMAGE_HEAP};
	m->t = fake_target_new(8, EM_X86_64);
	fake_target_map(m->t, IMAGE_BSS, 0x210000, rw, "");
	fake_target_map(m->t, IMAGE_META, IMAGE_META_BYTES, rw, "");
	fake_target_map(m->t, IMAGE_HEAP, 256 * m->page, rw, "");
	fake_target_map(m->t, IMAGE_TLS, 0x10000, rw, "");
	fake_target_module(m->t, "/usr/lib/libforged.so", IMAGE_BSS, IMAGE_BSS + 0x210000, 0);
	image_metadata(m);
	m->slab32 = m->at;
	record = image_extent(m, true, 0, kind->of_32, 1);
	image_free_some(m, record, kind->of_32, image_regions_32(m));
	m->slab48 = m->at;
	record = image_extent(m, true, 0, kind->of_48, 3);
	image_free_some(m, record, kind->of_48, image_regions_48(m));
	m->large = m->at;
	image_extent(m, false, 0, kind->small, 5); /* the first large class, a page to spare */
	m->stacks = m->at;
	image_extent(m, false, 0, kind->small + 4, 9);
	m->free_extent = m->at;
	image_extent(m, false, 1, 232, 7);
	image_cache(m);
	target_add_thread(m->t, 77, "forged")->tp = IMAGE_TP;
	fake_target_ready(m->t);
}

#endif
