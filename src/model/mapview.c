/* The address space by kind, with its totals; see mapview.h. */
#include "model/mapview.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/units.h"
#include "model/mapview_private.h"
#include "model/snapshot.h"

/* What people look for first. */
const uint8_t mapview_kinds[REGION_KINDS] = {
	REGION_HEAP,   REGION_BLOCK,	REGION_UNKNOWN,	    REGION_STACK,    REGION_TLS,
	REGION_JIT,    REGION_IMAGE,	REGION_MAPPED_FILE, REGION_SHARED,   REGION_DEVICE,
	REGION_KERNEL, REGION_RECORDER, REGION_GUARD,	    REGION_RESERVED,
};

static const struct sheet_column columns[] = {
	{"kind", "KIND", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"regions", "REGIONS", CELL_COUNT, COLUMN_ALWAYS, 4},
	{"size_bytes", "SIZE", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"committed_bytes", "COMMITTED", CELL_BYTES, COLUMN_ALWAYS, 10},
	{"private_bytes", "PRIVATE", CELL_BYTES, COLUMN_ALWAYS, 9},
	{"rss_bytes", "RSS", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"pss_bytes", "PSS", CELL_BYTES, COLUMN_ALWAYS, 7},
	{"uss_bytes", "USS", CELL_BYTES, COLUMN_ALWAYS, 6},
	{"dirty_bytes", "DIRTY", CELL_BYTES, COLUMN_ALWAYS, 2},
	{"swap_bytes", "SWAP", CELL_BYTES, COLUMN_IF_ANY, 1},
	{"locked_bytes", "LOCKED", CELL_BYTES, COLUMN_IF_ANY, 5},
	{"huge_bytes", "HUGE", CELL_BYTES, COLUMN_IF_ANY, 3},
	{"largest_bytes", "LARGEST", CELL_BYTES, COLUMN_MACHINE, 0},
	{"shared_clean_bytes", "SHARED CLEAN", CELL_BYTES, COLUMN_MACHINE, 0},
	{"shared_dirty_bytes", "SHARED DIRTY", CELL_BYTES, COLUMN_MACHINE, 0},
	{"private_clean_bytes", "PRIVATE CLEAN", CELL_BYTES, COLUMN_MACHINE, 0},
	{"private_dirty_bytes", "PRIVATE DIRTY", CELL_BYTES, COLUMN_MACHINE, 0},
	{"anonymous_bytes", "ANONYMOUS", CELL_BYTES, COLUMN_MACHINE, 0},
	{"lazy_free_bytes", "LAZY FREE", CELL_BYTES, COLUMN_MACHINE, 0},
};
#define NR_COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* ret has room for REGION_KINDS. */
static void sum_kinds(const struct snapshot *s, const struct filter *filter, struct map_use *ret)
{
	struct str buffer = STR_INIT;
	struct map_use one;

	memset(ret, 0, REGION_KINDS * sizeof(*ret));
	for (size_t i = 0; i < s->nr_regions; i++) {
		if (filter && !mapview_filter_match(s, filter, i, &buffer))
			continue;
		map_use_of(&s->regions[i], &one);
		map_use_add(&ret[s->regions[i].kind], &one);
	}
	str_release(&buffer);
}

void mapview_init(struct mapview *v, const struct snapshot *s, const struct mapview_options *o)
{
	*v = (struct mapview){.s = s, .o = o, .text = STR_INIT};
	if (!o->summary) {
		v->claims = mem_alloc_array(s->nr_regions, sizeof(*v->claims));
		regions_claims(s, v->claims);
	}
	sum_kinds(s, NULL, v->kinds);
	for (size_t i = 0; i < REGION_KINDS; i++)
		map_use_add(&v->total, &v->kinds[i]);
	map_footprint_of(s, &v->cost);
}

void mapview_release(struct mapview *v)
{
	free(v->claims);
	map_space_release(&v->space);
	str_release(&v->text);
}

