/* The address space by region, by owner, and around an address; see mapview.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/map_words.h"
#include "model/mapview_private.h"
#include "model/snapshot.h"

static const struct sheet_column columns[] = {
	{"start", "START", CELL_ADDRESS, COLUMN_ALWAYS, 0},
	{"end", "END", CELL_ADDRESS, COLUMN_ALWAYS, 9},
	{"size_bytes", "SIZE", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"committed_bytes", "COMMITTED", CELL_BYTES, COLUMN_MACHINE, 0},
	{"private_bytes", "PRIVATE", CELL_BYTES, COLUMN_MACHINE, 0},
	{"rss_bytes", "RSS", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"pss_bytes", "PSS", CELL_BYTES, COLUMN_ALWAYS, 8},
	{"uss_bytes", "USS", CELL_BYTES, COLUMN_MACHINE, 0},
	{"dirty_bytes", "DIRTY", CELL_BYTES, COLUMN_ALWAYS, 4},
	{"swap_bytes", "SWAP", CELL_BYTES, COLUMN_IF_ANY, 3},
	{"locked_bytes", "LOCKED", CELL_BYTES, COLUMN_IF_ANY, 7},
	{"huge_bytes", "HUGE", CELL_BYTES, COLUMN_IF_ANY, 6},
	{"shared_clean_bytes", "SHARED CLEAN", CELL_BYTES, COLUMN_MACHINE, 0},
	{"shared_dirty_bytes", "SHARED DIRTY", CELL_BYTES, COLUMN_MACHINE, 0},
	{"private_clean_bytes", "PRIVATE CLEAN", CELL_BYTES, COLUMN_MACHINE, 0},
	{"private_dirty_bytes", "PRIVATE DIRTY", CELL_BYTES, COLUMN_MACHINE, 0},
	{"anonymous_bytes", "ANONYMOUS", CELL_BYTES, COLUMN_MACHINE, 0},
	{"lazy_free_bytes", "LAZY FREE", CELL_BYTES, COLUMN_MACHINE, 0},
	{"prot", "PROT", CELL_TEXT, COLUMN_ALWAYS, 1},
	{"flags", "FLAGS", CELL_TEXT, COLUMN_MACHINE, 0},
	{"kind", "KIND", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"section", "SECTION", CELL_TEXT, COLUMN_MACHINE, 0},
	{"owner", "OWNER", CELL_TEXT, COLUMN_MACHINE, 0},
	{"path", "PATH", CELL_TEXT, COLUMN_MACHINE, 0},
	{"offset", "OFFSET", CELL_ADDRESS, COLUMN_MACHINE, 0},
	{"detail", "DETAIL", CELL_TEXT, COLUMN_ALWAYS, 0},
};
#define NR_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static const struct sheet_column owner_columns[] = {
	{"regions", "REGIONS", CELL_COUNT, COLUMN_ALWAYS, 6},
	{"size_bytes", "SIZE", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"committed_bytes", "COMMITTED", CELL_BYTES, COLUMN_ALWAYS, 10},
	{"private_bytes", "PRIVATE", CELL_BYTES, COLUMN_ALWAYS, 9},
	{"rss_bytes", "RSS", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"pss_bytes", "PSS", CELL_BYTES, COLUMN_ALWAYS, 8},
	{"uss_bytes", "USS", CELL_BYTES, COLUMN_ALWAYS, 7},
	{"dirty_bytes", "DIRTY", CELL_BYTES, COLUMN_ALWAYS, 2},
	{"swap_bytes", "SWAP", CELL_BYTES, COLUMN_IF_ANY, 1},
	{"locked_bytes", "LOCKED", CELL_BYTES, COLUMN_IF_ANY, 5},
	{"huge_bytes", "HUGE", CELL_BYTES, COLUMN_IF_ANY, 4},
	{"kind", "KIND", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"owner", "OWNER", CELL_TEXT, COLUMN_ALWAYS, 0},
};
#define NR_OWNER_COLUMNS (sizeof(owner_columns) / sizeof(owner_columns[0]))

static void add_memory(struct mapview *v, struct sheet *sheet, const struct map_use *u)
{
	mapview_use(v->s, sheet, u->private_bytes);
	mapview_use(v->s, sheet, u->rss);
	mapview_use(v->s, sheet, u->pss);
	mapview_use(v->s, sheet, u->uss);
	mapview_use(v->s, sheet, u->dirty);
	mapview_use(v->s, sheet, u->swap);
	mapview_use(v->s, sheet, u->locked);
	mapview_use(v->s, sheet, u->huge);
}

static void add_pages(struct mapview *v, struct sheet *sheet, const struct map_use *u)
{
	mapview_use(v->s, sheet, u->shared_clean);
	mapview_use(v->s, sheet, u->shared_dirty);
	mapview_use(v->s, sheet, u->private_clean);
	mapview_use(v->s, sheet, u->private_dirty);
	mapview_use(v->s, sheet, u->anonymous);
	mapview_use(v->s, sheet, u->lazy_free);
}

static void add_words(struct mapview *v, struct sheet *sheet, size_t i)
{
	const struct region *r = &v->s->regions[i];
	char prot[PROT_TEXT];

	region_prot_text(r->prot, prot);
	sheet_text(sheet, prot);
	str_clear(&v->text);
	region_flags_text(r->vm_flags, &v->text);
	sheet_text(sheet, v->text.data);
	sheet_text(sheet, region_kind_name((enum region_kind)r->kind));
	sheet_text(sheet, region_section_name(region_section(v->s, i)));
	str_clear(&v->text);
	region_owner_text(v->s, i, &v->text);
	sheet_text(sheet, v->text.data);
	sheet_text(sheet, strings_get(&v->s->strings, r->path));
	sheet_number(sheet, r->offset);
	str_clear(&v->text);
	region_detail_text(v->s, v->claims, i, v->o->detail_max, &v->text);
	sheet_text(sheet, v->text.data);
}

void mapview_add_region(struct mapview *v, struct sheet *sheet, size_t i)
{
	const struct region *r = &v->s->regions[i];
	struct map_use u;

	map_use_of(r, &u);
	sheet_number(sheet, r->start);
	sheet_number(sheet, r->end);
	sheet_number(sheet, u.size);
	sheet_number(sheet, u.committed);
	add_memory(v, sheet, &u);
	add_pages(v, sheet, &u);
	add_words(v, sheet, i);
}

void mapview_add_gap(struct mapview *v, struct sheet *sheet, const struct map_gap *gap)
{
	static const struct map_use nothing = {.regions = 0};

	sheet_number(sheet, gap->start);
	sheet_number(sheet, gap->end);
	sheet_number(sheet, gap->end - gap->start);
	sheet_number(sheet, 0);
	add_memory(v, sheet, &nothing);
	add_pages(v, sheet, &nothing);
	sheet_text(sheet, "----");
	sheet_text(sheet, "");
	sheet_text(sheet, "free");
	sheet_text(sheet, "");
	sheet_text(sheet, "");
	sheet_text(sheet, "");
	sheet_number(sheet, 0);
	sheet_text(sheet, "");
}

void mapview_init_regions(struct sheet *s)
{
	sheet_init(s, "seep-map-1", columns, NR_COLUMNS);
}

static void add_by_region(struct mapview *v, struct sheet *part)
{
	struct map_space space = {.gaps = NULL};
	size_t gap = 0;

	if (v->o->free_gaps)
		map_space_of(v->s, &space);
	for (size_t i = 0; i < v->s->nr_regions; i++) {
		for (; gap < space.nr && space.gaps[gap].start < v->s->regions[i].start; gap++)
			mapview_add_gap(v, part, &space.gaps[gap]);
		if (mapview_filter_match(v->s, v->o->filter, i, &v->text))
			mapview_add_region(v, part, i);
	}
	for (; gap < space.nr; gap++)
		mapview_add_gap(v, part, &space.gaps[gap]);
	map_space_release(&space);
}

/* Regions of one kind and one owner. */
struct group {
	char *owner;
	uint8_t kind;
	struct map_use use;
};

