/* Differences between two memory maps; see mapdiff.h. */
#include "model/mapdiff.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/units.h"
#include "model/map_words.h"
#include "model/mapview_private.h"
#include "model/snapshot.h"

static const struct sheet_column kind_columns[] = {
	{"kind", "KIND", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"regions_change", "REGIONS", CELL_CHANGE, COLUMN_ALWAYS, 3},
	{"size_bytes", "SIZE", CELL_BYTES, COLUMN_ALWAYS, 2},
	{"size_change_bytes", "CHANGE", CELL_CHANGE_BYTES, COLUMN_ALWAYS, 0},
	{"rss_bytes", "RSS", CELL_BYTES, COLUMN_ALWAYS, 1},
	{"rss_change_bytes", "CHANGE", CELL_CHANGE_BYTES, COLUMN_ALWAYS, 0},
	{"pss_change_bytes", "PSS CHANGE", CELL_CHANGE_BYTES, COLUMN_ALWAYS, 5},
	{"dirty_change_bytes", "DIRTY CHANGE", CELL_CHANGE_BYTES, COLUMN_ALWAYS, 4},
	{"swap_change_bytes", "SWAP CHANGE", CELL_CHANGE_BYTES, COLUMN_IF_ANY, 0},
};

static const struct sheet_column columns[] = {
	{"change", "", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"start", "START", CELL_ADDRESS, COLUMN_ALWAYS, 0},
	{"end", "END", CELL_ADDRESS, COLUMN_ALWAYS, 6},
	{"size_bytes", "SIZE", CELL_BYTES, COLUMN_ALWAYS, 5},
	{"size_change_bytes", "CHANGE", CELL_CHANGE_BYTES, COLUMN_ALWAYS, 0},
	{"rss_bytes", "RSS", CELL_BYTES, COLUMN_ALWAYS, 4},
	{"rss_change_bytes", "CHANGE", CELL_CHANGE_BYTES, COLUMN_ALWAYS, 0},
	{"dirty_change_bytes", "DIRTY CHANGE", CELL_CHANGE_BYTES, COLUMN_ALWAYS, 7},
	{"swap_change_bytes", "SWAP CHANGE", CELL_CHANGE_BYTES, COLUMN_IF_ANY, 0},
	{"kind", "KIND", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"detail", "DETAIL", CELL_TEXT, COLUMN_ALWAYS, 0},
};

#define NR(a) (sizeof(a) / sizeof((a)[0]))

/* A region of either side, in one order of addresses. */
struct side {
	const struct region *region;
	size_t index; /* in its snapshot */
	bool is_after;
};

/* Regions that belong together: old ones, new ones, or both. */
struct cluster {
	uint64_t start, end;
	struct map_use before, after;
	uint8_t kind;
	size_t index;  /* of the region that tells the name … */
	bool by_after; /* … and of which side */
	uint32_t name;
};

struct diffing {
	struct mapview before, after;
	bool has_use; /* both sides know resident bytes */
	struct strings names;
	struct cluster *clusters;
	size_t nr, cap;
	size_t last[2]; /* cluster of the last region before, after */
};

static int64_t change(uint64_t before, uint64_t after)
{
	return (int64_t)(after - before);
}

static void add_change(const struct diffing *d, struct sheet *s, uint64_t before, uint64_t after)
{
	if (d->has_use)
		sheet_change(s, change(before, after));
	else
		sheet_unknown(s);
}

static void add_now(const struct diffing *d, struct sheet *s, uint64_t bytes)
{
	if (d->has_use)
		sheet_number(s, bytes);
	else
		sheet_unknown(s);
}

static void add_kind(const struct diffing *d, struct sheet *s, const char *name,
		     const struct map_use *b, const struct map_use *a)
{
	sheet_text(s, name);
	sheet_change(s, change(b->regions, a->regions));
	sheet_number(s, a->size);
	sheet_change(s, change(b->size, a->size));
	add_now(d, s, a->rss);
	add_change(d, s, b->rss, a->rss);
	add_change(d, s, b->pss, a->pss);
	add_change(d, s, b->dirty, a->dirty);
	add_change(d, s, b->swap, a->swap);
}

static void add_kinds(const struct diffing *d, struct sheet *s)
{
	struct map_use before[REGION_KINDS], after[REGION_KINDS];
	struct map_use sum_before = {.regions = 0}, sum_after = {.regions = 0};

	mapview_sum(&d->before, before);
	mapview_sum(&d->after, after);
	for (size_t i = 0; i < REGION_KINDS; i++) {
		uint8_t kind = mapview_kinds[i];

		if (before[kind].regions == 0 && after[kind].regions == 0)
			continue;
		add_kind(d, s, region_kind_name((enum region_kind)kind), &before[kind],
			 &after[kind]);
		map_use_add(&sum_before, &before[kind]);
		map_use_add(&sum_after, &after[kind]);
	}
	add_kind(d, s, "total", &sum_before, &sum_after);
	s->has_total_row = true;
}

