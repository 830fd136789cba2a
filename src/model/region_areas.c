/*
 * Where the threads' own memory begins and ends, and regions cut there:
 *
 *   one mapping   [ a pool | pool | TLS of the first thread ]     [guard][ stack | a pool ]
 *   its regions   [ anonymous     | tls                     ]     [guard][ stack | anonymous ]
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/regions.h"
#include "model/snapshot.h"

/* The loader's own start-up memory lies around the first thread's TLS, made in the same way. */
#define LOADER_BYTES ((uint64_t)32 << 10)
/* Reading what is resident in more than this takes too long while a process stands still. */
#define MEASURE_MOST ((uint64_t)4 << 30)
#define HUGE_PAGE ((uint64_t)2 << 20)
#define PROT_SHARED 8u

static int by_start(const void *a, const void *b)
{
	const struct region_area *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->thread > y->thread) - (x->thread < y->thread);
}

size_t regions_areas(const struct snapshot *s, struct region_area **ret)
{
	struct region_area *areas = NULL;
	size_t nr = 0, cap = 0, kept = 0;

	for (size_t i = 0; i < s->nr_threads; i++) {
		const struct thread_info *t = &s->threads[i];

		if (t->stack_start < t->stack_end)
			ARRAY_PUSH(areas, nr, cap,
				   ((struct region_area){t->stack_start, t->stack_end, (uint32_t)i,
							 false}));
		if (t->tls_start < t->tls_end)
			ARRAY_PUSH(areas, nr, cap,
				   ((struct region_area){t->tls_start, t->tls_end, (uint32_t)i,
							 true}));
	}
	if (nr)
		qsort(areas, nr, sizeof(*areas), by_start);
	for (size_t i = 0; i < nr; i++) {
		if (kept == 0 || areas[kept - 1].end <= areas[i].start)
			areas[kept++] = areas[i];
	}
	*ret = areas;
	return kept;
}