const struct map_space *mapview_space(struct mapview *v)
{
	if (v->space.limit == 0)
		map_space_of(v->s, &v->space);
	return &v->space;
}

void mapview_use(const struct snapshot *s, struct sheet *sheet, uint64_t bytes)
{
	if (s->has_region_use)
		sheet_number(sheet, bytes);
	else
		sheet_unknown(sheet);
}

void mapview_sum(const struct mapview *v, struct map_use *ret)
{
	if (v->o->filter)
		sum_kinds(v->s, v->o->filter, ret);
	else
		memcpy(ret, v->kinds, sizeof(v->kinds));
}

static void add_row(const struct snapshot *s, struct sheet *sheet, const char *name,
		    const struct map_use *u)
{
	sheet_text(sheet, name);
	sheet_number(sheet, u->regions);
	sheet_number(sheet, u->size);
	sheet_number(sheet, u->committed);
	mapview_use(s, sheet, u->private_bytes);
	mapview_use(s, sheet, u->rss);
	mapview_use(s, sheet, u->pss);
	mapview_use(s, sheet, u->uss);
	mapview_use(s, sheet, u->dirty);
	mapview_use(s, sheet, u->swap);
	mapview_use(s, sheet, u->locked);
	mapview_use(s, sheet, u->huge);
	sheet_number(sheet, u->largest);
	mapview_use(s, sheet, u->shared_clean);
	mapview_use(s, sheet, u->shared_dirty);
	mapview_use(s, sheet, u->private_clean);
	mapview_use(s, sheet, u->private_dirty);
	mapview_use(s, sheet, u->anonymous);
	mapview_use(s, sheet, u->lazy_free);
}

static void add_kinds(struct mapview *v, struct sheet *sheet)
{
	struct map_use sums[REGION_KINDS], total = {.regions = 0};

	mapview_sum(v, sums);
	for (size_t i = 0; i < REGION_KINDS; i++) {
		const struct map_use *u = &sums[mapview_kinds[i]];

		if (u->regions == 0)
			continue;
		add_row(v->s, sheet, region_kind_name((enum region_kind)mapview_kinds[i]), u);
		map_use_add(&total, u);
	}
	add_row(v->s, sheet, "total", &total);
	sheet->has_total_row = true;
}

static void total_use(struct mapview *v, struct sheet *sheet)
{
	const struct map_footprint *cost = &v->cost;
	const struct map_use *u = &v->total;

	sheet_total(sheet, "rss_bytes", CELL_BYTES, u->rss);
	sheet_total(sheet, "peak_rss_bytes", CELL_BYTES, v->s->figures.peak_rss);
	sheet_total(sheet, "pss_bytes", CELL_BYTES, u->pss);
	sheet_total(sheet, "uss_bytes", CELL_BYTES, u->uss);
	sheet_total(sheet, "private_bytes", CELL_BYTES, u->private_bytes);
	sheet_total(sheet, "dirty_bytes", CELL_BYTES, u->dirty);
	sheet_total(sheet, "locked_bytes", CELL_BYTES, u->locked);
	sheet_total(sheet, "huge_bytes", CELL_BYTES, u->huge);
	sheet_total(sheet, "footprint_bytes", CELL_BYTES, cost->total);
	sheet_total(sheet, "footprint_anonymous_bytes", CELL_BYTES, cost->anonymous);
	sheet_total(sheet, "footprint_swap_bytes", CELL_BYTES, cost->swap);
	sheet_total(sheet, "footprint_page_tables_bytes", CELL_BYTES, cost->page_tables);
	sheet_total(sheet, "footprint_shared_dirty_bytes", CELL_BYTES, cost->shared_dirty);
}