static int by_start(const void *a, const void *b)
{
	const struct side *x = a, *y = b;

	if (x->region->start != y->region->start)
		return x->region->start < y->region->start ? -1 : 1;
	return (int)x->is_after - (int)y->is_after;
}

/*
 * What must be equal for regions to be one: where it comes from, and whether it may be touched or
 * run. Not the kind: one look may know less of threads and heaps than the other.
 */
static uint32_t name_of(struct diffing *d, struct mapview *v, size_t i)
{
	const struct region *r = &v->s->regions[i];
	int rights = ((r->prot & 7) != 0) | (r->prot & 4) | (r->prot & 8);

	str_clear(&v->text);
	str_printf(&v->text, "%c%s", 'A' + rights, strings_get(&v->s->strings, r->path));
	return strings_add(&d->names, v->text.data);
}

static bool says_something(uint8_t kind)
{
	return kind != REGION_UNKNOWN && kind != REGION_RESERVED;
}

/* The newer side names a cluster, unless only the older one knows what it is. */
static void name_cluster(struct cluster *c, const struct side *side)
{
	bool known = says_something(c->kind), better = says_something(side->region->kind);

	if (better < known || (better == known && (!side->is_after || c->by_after)))
		return;
	c->kind = side->region->kind;
	c->index = side->index;
	c->by_after = side->is_after;
}

static void join(struct cluster *c, const struct side *side)
{
	struct map_use use;

	map_use_of(side->region, &use);
	map_use_add(side->is_after ? &c->after : &c->before, &use);
	if (side->region->end > c->end)
		c->end = side->region->end;
	name_cluster(c, side);
}

static void start_cluster(struct diffing *d, const struct side *side, uint32_t name)
{
	ARRAY_PUSH(d->clusters, d->nr, d->cap,
		   ((struct cluster){.start = side->region->start,
				     .end = side->region->end,
				     .kind = side->region->kind,
				     .index = side->index,
				     .by_after = side->is_after,
				     .name = name}));
	join(&d->clusters[d->nr - 1], side);
}

/*
 * At any address there is at most one region of each side, so only the clusters of the last region
 * of either side can still reach as far as the next one.
 */
static void add_side(struct diffing *d, const struct side *side)
{
	uint32_t name = name_of(d, side->is_after ? &d->after : &d->before, side->index);

	for (size_t i = 0; i < 2 && d->nr; i++) {
		struct cluster *c = &d->clusters[d->last[i]];

		if (c->name == name && side->region->start < c->end) {
			join(c, side);
			d->last[side->is_after] = d->last[i];
			return;
		}
	}
	start_cluster(d, side, name);
	d->last[side->is_after] = d->nr - 1;
}

static void add_sides(struct mapview *v, bool is_after, struct side *sides, size_t *nr)
{
	for (size_t i = 0; i < v->s->nr_regions; i++) {
		if (mapview_filter_match(v->s, v->o->filter, i, &v->text))
			sides[(*nr)++] = (struct side){&v->s->regions[i], i, is_after};
	}
}

static void find_clusters(struct diffing *d)
{
	size_t nr = 0;
	struct side *sides =
		mem_alloc_array(d->before.s->nr_regions + d->after.s->nr_regions, sizeof(*sides));

	add_sides(&d->before, false, sides, &nr);
	add_sides(&d->after, true, sides, &nr);
	if (nr)
		qsort(sides, nr, sizeof(*sides), by_start);
	for (size_t i = 0; i < nr; i++)
		add_side(d, &sides[i]);
	free(sides);
}

static bool is_same(const struct diffing *d, const struct cluster *c)
{
	const struct map_use *b = &c->before, *a = &c->after;

	if (b->size != a->size || !b->regions != !a->regions)
		return false;
	return !d->has_use || (b->rss == a->rss && b->swap == a->swap && b->dirty == a->dirty);
}

/* What a change is measured by. */
static uint64_t weight(const struct diffing *d, const struct map_use *u)
{
	return d->has_use ? u->rss + u->swap : u->size;
}

static const char *word_of(const struct diffing *d, const struct cluster *c)
{
	uint64_t before = weight(d, &c->before), after = weight(d, &c->after);

	if (c->before.regions == 0)
		return "new";
	if (c->after.regions == 0)
		return "gone";
	if (before == after) {
		before = c->before.size;
		after = c->after.size;
	}
	return after > before ? "grown" : after < before ? "shrunk" : "changed";
}

