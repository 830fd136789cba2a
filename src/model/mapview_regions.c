/* The address space by region, by owner, and around an address; see mapview.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/map_words.h"
#include "model/mapview_private.h"
#include "model/snapshot.h"

/* What people see … */
static const struct sheet_column columns[] = {
	{"start", "START", CELL_ADDRESS, COLUMN_ALWAYS, 0},
	{"end", "END", CELL_ADDRESS, COLUMN_ALWAYS, 9},
	{"size_bytes", "SIZE", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"rss_bytes", "RSS", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"pss_bytes", "PSS", CELL_BYTES, COLUMN_ALWAYS, 8},
	{"dirty_bytes", "DIRTY", CELL_BYTES, COLUMN_ALWAYS, 5},
	{"swap_bytes", "SWAP", CELL_BYTES, COLUMN_IF_ANY, 3},
	{"locked_bytes", "LOCKED", CELL_BYTES, COLUMN_IF_ANY, 7},
	{"huge_bytes", "HUGE", CELL_BYTES, COLUMN_IF_ANY, 6},
	{"prot", "PROT", CELL_TEXT, COLUMN_ALWAYS, 4},
	{"kind", "KIND", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"detail", "DETAIL", CELL_TEXT, COLUMN_ALWAYS, 0},
};
#define NR_COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* … and what programs read: 50,000 rows of these cost as much as finding them out. */
static const struct sheet_column all_columns[] = {
	{"start", "START", CELL_ADDRESS, COLUMN_ALWAYS, 0},
	{"end", "END", CELL_ADDRESS, COLUMN_ALWAYS, 9},
	{"size_bytes", "SIZE", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"committed_bytes", "COMMITTED", CELL_BYTES, COLUMN_MACHINE, 0},
	{"private_bytes", "PRIVATE", CELL_BYTES, COLUMN_MACHINE, 0},
	{"rss_bytes", "RSS", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"pss_bytes", "PSS", CELL_BYTES, COLUMN_ALWAYS, 8},
	{"uss_bytes", "USS", CELL_BYTES, COLUMN_MACHINE, 0},
	{"dirty_bytes", "DIRTY", CELL_BYTES, COLUMN_ALWAYS, 5},
	{"swap_bytes", "SWAP", CELL_BYTES, COLUMN_IF_ANY, 3},
	{"locked_bytes", "LOCKED", CELL_BYTES, COLUMN_IF_ANY, 7},
	{"huge_bytes", "HUGE", CELL_BYTES, COLUMN_IF_ANY, 6},
	{"shared_clean_bytes", "SHARED CLEAN", CELL_BYTES, COLUMN_MACHINE, 0},
	{"shared_dirty_bytes", "SHARED DIRTY", CELL_BYTES, COLUMN_MACHINE, 0},
	{"private_clean_bytes", "PRIVATE CLEAN", CELL_BYTES, COLUMN_MACHINE, 0},
	{"private_dirty_bytes", "PRIVATE DIRTY", CELL_BYTES, COLUMN_MACHINE, 0},
	{"anonymous_bytes", "ANONYMOUS", CELL_BYTES, COLUMN_MACHINE, 0},
	{"lazy_free_bytes", "LAZY FREE", CELL_BYTES, COLUMN_MACHINE, 0},
	{"prot", "PROT", CELL_TEXT, COLUMN_ALWAYS, 4},
	{"flags", "FLAGS", CELL_TEXT, COLUMN_MACHINE, 0},
	{"kind", "KIND", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"section", "SECTION", CELL_TEXT, COLUMN_MACHINE, 0},
	{"owner", "OWNER", CELL_TEXT, COLUMN_MACHINE, 0},
	{"path", "PATH", CELL_TEXT, COLUMN_MACHINE, 0},
	{"offset", "OFFSET", CELL_ADDRESS, COLUMN_MACHINE, 0},
	{"detail", "DETAIL", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"relation", "RELATION", CELL_TEXT, COLUMN_MACHINE, 0}, /* around an address only */
};
#define NR_AT_COLUMNS (sizeof(all_columns) / sizeof(all_columns[0]))
#define NR_ALL_COLUMNS (NR_AT_COLUMNS - 1)

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

/* What the words of a row are; a gap has none. */
struct words {
	char prot[PROT_TEXT];
	const char *kind, *section, *path;
	uint64_t offset;
};

/* region SIZE_MAX: a gap. */
static void add_words(struct mapview *v, struct sheet *sheet, size_t i, const struct words *words)
{
	bool all = v->o->all_columns, gap = i == SIZE_MAX;

	sheet_text(sheet, words->prot);
	str_clear(&v->text);
	if (all && !gap)
		region_flags_text(v->s->regions[i].vm_flags, &v->text);
	if (all)
		sheet_text(sheet, v->text.data);
	sheet_text(sheet, words->kind);
	if (all) {
		sheet_text(sheet, words->section);
		str_clear(&v->text);
		if (!gap)
			region_owner_text(v->s, i, &v->text);
		sheet_text(sheet, v->text.data);
		sheet_text(sheet, words->path);
		sheet_number(sheet, words->offset);
	}
	str_clear(&v->text);
	if (!gap)
		region_detail_text(v->s, v->claims, i, v->o->detail_max, &v->text);
	sheet_text(sheet, v->text.data);
}

