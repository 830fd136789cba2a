/* jemalloc's page map: finding it in a program's data, and reading it; see jemalloc.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "heap/jemalloc.h"
#include "heap/scan.h"
#include "target/target.h"

#define CHUNK_ENTRIES 1024
#define KEYS_MAX 256	    /* different root entries that mapped memory may need */
#define WORDS_MAX (1 << 20) /* pointers of a module's data looked at */
#define ROOT_ENTRIES_MAX 8192
#define PROBE_EXTENTS 8
#define LARGE_MAX 64 /* of a sample: slabs tell more */

/*
 * Ways to cut a page map, ended by levels 0; the most common first: of releases 5.0 to 5.3.1 with
 * pages of 4, 16 and 64 KiB; and as built on a machine with 57 bits.
 */
static const struct je_shape je_shapes[] = {
	{.page_bits = 12, .addr_bits = 48, .levels = 2, .bits = {18, 18}, .entry_bytes = 8},
	{.page_bits = 12, .addr_bits = 57, .levels = 3, .bits = {15, 15, 15}, .entry_bytes = 16},
	{.page_bits = 16, .addr_bits = 48, .levels = 2, .bits = {16, 16}, .entry_bytes = 8},
	{.page_bits = 14, .addr_bits = 48, .levels = 2, .bits = {17, 17}, .entry_bytes = 8},
	{.levels = 0},
};

uint64_t je_root_bytes(const struct je_shape *s)
{
	return 8ull << s->bits[0];
}

/* Lowest address bit that this level's index is made of. */
static unsigned int shift_of(const struct je_shape *s, unsigned int level)
{
	unsigned int shift = s->addr_bits;

	for (unsigned int i = 0; i <= level; i++)
		shift -= s->bits[i];
	return shift;
}

static uint64_t index_of(const struct je_shape *s, unsigned int level, uint64_t addr)
{
	return (addr >> shift_of(s, level)) & ((1ull << s->bits[level]) - 1);
}

/* The leaf of addr; 0 none, and then *ret_skip is the end of what is missing. */
static uint64_t leaf_of(const struct je_instance *in, struct scatter *p, uint64_t addr,
			uint64_t *ret_skip)
{
	const struct je_shape *s = &in->shape;
	uint64_t node = in->root;

	for (unsigned int level = 0; level + 1 < s->levels; level++) {
		uint64_t slot = node + 8 * index_of(s, level, addr);
		uint64_t span = 1ull << shift_of(s, level);

		*ret_skip = (addr & ~(span - 1)) + span;
		if (!scatter_word(p, slot, &node) || node == 0)
			return 0;
	}
	return node;
}

static uint64_t record_of(const struct je_shape *s, const uint8_t *entry)
{
	uint64_t word;

	memcpy(&word, entry, sizeof(word));
	if (s->entry_bytes == 8) /* the size class lies above the address */
		word = (uint64_t)((int64_t)(word << (64 - s->addr_bits)) >> (64 - s->addr_bits));
	return word & ~63ull;
}

uint64_t je_next_page(const struct je_instance *in, struct scatter *p, uint64_t addr, uint64_t end,
		      uint64_t *budget, uint64_t *ret_record)
{
	const struct je_shape *s = &in->shape;
	unsigned int last = s->levels - 1u;
	uint8_t chunk[CHUNK_ENTRIES * 16];

	while (addr < end && *budget) {
		uint64_t skip = end, leaf = leaf_of(in, p, addr, &skip);
		uint64_t index = index_of(s, last, addr);
		uint64_t nr = (1ull << s->bits[last]) - index;
		uint64_t pages = (end - addr + (1ull << s->page_bits) - 1) >> s->page_bits;

		nr = nr < pages ? nr : pages;
		nr = nr < CHUNK_ENTRIES ? nr : CHUNK_ENTRIES;
		*budget -= nr < *budget ? nr : *budget;
		if (!leaf) {
			if (skip <= addr)
				break;
			addr = skip;
			continue;
		}
		if (!scatter_read(p, leaf + index * s->entry_bytes, chunk, nr * s->entry_bytes))
			memset(chunk, 0, sizeof(chunk));
		for (uint64_t i = 0; i < nr; i++, addr += 1ull << s->page_bits) {
			*ret_record = record_of(s, chunk + i * s->entry_bytes);
			if (*ret_record)
				return addr;
		}
	}
	return end;
}

bool je_may_hold(const struct map *m)
{
	return m->inode == 0 && !(m->prot & MAP_IS_SHARED) && strcmp(m->path, "[stack]") != 0 &&
	       strcmp(m->path, "[vdso]") != 0 && strcmp(m->path, "[vvar]") != 0;
}

