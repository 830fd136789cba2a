/* Parts that add up to RSS; see balance.h. */
#include "model/balance.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "model/map_use.h"
#include "model/sheet.h"
#include "model/snapshot.h"

static const struct {
	const char *key, *name;
} parts[] = {
	[BALANCE_IN_USE] = {"in_use", "blocks in use"},
	[BALANCE_INTERNAL] = {"internal", "blocks of the C library itself"},
	[BALANCE_CACHED] = {"cached", "freed, kept for the next allocation"},
	[BALANCE_FREE_PAGES] = {"free_pages", "free, in whole pages"},
	[BALANCE_FREE_PIECES] = {"free_pieces", "free, between blocks"},
	[BALANCE_OVERHEAD] = {"overhead", "the allocator's headers and tables"},
	[BALANCE_UNKNOWN_HEAP] = {"unknown_heap", "heaps whose blocks are not known"},
	[BALANCE_MAPPING] = {"mapping", "mapping"},
	[BALANCE_UNCLAIMED] = {"unclaimed", "anonymous memory that no heap claims"},
	[BALANCE_KERNEL] = {"kernel", "the kernel's total beyond its mappings'"},
	[BALANCE_CHANGED] = {"changed", "changed while it was looked at"},
};

static const struct {
	const char *key, *name;
} mappings[REGION_KINDS] = {
	[REGION_IMAGE] = {"image", "programs and libraries"},
	[REGION_MAPPED_FILE] = {"mapped_file", "mapped files"},
	[REGION_SHARED] = {"shared", "shared memory"},
	[REGION_STACK] = {"stack", "stacks"},
	[REGION_GUARD] = {"guard", "guards"},
	[REGION_RESERVED] = {"reserved", "reserved ranges"},
	[REGION_TLS] = {"tls", "thread-local storage"},
	[REGION_JIT] = {"jit", "generated code"},
	[REGION_DEVICE] = {"device", "device mappings"},
	[REGION_KERNEL] = {"kernel_pages", "pages of the kernel (vdso)"},
	[REGION_RECORDER] = {"recorder", "seep's recorder"},
};

/* "blocks in use"; "free_pages" is the same for programs. */
static const char *balance_line_name(const struct balance_line *l)
{
	if (l->part == BALANCE_MAPPING)
		return mappings[l->region].name ? mappings[l->region].name : "other mappings";
	return parts[l->part].name;
}

const char *balance_line_key(const struct balance_line *l)
{
	if (l->part == BALANCE_MAPPING)
		return mappings[l->region].key ? mappings[l->region].key : "other";
	return parts[l->part].key;
}

/* Hostile figures must not overflow, and no process has more than this. */
static const int64_t most = (int64_t)1 << 56;

static int64_t cap(uint64_t bytes)
{
	return bytes < (uint64_t)most ? (int64_t)bytes : most;
}

static void add(int64_t *sum, int64_t bytes)
{
	*sum += bytes;
	if (*sum > most)
		*sum = most;
	if (*sum < -most)
		*sum = -most;
}

static void take(int64_t *from, int64_t *left)
{
	int64_t part = *from < *left ? *from : *left;

	*from -= part;
	*left -= part;
}

static int64_t at_least_zero(int64_t bytes)
{
	return bytes > 0 ? bytes : 0;
}

/*
 * One heap's resident bytes, by what they are for. What is absent beyond the whole pages that are
 * known lies in pages that several blocks share: never touched, so most likely free.
 */
static void add_heap(const struct heap_figures *f, int64_t sums[], int64_t *untouched)
{
	int64_t absent = -cap(f->resident_bytes), busy;
	int64_t part[BALANCE_UNKNOWN_HEAP];

	busy = at_least_zero(cap(f->busy_bytes) - cap(f->internal_bytes));
	part[BALANCE_IN_USE] = at_least_zero(busy - cap(f->busy_absent_bytes));
	part[BALANCE_INTERNAL] = cap(f->internal_bytes);
	part[BALANCE_CACHED] = cap(f->cached_bytes);
	part[BALANCE_FREE_PAGES] = cap(f->free_resident_bytes);
	part[BALANCE_FREE_PIECES] = at_least_zero(cap(f->free_bytes) - cap(f->free_page_bytes));
	part[BALANCE_OVERHEAD] =
		at_least_zero(cap(f->overhead_bytes) - cap(f->overhead_absent_bytes));
	for (int i = 0; i < BALANCE_UNKNOWN_HEAP; i++)
		add(&absent, part[i]);
	if (absent < 0) {
		part[BALANCE_OVERHEAD] -= absent;
		absent = 0;
	}
	take(&part[BALANCE_FREE_PIECES], &absent);
	take(&part[BALANCE_OVERHEAD], &absent);
	take(&part[BALANCE_IN_USE], &absent);
	take(&part[BALANCE_CACHED], &absent);
	take(&part[BALANCE_FREE_PAGES], &absent);
	take(&part[BALANCE_INTERNAL], &absent);
	add(untouched, busy - part[BALANCE_IN_USE]);
	for (int i = 0; i < BALANCE_UNKNOWN_HEAP; i++)
		add(&sums[i], part[i]);
}