static void add_figures(struct mapview *v, struct sheet *sheet, const struct map_use *u)
{
	sheet_number(sheet, u->size);
	if (v->o->all_columns) {
		sheet_number(sheet, u->committed);
		add_memory(v, sheet, u);
		add_pages(v, sheet, u);
		return;
	}
	mapview_use(v->s, sheet, u->rss);
	mapview_use(v->s, sheet, u->pss);
	mapview_use(v->s, sheet, u->dirty);
	mapview_use(v->s, sheet, u->swap);
	mapview_use(v->s, sheet, u->locked);
	mapview_use(v->s, sheet, u->huge);
}

static void add_region(struct mapview *v, struct sheet *sheet, size_t i)
{
	const struct region *r = &v->s->regions[i];
	struct words words = {
		.kind = region_kind_name((enum region_kind)r->kind),
		.section = region_section_name(region_section(v->s, i)),
		.path = strings_get(&v->s->strings, r->path),
		.offset = r->offset,
	};
	struct map_use u;

	region_prot_text(r->prot, words.prot);
	map_use_of(r, &u);
	sheet_number(sheet, r->start);
	sheet_number(sheet, r->end);
	add_figures(v, sheet, &u);
	add_words(v, sheet, i, &words);
}

static void add_gap(struct mapview *v, struct sheet *sheet, const struct map_gap *gap)
{
	static const struct words words = {"----", "free", "", "", 0};
	const struct map_use u = {.size = gap->end - gap->start};

	sheet_number(sheet, gap->start);
	sheet_number(sheet, gap->end);
	add_figures(v, sheet, &u);
	add_words(v, sheet, SIZE_MAX, &words);
}

static void add_by_region(struct mapview *v, struct sheet *part)
{
	static const struct map_space none = {.gaps = NULL};
	const struct map_space *space = &none;
	size_t gap = 0;

	if (v->o->free_gaps && !v->o->filter)
		space = mapview_space(v);
	if (!v->o->filter)
		sheet_reserve(part, v->s->nr_regions + space->nr);
	for (size_t i = 0; i < v->s->nr_regions; i++) {
		for (; gap < space->nr && space->gaps[gap].start < v->s->regions[i].start; gap++)
			add_gap(v, part, &space->gaps[gap]);
		if (mapview_filter_match(v->s, v->o->filter, i, &v->text))
			add_region(v, part, i);
	}
	for (; gap < space->nr; gap++)
		add_gap(v, part, &space->gaps[gap]);
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
	else if (v->o->all_columns)
		add_by_region(v, sheet_part(s, "regions", all_columns, NR_ALL_COLUMNS));
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

/* Which of the rows holds the address: for programs. */
static void add_relation(struct mapview *v, struct sheet *sheet, const char *relation)
{
	if (v->o->all_columns)
		sheet_text(sheet, relation);
}

static void add_gap_at(struct mapview *v, struct sheet *sheet, uint64_t addr)
{
	const struct map_space *space = mapview_space(v);

	for (size_t i = 0; i < space->nr; i++) {
		if (space->gaps[i].start > addr || addr >= space->gaps[i].end)
			continue;
		add_gap(v, sheet, &space->gaps[i]);
		add_relation(v, sheet, "this");
	}
	sheet_set_heading(sheet, "%s: nothing is mapped at 0x%llx%s", v->o->label,
			  (unsigned long long)addr,
			  addr >= space->limit ? ", where no program can map anything" : "");
}

void mapview_fill_at(const struct snapshot *s, const struct mapview_options *o, uint64_t addr,
		     struct sheet *ret)
{
	size_t i = find_above(s, addr);
	bool inside = i < s->nr_regions && s->regions[i].start <= addr;
	struct mapview_options with_regions = *o;
	struct mapview v;

	with_regions.summary = false;
	mapview_init(&v, s, &with_regions);
	if (o->all_columns)
		sheet_init(ret, "seep-map-1", all_columns, NR_AT_COLUMNS);
	else
		sheet_init(ret, "seep-map-1", columns, NR_COLUMNS);
	sheet_total(ret, "address", CELL_ADDRESS, addr);
	if (i > 0) {
		add_region(&v, ret, i - 1);
		add_relation(&v, ret, "before");
	}
	if (inside) {
		sheet_total(ret, "region_address", CELL_ADDRESS, s->regions[i].start);
		add_region(&v, ret, i++);
		add_relation(&v, ret, "this");
		set_place(&v, ret, i - 1, addr);
	} else {
		sheet_total_unknown(ret, "region_address");
		add_gap_at(&v, ret, addr);
	}
	if (i < s->nr_regions) {
		add_region(&v, ret, i);
		add_relation(&v, ret, "after");
	}
	mapview_release(&v);
}
