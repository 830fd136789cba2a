/*
 * A mallocng that was never run: one group with a smaller group in one of its slots, a mapped block
 * and a group that the loader gave away, laid out as src/malloc/mallocng/meta.h of musl 1.2.5 says,
 * for either word size, with and without the page size in the context.
 */
#ifndef MUSL_IMAGE_H
#define MUSL_IMAGE_H

#include "../tools/fake_target.h"

#define MUSL_SECRET 0x1122334455667788ull
#define MUSL_SLOTS 21u /* of 192 bytes in a page */
#define MUSL_INNER 3u  /* the slot that holds the other group */
#define MUSL_SMALL 10u /* its slots, of 16 bytes */
#define MUSL_FREE_MASK 0x106u
#define MUSL_SMALL_FREE_MASK 0x3u
#define MUSL_DIRECT_SIZE 150001u

struct musl_image {
	struct target *t;
	unsigned int word;
	uint64_t data, context, area, group, inner, direct, gift;
};

static inline void musl_put(struct musl_image *m, uint64_t addr, uint64_t value, size_t bytes)
{
	memcpy(fake_target_at(m->t, addr), &value, bytes);
}

/* A record: prev, next, memory, two masks, and the packed word. */
static inline void musl_record(struct musl_image *m, unsigned int i, uint64_t mem, uint32_t avail,
			       uint32_t freed, uint64_t packed)
{
	uint64_t w = m->word, at = m->area + (w == 8 ? 24 + 40ull * i : 16 + 24ull * i);

	musl_put(m, at + 2 * w, mem, w);
	musl_put(m, at + 3 * w, avail, 4);
	musl_put(m, at + 3 * w + 4, freed, 4);
	musl_put(m, at + 3 * w + 8, packed, w);
	musl_put(m, mem, at, w);
}

static inline uint64_t musl_packed(unsigned int nr, bool freeable, unsigned int class,
				   uint64_t pages)
{
	return (nr - 1) | (uint64_t)freeable << 5 | (uint64_t) class << 6 | pages << 12;
}

/* A block of n bytes in the slot [slot, slot + stride), off units behind its start. */
static inline void musl_put_block(struct musl_image *m, uint64_t mem, uint64_t slot,
				  uint64_t stride, unsigned int index, unsigned int off, uint64_t n)
{
	uint64_t p = slot + 16ull * off, end = slot + stride - 4, spare = end - p - n;

	if (off) {
		musl_put(m, slot - 2, off, 2);
		musl_put(m, slot - 3, 7 << 5, 1);
	}
	musl_put(m, p - 2, (p - mem) / 16 - 1, 2);
	if (spare >= 5) {
		musl_put(m, end - 4, spare, 4);
		spare = 5;
	}
	musl_put(m, p - 3, index | spare << 5, 1);
}

static inline void musl_context(struct musl_image *m, bool has_page_size)
{
	uint64_t w = m->word, at = m->context + 8 + (has_page_size ? w : 0);

	musl_put(m, m->context, MUSL_SECRET, 8);
	musl_put(m, at, 1, 4);
	musl_put(m, at + 8 + 5 * w, m->area, w);
	musl_put(m, at + 8 + 6 * w, m->area, w);
	at += 8 + 8 * w + 48 * w; /* behind active[] */
	musl_put(m, at + 10 * w, MUSL_SLOTS, w);
	musl_put(m, at + 0 * w, MUSL_SMALL, w);
	musl_put(m, m->area, MUSL_SECRET, 8);
	musl_put(m, m->area + 8 + w, (4096 - (w == 8 ? 24 : 16)) / (w == 8 ? 40 : 24), 4);
}

static inline void musl_blocks(struct musl_image *m)
{
	for (unsigned int i = 0; i < MUSL_SLOTS; i++) {
		uint64_t slot = m->group + 16 + 192ull * i;

		if (i == MUSL_INNER)
			musl_put(m, slot - 3, i | 6 << 5, 1);
		else if (!(MUSL_FREE_MASK >> i & 1))
			musl_put_block(m, m->group, slot, 192, i, i % 2, 150 + i);
	}
	for (unsigned int i = 0; i < MUSL_SMALL; i++)
		if (!(MUSL_SMALL_FREE_MASK >> i & 1))
			musl_put_block(m, m->inner, m->inner + 16 + 16ull * i, 16, i, 0, 3 + i);
	musl_put_block(m, m->direct, m->direct + 16, 40 * 4096 - 16, 0, 3, MUSL_DIRECT_SIZE);
	musl_put_block(m, m->gift, m->gift + 16, 64, 0, 0, 60);
}

static inline void musl_make(struct musl_image *m, unsigned int word, bool has_page_size)
{
	uint64_t base = word == 8 ? 0x7f0000000000ull : 0x70000000ull;
	unsigned int rw = MAP_READ | MAP_WRITE;

	*m = (struct musl_image){.word = word,
				 .data = word == 8 ? 0x560000000000ull : 0x56000000ull,
				 .area = base,
				 .group = base + 0x10000,
				 .direct = base + 0x20000};
	m->context = m->data + 0x108;
	m->gift = m->data + 0x1800;
	m->inner = m->group + 16 + 192 * MUSL_INNER;
	m->t = fake_target_new(word, word == 8 ? EM_X86_64 : EM_386);
	fake_target_map(m->t, m->data, 0x2000, rw, "");
	fake_target_map(m->t, m->area, 8192, rw, "[heap]");
	fake_target_map(m->t, m->group, 4096, rw, "");
	fake_target_map(m->t, m->direct, 40 * 4096, rw, "");
	fake_target_module(m->t, "/lib/ld-musl-forged.so.1", m->data, m->data + 0x2000, 0);
	musl_context(m, has_page_size);
	musl_record(m, 0, m->group, 0x100, MUSL_FREE_MASK & ~0x100u,
		    musl_packed(MUSL_SLOTS, true, 10, 1));
	musl_record(m, 1, m->inner, 0, MUSL_SMALL_FREE_MASK, musl_packed(MUSL_SMALL, true, 0, 0));
	musl_record(m, 5, m->direct, 0, 0, musl_packed(1, true, 63, 40));
	musl_record(m, 6, m->gift, 0, 0, musl_packed(1, false, 3, 0));
	musl_blocks(m);
	target_add_thread(m->t, 1, "forged");
	fake_target_ready(m->t);
}

#endif