static uint64_t distance(const struct diffing *d, const struct cluster *c)
{
	uint64_t before = weight(d, &c->before), after = weight(d, &c->after);

	return after > before ? after - before : before - after;
}

static int by_change(const void *a, const void *b, void *context)
{
	const struct cluster *x = a, *y = b;
	uint64_t grown_x = distance(context, x), grown_y = distance(context, y);

	if (grown_x != grown_y)
		return grown_x < grown_y ? 1 : -1;
	return (x->start > y->start) - (x->start < y->start);
}

static void add_cluster(struct diffing *d, struct sheet *s, const struct cluster *c)
{
	struct mapview *v = c->by_after ? &d->after : &d->before;

	sheet_text(s, word_of(d, c));
	sheet_number(s, c->start);
	sheet_number(s, c->end);
	sheet_number(s, c->after.size);
	sheet_change(s, change(c->before.size, c->after.size));
	add_now(d, s, c->after.rss);
	add_change(d, s, c->before.rss, c->after.rss);
	add_change(d, s, c->before.dirty, c->after.dirty);
	add_change(d, s, c->before.swap, c->after.swap);
	sheet_text(s, region_kind_name((enum region_kind)c->kind));
	str_clear(&v->text);
	region_detail_text(v->s, v->claims, c->index, v->o->detail_max, &v->text);
	sheet_text(s, v->text.data);
}

static void add_regions(struct diffing *d, struct sheet *s)
{
	struct sheet *part = sheet_part(s, "regions", columns, NR(columns));

	strings_init(&d->names);
	find_clusters(d);
	if (d->nr)
		qsort_r(d->clusters, d->nr, sizeof(*d->clusters), by_change, d);
	for (size_t i = 0; i < d->nr; i++) {
		if (!is_same(d, &d->clusters[i]))
			add_cluster(d, part, &d->clusters[i]);
	}
	free(d->clusters);
	strings_release(&d->names);
}

static void add_totals(const struct diffing *d, struct sheet *s)
{
	const struct map_footprint *cost_before = &d->before.cost, *cost_after = &d->after.cost;
	const struct map_use *b = &d->before.total, *a = &d->after.total;

	sheet_total(s, "size_bytes", CELL_BYTES, a->size);
	sheet_total_change(s, "size_change_bytes", CELL_CHANGE_BYTES, change(b->size, a->size));
	if (!d->has_use) {
		sheet_set_heading(s, "%s: address space %s", d->after.o->label,
				  format_bytes_delta(change(b->size, a->size)).text);
		return;
	}
	sheet_total(s, "rss_bytes", CELL_BYTES, a->rss);
	sheet_total_change(s, "rss_change_bytes", CELL_CHANGE_BYTES, change(b->rss, a->rss));
	sheet_total(s, "footprint_bytes", CELL_BYTES, cost_after->total);
	sheet_total_change(s, "footprint_change_bytes", CELL_CHANGE_BYTES,
			   change(cost_before->total, cost_after->total));
	sheet_set_heading(s, "%s: physical footprint %s, RSS %s", d->after.o->label,
			  format_bytes_delta(change(cost_before->total, cost_after->total)).text,
			  format_bytes_delta(change(b->rss, a->rss)).text);
}

int mapdiff_fill(const struct snapshot *before, const struct snapshot *after, bool by_address,
		 const struct mapview_options *o, struct sheet *ret, struct error *e)
{
	struct diffing d = {.has_use = before->has_region_use && after->has_region_use};
	struct sheet sheet, *last = &sheet;
	int err;

	mapview_init(&d.before, before, o);
	mapview_init(&d.after, after, o);
	sheet_init(&sheet, "seep-map-diff-1", kind_columns, NR(kind_columns));
	add_kinds(&d, &sheet);
	if (by_address && !o->summary) {
		add_regions(&d, &sheet);
		last = &sheet.parts[0];
	}
	err = mapview_sort(last, o, e);
	add_totals(&d, &sheet);
	if (before->taken_monotonic_ns && after->taken_monotonic_ns > before->taken_monotonic_ns)
		sheet_note(&sheet, "Changes within %s.",
			   format_duration(after->taken_monotonic_ns - before->taken_monotonic_ns)
				   .text);
	if (!d.has_use)
		sheet_note(&sheet,
			   "What is resident, dirty or swapped is not known on both sides.");
	mapview_release(&d.before);
	mapview_release(&d.after);
	if (err < 0)
		sheet_release(&sheet);
	else
		*ret = sheet;
	return err;
}