/* Returns the resident bytes of all heaps. */
static int64_t add_heaps(const struct snapshot *s, int64_t sums[], int64_t *untouched)
{
	const uint8_t both = HEAP_HAS_BLOCKS | HEAP_HAS_RESIDENCY;
	int64_t resident = 0;

	for (size_t i = 0; i < s->nr_heaps; i++) {
		const struct heap_row *h = &s->heaps[i];

		if ((h->flags & HEAP_NESTED) || !(h->flags & HEAP_HAS_RESIDENCY))
			continue;
		add(&resident, cap(h->figures.resident_bytes));
		if ((h->flags & both) == both)
			add_heap(&h->figures, sums, untouched);
		else
			add(&sums[BALANCE_UNKNOWN_HEAP], cap(h->figures.resident_bytes));
	}
	return resident;
}

static void add_line(struct balance *b, enum balance_part part, enum region_kind region,
		     int64_t bytes)
{
	if (bytes)
		b->lines[b->nr++] = (struct balance_line){part, region, bytes};
}

/* Memory that a heap may be in: its resident bytes were counted from the heaps' side. */
static bool holds_heaps(const struct region *r, const struct region_claim *claim)
{
	return r->kind == REGION_HEAP || r->kind == REGION_BLOCK || r->kind == REGION_UNKNOWN ||
	       claim->bytes;
}

/* Returns the resident bytes of all mappings, and how many of them heaps may be in. */
static int64_t add_mappings(const struct snapshot *s, struct balance *b, int64_t *ret_private)
{
	struct region_claim *claims = mem_alloc_array(s->nr_regions, sizeof(*claims));
	int64_t sums[REGION_KINDS] = {0}, all = 0;

	*ret_private = 0;
	regions_claims(s, claims);
	for (size_t i = 0; i < s->nr_regions; i++) {
		const struct region *r = &s->regions[i];

		add(holds_heaps(r, &claims[i]) ? ret_private : &sums[r->kind], cap(r->rss));
		add(&all, cap(r->rss));
	}
	for (int kind = 0; kind < REGION_KINDS; kind++)
		add_line(b, BALANCE_MAPPING, (enum region_kind)kind, sums[kind]);
	free(claims);
	return all;
}

bool balance_make(const struct snapshot *s, struct balance *ret)
{
	int64_t sums[BALANCE_CHANGED + 1] = {0};
	int64_t untouched = 0, heaps, mapped, private, kernel;
	struct map_footprint footprint;

	memset(ret, 0, sizeof(*ret));
	if (!s->has_region_use)
		return false;
	heaps = add_heaps(s, sums, &untouched);
	for (int i = 0; i <= BALANCE_UNKNOWN_HEAP; i++)
		add_line(ret, (enum balance_part)i, REGION_UNKNOWN, sums[i]);
	mapped = add_mappings(s, ret, &private);
	kernel = s->figures.rss ? cap(s->figures.rss) - mapped : 0;
	add_line(ret, private >= heaps ? BALANCE_UNCLAIMED : BALANCE_CHANGED, REGION_UNKNOWN,
		 private - heaps);
	add_line(ret, BALANCE_KERNEL, REGION_UNKNOWN, kernel);
	ret->rss_bytes = (uint64_t)(mapped + kernel);
	ret->untouched_bytes = (uint64_t)untouched;
	map_footprint_of(s, &footprint);
	ret->footprint_bytes = footprint.total;
	return true;
}

static const struct sheet_column columns[] = {
	{"part", "PART", CELL_TEXT, COLUMN_MACHINE, 0},
	{"what", "RESIDENT MEMORY", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"bytes", "SIZE", CELL_SIGNED_BYTES, COLUMN_ALWAYS, 0},
	{"share_percent", "SHARE", CELL_PERMILLE, COLUMN_ALWAYS, 0},
};

static uint64_t permille(int64_t part, uint64_t whole)
{
	if (part <= 0 || whole == 0)
		return 0;
	return (uint64_t)((__uint128_t)part * 1000 / whole);
}

static int by_size(const void *a, const void *b)
{
	const struct balance_line *x = a, *y = b;

	return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

void balance_show(const struct balance *b, struct sheet *sheet)
{
	struct sheet *part =
		sheet_part(sheet, "balance", columns, sizeof(columns) / sizeof(columns[0]));
	struct balance sorted = *b;

	qsort(sorted.lines, sorted.nr, sizeof(sorted.lines[0]), by_size);
	for (size_t i = 0; i < b->nr; i++) {
		const struct balance_line *l = &sorted.lines[i];

		sheet_text(part, balance_line_key(l));
		sheet_text(part, balance_line_name(l));
		sheet_change(part, l->bytes);
		sheet_number(part, permille(l->bytes, b->rss_bytes));
	}
	sheet_text(part, "rss");
	sheet_text(part, "resident in all (RSS)");
	sheet_change(part, (int64_t)b->rss_bytes);
	sheet_number(part, 1000);
	part->has_total_row = true;
	sheet_total(sheet, "rss_bytes", CELL_BYTES, b->rss_bytes);
	sheet_total(sheet, "footprint_bytes", CELL_BYTES, b->footprint_bytes);
	sheet_total(sheet, "untouched_bytes", CELL_BYTES, b->untouched_bytes);
	if (b->untouched_bytes)
		sheet_note(part, "Not resident: %s of blocks in use, never touched or swapped out.",
			   format_bytes(b->untouched_bytes).text);
}
