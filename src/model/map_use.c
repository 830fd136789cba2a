/* Sums over regions; see map_use.h. */
#include "model/map_use.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "model/regions.h"
#include "model/snapshot.h"

#define PROT_ANY 7u
#define PROT_W 2u
#define PROT_SHARED 8u

#define LOWEST_ADDR 0x10000u

void map_use_of(const struct region *r, struct map_use *ret)
{
	uint64_t size = r->end - r->start;

	*ret = (struct map_use){
		.regions = 1,
		.size = size,
		.largest = size,
		.committed = r->prot & PROT_ANY ? size : 0,
		.rss = r->rss,
		.pss = r->pss,
		.uss = r->private_clean + r->private_dirty,
		.dirty = r->private_dirty + r->shared_dirty,
		.swap = r->swap,
		.locked = r->locked,
		.huge = r->huge,
		.shared_clean = r->shared_clean,
		.shared_dirty = r->shared_dirty,
		.private_clean = r->private_clean,
		.private_dirty = r->private_dirty,
		.anonymous = r->anonymous,
		.lazy_free = r->lazy_free,
	};
	if (!(r->prot & PROT_SHARED))
		ret->private_bytes = r->prot & PROT_W ? size : r->anonymous + r->swap;
}

void map_use_add(struct map_use *sum, const struct map_use *more)
{
	sum->regions += more->regions;
	sum->size += more->size;
	if (more->largest > sum->largest)
		sum->largest = more->largest;
	sum->committed += more->committed;
	sum->private_bytes += more->private_bytes;
	sum->rss += more->rss;
	sum->pss += more->pss;
	sum->uss += more->uss;
	sum->dirty += more->dirty;
	sum->swap += more->swap;
	sum->locked += more->locked;
	sum->huge += more->huge;
	sum->shared_clean += more->shared_clean;
	sum->shared_dirty += more->shared_dirty;
	sum->private_clean += more->private_clean;
	sum->private_dirty += more->private_dirty;
	sum->anonymous += more->anonymous;
	sum->lazy_free += more->lazy_free;
}

/* A region's share of its dirty pages, where they are of no file on disk. */
static uint64_t shared_dirty_share(const struct region *r)
{
	uint64_t own = r->private_clean + r->private_dirty;
	uint64_t shared = r->shared_clean + r->shared_dirty, share;

	if (!(r->prot & PROT_SHARED) || r->kind == REGION_MAPPED_FILE)
		return 0;
	share = r->pss > own ? r->pss - own : 0;
	if (shared)
		share = (uint64_t)((__uint128_t)share * r->shared_dirty / shared);
	return r->private_dirty + share;
}

void map_footprint_of(const struct snapshot *s, struct map_footprint *ret)
{
	*ret = (struct map_footprint){.page_tables = s->figures.page_tables};
	for (size_t i = 0; i < s->nr_regions; i++) {
		const struct region *r = &s->regions[i];

		ret->anonymous += r->anonymous;
		ret->swap += r->swap;
		ret->shared_dirty += shared_dirty_share(r);
	}
	ret->total = ret->anonymous + ret->swap + ret->page_tables + ret->shared_dirty;
}

void map_footprint_sentence(const struct map_footprint *f, struct str *out)
{
	str_printf(out,
		   "Physical footprint %s = anonymous %s + swapped out %s + page tables %s + its "
		   "share of dirty shared memory %s.",
		   format_bytes(f->total).text, format_bytes(f->anonymous).text,
		   format_bytes(f->swap).text, format_bytes(f->page_tables).text,
		   format_bytes(f->shared_dirty).text);
}

/* vsyscall lies where nothing can be mapped. */
static uint64_t limit_of(const struct snapshot *s)
{
	static const unsigned int bits[] = {32, 47, 48, 52, 56};
	uint64_t top = 0;

	for (size_t i = 0; i < s->nr_regions; i++) {
		if (s->regions[i].end <= 1ull << 56 && s->regions[i].end > top)
			top = s->regions[i].end;
	}
	for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		if (top <= 1ull << bits[i])
			return 1ull << bits[i];
	}
	return 1ull << 56;
}

static void add_gap(struct map_space *space, uint64_t start, uint64_t end)
{
	if (start >= end)
		return;
	ARRAY_PUSH(space->gaps, space->nr, space->cap, ((struct map_gap){start, end}));
	space->free_bytes += end - start;
	if (end - start > space->largest_bytes)
		space->largest_bytes = end - start;
}

void map_space_of(const struct snapshot *s, struct map_space *ret)
{
	uint64_t at = LOWEST_ADDR;

	*ret = (struct map_space){.limit = limit_of(s)};
	for (size_t i = 0; i < s->nr_regions; i++) {
		const struct region *r = &s->regions[i];

		add_gap(ret, at, r->start < ret->limit ? r->start : ret->limit);
		if (r->end > at)
			at = r->end;
	}
	add_gap(ret, at, ret->limit);
}

void map_space_release(struct map_space *space)
{
	if (!space)
		return;
	free(space->gaps);
	*space = (struct map_space){.gaps = NULL};
}