size_t regions_area_above(const struct region_area *areas, size_t nr, uint64_t addr)
{
	size_t low = 0, high = nr;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (areas[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A region that was cut, and into how many. */
struct region_cut {
	size_t region, nr_parts;
};

struct cutting {
	struct snapshot *s;
	region_measure measure;
	void *context;
	struct region_area *areas;
	size_t nr_areas;
	struct region *parts; /* of the region at hand */
	size_t nr_parts, cap_parts;
	struct region_cut *cuts; /* ascending */
	size_t nr_cuts, cap_cuts;
	struct region *kept; /* the parts of all that are cut, in order */
	size_t nr_kept, cap_kept;
};

static void add_part(struct cutting *c, const struct region *whole, uint64_t start, uint64_t end)
{
	struct region part = *whole;

	if (start >= end)
		return;
	part.start = start;
	part.end = end;
	part.offset = whole->offset ? whole->offset + (start - whole->start) : 0;
	ARRAY_PUSH(c->parts, c->nr_parts, c->cap_parts, part);
}

/* Parts in the order of addresses, of which the areas are some. */
static void find_parts(struct cutting *c, const struct region *r)
{
	uint64_t at = r->start;
	size_t i = regions_area_above(c->areas, c->nr_areas, r->start);

	c->nr_parts = 0;
	/* As nearly all: no area lies in it. */
	if (i == c->nr_areas || c->areas[i].start >= r->end)
		return;
	for (; i < c->nr_areas && c->areas[i].start < r->end; i++) {
		struct region_area a = c->areas[i];
		bool is_last = i + 1 == c->nr_areas || c->areas[i + 1].start >= r->end;

		if (a.start < at || (a.is_tls && a.start - at <= LOADER_BYTES))
			a.start = at;
		if (a.end > r->end || (a.is_tls && is_last && r->end - a.end <= LOADER_BYTES))
			a.end = r->end;
		add_part(c, r, at, a.start);
		add_part(c, r, a.start, a.end);
		at = a.end;
	}
	add_part(c, r, at, r->end);
}

static size_t largest_part(const struct cutting *c)
{
	size_t largest = 0;

	for (size_t i = 1; i < c->nr_parts; i++) {
		if (c->parts[i].end - c->parts[i].start >
		    c->parts[largest].end - c->parts[largest].start)
			largest = i;
	}
	return largest;
}

/* Nothing that is shared, given back or a file's: a page in memory says all about itself. */
static bool is_plain(const struct region *r)
{
	return r->rss == r->pss && r->rss == r->private_dirty && r->rss == r->anonymous &&
	       r->lazy_free == 0 && (r->locked == 0 || r->locked == r->pss);
}

static void set_figures(struct region *part, const struct region *whole, uint64_t resident,
			uint64_t swapped)
{
	part->rss = part->pss = part->private_dirty = part->anonymous = resident;
	part->swap = swapped;
	part->locked = whole->locked ? resident : 0;
	part->huge = 0;
}

/* False: the figures of the region cannot be told apart. */
static bool measure_parts(struct cutting *c, const struct region *r)
{
	size_t largest = largest_part(c);
	uint64_t rss = r->rss, swap = r->swap, asked = 0;

	for (size_t i = 0; i < c->nr_parts; i++) {
		struct region *part = &c->parts[i];
		uint64_t bytes = part->end - part->start, resident, swapped;

		if (i == largest)
			continue;
		asked += bytes;
		if (asked > MEASURE_MOST || (r->huge && bytes >= 2 * HUGE_PAGE) ||
		    !c->measure(c->context, part->start, part->end, &resident, &swapped))
			return false;
		/* A process that runs on may have got more since. */
		resident = resident < rss ? resident : rss;
		swapped = swapped < swap ? swapped : swap;
		set_figures(part, r, resident, swapped);
		rss -= resident;
		swap -= swapped;
	}
	set_figures(&c->parts[largest], r, rss, swap);
	c->parts[largest].huge = r->huge;
	return true;
}

static bool cut(struct cutting *c, const struct region *r)
{
	const char *path = strings_get(&c->s->strings, r->path);

	if (r->prot & PROT_SHARED || *path == '/')
		return false;
	find_parts(c, r);
	if (c->nr_parts < 2)
		return false;
	if (r->rss == 0 && r->swap == 0)
		return true;
	return is_plain(r) && c->measure && measure_parts(c, r);
}

/* Makes room in the rows and moves what lies behind a region that was cut, the last first. */
static void put_parts(struct cutting *c)
{
	struct snapshot *s = c->s;
	size_t from = s->nr_regions, part = c->nr_kept;
	size_t to = from + c->nr_kept - c->nr_cuts;

	s->regions = mem_realloc(s->regions, to * sizeof(*s->regions));
	s->nr_regions = s->cap_regions = to;
	for (size_t i = c->nr_cuts; i > 0; i--) {
		const struct region_cut *cut = &c->cuts[i - 1];
		size_t behind = from - (cut->region + 1);

		memmove(&s->regions[to - behind], &s->regions[cut->region + 1],
			behind * sizeof(*s->regions));
		to -= behind + cut->nr_parts;
		part -= cut->nr_parts;
		memcpy(&s->regions[to], &c->kept[part], cut->nr_parts * sizeof(*c->kept));
		from = cut->region;
	}
}

void regions_split(struct snapshot *s, region_measure measure, void *context)
{
	struct cutting c = {.s = s, .measure = measure, .context = context};

	c.nr_areas = regions_areas(s, &c.areas);
	for (size_t i = 0; i < s->nr_regions; i++) {
		if (!cut(&c, &s->regions[i]))
			continue;
		ARRAY_PUSH(c.cuts, c.nr_cuts, c.cap_cuts, ((struct region_cut){i, c.nr_parts}));
		for (size_t k = 0; k < c.nr_parts; k++)
			ARRAY_PUSH(c.kept, c.nr_kept, c.cap_kept, c.parts[k]);
	}
	/* Mostly a few of many: rows are not copied for them. */
	if (c.nr_cuts)
		put_parts(&c);
	free(c.areas);
	free(c.parts);
	free(c.cuts);
	free(c.kept);
}