static void add_totals(struct mapview *v, struct sheet *sheet)
{
	const struct map_space *space = mapview_space(v);
	const struct map_use *u = &v->total;

	sheet_total(sheet, "regions", CELL_COUNT, u->regions);
	sheet_total(sheet, "size_bytes", CELL_BYTES, u->size);
	sheet_total(sheet, "committed_bytes", CELL_BYTES, u->committed);
	if (v->s->has_region_use)
		total_use(v, sheet);
	sheet_total(sheet, "free_gaps", CELL_COUNT, space->nr);
	sheet_total(sheet, "free_bytes", CELL_BYTES, space->free_bytes);
	sheet_total(sheet, "largest_free_bytes", CELL_BYTES, space->largest_bytes);
}

static void add_heading(struct mapview *v, struct sheet *sheet)
{
	if (!v->s->has_region_use) {
		sheet_set_heading(sheet, "%s", v->o->label);
		return;
	}
	sheet_set_heading(sheet, "%s: physical footprint %s, RSS %s", v->o->label,
			  format_bytes(v->cost.total).text, format_bytes(v->total.rss).text);
}

static void add_cost_note(struct mapview *v, struct sheet *sheet)
{
	str_clear(&v->text);
	map_footprint_sentence(&v->cost, &v->text);
	sheet_note(sheet, "%s", v->text.data);
	if (v->s->figures.peak_rss)
		sheet_note(sheet, "RSS %s, at its peak %s.", format_bytes(v->total.rss).text,
			   format_bytes(v->s->figures.peak_rss).text);
}

/* What the figures above leave out, or cannot tell. */
static void add_limits(struct mapview *v, struct sheet *sheet)
{
	uint64_t hugetlb = 0, lazy = 0;

	for (size_t i = 0; i < v->s->nr_regions; i++) {
		const struct region *r = &v->s->regions[i];

		if (r->vm_flags & REGION_VM_HUGETLB)
			hugetlb += r->huge;
		lazy += r->lazy_free;
	}
	if (hugetlb)
		sheet_note(sheet, "%s of hugetlbfs pages are not part of RSS and footprint.",
			   format_bytes(hugetlb).text);
	if (lazy)
		sheet_note(sheet,
			   "%s of RSS are given back already (MADV_FREE): the kernel takes "
			   "them when it needs memory.",
			   format_bytes(lazy).text);
	if (!v->s->has_region_use)
		sheet_note(sheet, "What is resident, private, dirty or swapped is not known here.");
}

static void add_notes(struct mapview *v, struct sheet *sheet)
{
	const struct map_space *space = mapview_space(v);

	if (v->s->has_region_use)
		add_cost_note(v, sheet);
	sheet_note(sheet, "Free address space: %s in %s gaps, the largest %s.",
		   format_bytes(space->free_bytes).text, format_count(space->nr).text,
		   format_bytes(space->largest_bytes).text);
	add_limits(v, sheet);
}

int mapview_sort(struct sheet *sheet, const struct mapview_options *o, struct error *e)
{
	if (o->sort) {
		size_t column = sheet_find_column(sheet, o->sort);
		char *bytes = mem_printf("%s_bytes", o->sort);

		if (column == SIZE_MAX)
			column = sheet_find_column(sheet, bytes);
		free(bytes);
		if (column == SIZE_MAX)
			return error_set(e, -EINVAL, EXIT_USAGE,
					 "cannot sort by '%s': there is no such column here",
					 o->sort);
		sheet_sort(sheet, column);
	}
	sheet_limit(sheet, o->limit);
	return 0;
}

int mapview_fill(const struct snapshot *s, const struct mapview_options *o, struct sheet *ret,
		 struct error *e)
{
	struct sheet sheet, *last = &sheet;
	struct mapview v;
	int err;

	mapview_init(&v, s, o);
	sheet_init(&sheet, "seep-map-1", columns, NR_COLUMNS);
	add_kinds(&v, &sheet);
	if (!o->summary) {
		mapview_add_regions(&v, &sheet);
		last = &sheet.parts[0];
	}
	err = mapview_sort(last, o, e);
	add_heading(&v, &sheet);
	add_totals(&v, &sheet);
	add_notes(&v, &sheet);
	mapview_release(&v);
	if (err < 0)
		sheet_release(&sheet);
	else
		*ret = sheet;
	return err;
}