size_t je_sample(const struct je_instance *in, struct target *t, struct scatter *p,
		 uint64_t *records, size_t cap)
{
	const struct maps *maps = target_maps(t);
	uint64_t reach = 0, budget = JE_BUDGET;
	size_t nr = 0, large = 0;

	for (size_t i = 0; i < maps->nr && nr < cap; i++) {
		const struct map *m = &maps->items[i];
		uint64_t addr = m->start > reach ? m->start : reach;

		while (je_may_hold(m) && addr < m->end && nr < cap) {
			struct je_extent x;
			uint64_t record;

			addr = je_next_page(in, p, addr, m->end, &budget, &record);
			if (addr >= m->end)
				break;
			reach = addr + (1ull << in->shape.page_bits);
			if (je_extent_read(in, p, record, &x) && x.base == addr) {
				reach = addr + x.bytes;
				large += !x.slab;
				if (x.slab || large <= LARGE_MAX)
					records[nr++] = record;
			}
			addr = reach;
		}
	}
	return nr;
}

/* Do the first pages that it knows lead to records that speak of these very pages? */
static bool leads_to_records(const struct je_instance *in, struct target *t, struct scatter *p)
{
	const struct maps *maps = target_maps(t);
	uint64_t reach = 0, budget = JE_BUDGET;
	unsigned int good = 0, bad = 0;

	for (size_t i = 0; i < maps->nr && good + bad < PROBE_EXTENTS; i++) {
		const struct map *m = &maps->items[i];
		uint64_t addr = m->start > reach ? m->start : reach;

		while (je_may_hold(m) && addr < m->end && good + bad < PROBE_EXTENTS) {
			struct je_extent x;
			uint64_t record;

			addr = je_next_page(in, p, addr, m->end, &budget, &record);
			if (addr >= m->end)
				break;
			reach = addr + (1ull << in->shape.page_bits);
			if (je_extent_read(in, p, record, &x) && x.base == addr) {
				good++;
				reach = addr + x.bytes;
			} else {
				bad++; /* at most one: caught in the middle of a change */
			}
			addr = reach;
		}
	}
	return good > bad && bad <= 1;
}

/* Everything in what would be the root array points at a leaf that is there. */
static bool could_be_root(const struct target *t, const struct scan_words *words,
			  const struct je_shape *s, uint64_t root)
{
	uint64_t below = (uint64_t)(s->levels == 2 ? s->entry_bytes : 8) << s->bits[1];
	size_t first = scan_first(words, root), nr = 0;

	for (size_t i = first; i < words->nr && words->items[i].addr - root < je_root_bytes(s);
	     i++, nr++) {
		uint64_t node = words->items[i].value;
		const struct map *m = maps_find(target_maps(t), node);

		if (nr >= ROOT_ENTRIES_MAX || node % 64 || !m || !je_may_hold(m) ||
		    !(m->prot & MAP_WRITE) || m->end - node < below)
			return false;
	}
	return nr > 0;
}

/* Root indices that the target's memory has. */
static size_t list_keys(const struct target *t, const struct je_shape *s, uint64_t *keys)
{
	const struct maps *maps = target_maps(t);
	size_t nr = 0;

	for (size_t i = 0; i < maps->nr; i++) {
		const struct map *m = &maps->items[i];
		uint64_t key = index_of(s, 0, m->start);

		if (!je_may_hold(m) || !(m->prot & MAP_WRITE))
			continue;
		for (; key <= index_of(s, 0, m->end - 1) && nr < KEYS_MAX; key++)
			if (nr == 0 || keys[nr - 1] != key)
				keys[nr++] = key;
	}
	return nr;
}

static bool try_shape(struct target *t, struct scatter *p, const struct scan_words *words,
		      struct je_instance *in)
{
	uint64_t keys[KEYS_MAX], bytes = je_root_bytes(&in->shape), last_root = 0;
	size_t nr_keys;

	if (in->bss_end - in->bss_start < bytes)
		return false;
	nr_keys = list_keys(t, &in->shape, keys);
	for (size_t i = 0; i < words->nr; i++) {
		for (size_t k = 0; k < nr_keys; k++) {
			uint64_t root = words->items[i].addr - 8 * keys[k];

			if (root > words->items[i].addr || root < in->bss_start ||
			    root + bytes > in->bss_end || root == last_root ||
			    words->items[i].value % 64)
				continue;
			last_root = root;
			if (!could_be_root(t, words, &in->shape, root))
				continue;
			in->root = root;
			if (leads_to_records(in, t, p))
				return true;
		}
	}
	return false;
}

static bool try_range(struct target *t, struct scatter *p, uint64_t start, uint64_t end,
		      struct je_instance *ret)
{
	struct je_instance in = {.bss_start = start, .bss_end = end};
	struct scan_words words = {0};
	bool found = false;

	scan_words_read(t, start, end, WORDS_MAX, &words);
	for (const struct je_shape *s = je_shapes; s->levels && !found; s++) {
		in.shape = *s;
		found = try_shape(t, p, &words, &in);
	}
	scan_words_release(&words);
	if (found)
		*ret = in;
	return found;
}

size_t je_find_roots(struct target *t, struct scatter *p, struct je_instance *items)
{
	struct scan_range range = {0};
	size_t nr = 0;

	while (nr < JE_INSTANCES_MAX && scan_next_data(t, &range))
		if (range.end - range.start >= je_root_bytes(&je_shapes[1]) &&
		    try_range(t, p, range.start, range.end, &items[nr])) {
			items[nr].module = range.module->path;
			nr++;
		}
	return nr;
}