static void add_group(struct mapview *v, struct sheet *part, const struct group *g)
{
	sheet_number(part, g->use.regions);
	sheet_number(part, g->use.size);
	sheet_number(part, g->use.committed);
	add_memory(v, part, &g->use);
	sheet_text(part, region_kind_name((enum region_kind)g->kind));
	sheet_text(part, g->owner);
}

static int by_kind(const void *a, const void *b)
{
	const struct group *x = a, *y = b;
	size_t i = 0;

	if (x->kind == y->kind) {
		if (x->use.rss != y->use.rss)
			return x->use.rss < y->use.rss ? 1 : -1;
		if (x->use.size != y->use.size)
			return x->use.size < y->use.size ? 1 : -1;
		return strcmp(x->owner, y->owner);
	}
	while (mapview_kinds[i] != x->kind && mapview_kinds[i] != y->kind)
		i++;
	return mapview_kinds[i] == x->kind ? -1 : 1;
}

static void add_by_owner(struct mapview *v, struct sheet *part)
{
	struct strings owners; /* kind and name together, so that each pair has one id */
	struct group *groups = NULL;
	size_t nr = 0, cap = 0;
	struct map_use one;

	strings_init(&owners);
	for (size_t i = 0; i < v->s->nr_regions; i++) {
		const struct region *r = &v->s->regions[i];
		uint32_t id;

		if (!mapview_filter_match(v->s, v->o->filter, i, &v->text))
			continue;
		str_clear(&v->text);
		str_add_char(&v->text, (char)('A' + r->kind));
		region_owner_text(v->s, i, &v->text);
		id = strings_add(&owners, v->text.data);
		/* Ids count from 1, as texts are never empty; 0: no more text can be held. */
		if (id == 0)
			break;
		if (id > nr)
			ARRAY_PUSH(groups, nr, cap,
				   ((struct group){.owner = mem_strdup(v->text.data + 1),
						   .kind = r->kind}));
		map_use_of(r, &one);
		map_use_add(&groups[id - 1].use, &one);
	}
	if (nr)
		qsort(groups, nr, sizeof(*groups), by_kind);
	for (size_t i = 0; i < nr; i++) {
		add_group(v, part, &groups[i]);
		free(groups[i].owner);
	}
	free(groups);
	strings_release(&owners);
}

void mapview_add_regions(struct mapview *v, struct sheet *s)
{
	if (v->o->group == MAP_BY_OWNER)
		add_by_owner(v, sheet_part(s, "owners", owner_columns, NR_OWNER_COLUMNS));
	else
		add_by_region(v, sheet_part(s, "regions", columns, NR_COLUMNS));
}

/* Index of the first region that ends above addr. */
static size_t find_above(const struct snapshot *s, uint64_t addr)
{
	size_t low = 0, high = s->nr_regions;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->regions[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void set_place(struct mapview *v, struct sheet *sheet, size_t i, uint64_t addr)
{
	const struct region *r = &v->s->regions[i];
	struct str detail = STR_INIT;

	str_clear(&v->text);
	region_detail_text(v->s, v->claims, i, 0, &v->text);
	text_printable(&detail, v->text.data, v->text.len);
	sheet_set_heading(sheet, "%s: 0x%llx is 0x%llx bytes into a region of kind %s%s%s",
			  v->o->label, (unsigned long long)addr,
			  (unsigned long long)(addr - r->start),
			  region_kind_name((enum region_kind)r->kind), detail.len ? ": " : "",
			  detail.data);
	if (r->kind == REGION_IMAGE && r->owner != NO_INDEX)
		sheet_note(sheet, "In the file's own addresses: 0x%llx.",
			   (unsigned long long)(addr - v->s->modules[r->owner].bias));
	else if (r->kind == REGION_IMAGE || r->kind == REGION_MAPPED_FILE)
		sheet_note(sheet, "Offset in the file: 0x%llx.",
			   (unsigned long long)(addr - r->start + r->offset));
	str_release(&detail);
}

void mapview_fill_at(const struct snapshot *s, const struct mapview_options *o, uint64_t addr,
		     struct sheet *ret)
{
	size_t i = find_above(s, addr);
	bool inside = i < s->nr_regions && s->regions[i].start <= addr;
	struct mapview v;

	mapview_init(&v, s, o);
	mapview_init_regions(ret);
	if (i > 0)
		mapview_add_region(&v, ret, i - 1);
	if (inside) {
		mapview_add_region(&v, ret, i++);
		set_place(&v, ret, i - 1, addr);
	} else {
		struct map_gap gap = {i > 0 ? s->regions[i - 1].end : 0,
				      i < s->nr_regions ? s->regions[i].start : UINT64_MAX};

		mapview_add_gap(&v, ret, &gap);
		sheet_set_heading(ret, "%s: 0x%llx is free: nothing is mapped there", o->label,
				  (unsigned long long)addr);
	}
	if (i < s->nr_regions)
		mapview_add_region(&v, ret, i);
	mapview_release(&v);
}
