/* Heaps as tables; see heapview.h. */
#include "model/heapview.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "model/balance.h"
#include "model/heapnames.h"
#include "model/heaps.h"
#include "model/sheet.h"
#include "model/snapshot.h"

enum { THREADS_WIDTH = 24 };

static const struct sheet_column columns[] = {
	{"heap", "HEAP", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"allocator", "ALLOCATOR", CELL_TEXT, COLUMN_MACHINE, 0},
	{"name", "NAME", CELL_TEXT, COLUMN_MACHINE, 0},
	{"kind", "KIND", CELL_TEXT, COLUMN_MACHINE, 0},
	{"address", "ADDRESS", CELL_ADDRESS, COLUMN_IF_ANY, 12},
	{"threads", "THREADS", CELL_TEXT, COLUMN_IF_ANY, 2},
	{"tids", "TIDS", CELL_TEXT, COLUMN_MACHINE, 0},
	{"reserved_bytes", "RESERVED", CELL_BYTES, COLUMN_ALWAYS, 10},
	{"committed_bytes", "COMMITTED", CELL_BYTES, COLUMN_ALWAYS, 5},
	{"resident_bytes", "RESIDENT", CELL_BYTES, COLUMN_IF_ANY, 4},
	{"swapped_bytes", "SWAPPED", CELL_BYTES, COLUMN_IF_ANY, 7},
	{"busy_bytes", "IN USE", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"busy_blocks", "BLOCKS", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"internal_bytes", "LIBC'S OWN", CELL_BYTES, COLUMN_MACHINE, 0},
	{"internal_blocks", "BLOCKS", CELL_COUNT, COLUMN_MACHINE, 0},
	{"cached_bytes", "CACHED", CELL_BYTES, COLUMN_IF_ANY, 7},
	{"cached_blocks", "BLOCKS", CELL_COUNT, COLUMN_MACHINE, 0},
	{"free_bytes", "FREE", CELL_BYTES, COLUMN_ALWAYS, 3},
	{"free_blocks", "BLOCKS", CELL_COUNT, COLUMN_MACHINE, 0},
	{"free_resident_bytes", "FREE RES.", CELL_BYTES, COLUMN_IF_ANY, 8},
	{"largest_free_bytes", "LARGEST", CELL_BYTES, COLUMN_IF_ANY, 9},
	{"top_bytes", "TOP", CELL_BYTES, COLUMN_MACHINE, 0},
	{"overhead_bytes", "OVERHEAD", CELL_BYTES, COLUMN_IF_ANY, 11},
	{"fragmentation_percent", "FRAG.", CELL_PERMILLE, COLUMN_ALWAYS, 1},
	{"inside", "INSIDE", CELL_TEXT, COLUMN_IF_ANY, 6},
	{"state", "STATE", CELL_TEXT, COLUMN_IF_ANY, 0},
};

static const char *state_of(const struct heap_row *h)
{
	if (h->flags & HEAP_LOCKED)
		return h->flags & HEAP_SUSPECT ? "locked, doubtful" : "locked";
	if (h->flags & HEAP_SUSPECT)
		return "DAMAGED";
	if (!(h->flags & HEAP_HAS_BLOCKS))
		return "not walked";
	return "";
}

static void number_if(struct sheet *sheet, bool known, uint64_t u)
{
	if (known)
		sheet_number(sheet, u);
	else
		sheet_unknown(sheet);
}

static void add_figures(struct sheet *sheet, const struct heap_figures *f, unsigned int flags)
{
	bool blocks = flags & HEAP_HAS_BLOCKS, resident = flags & HEAP_HAS_RESIDENCY;

	sheet_number(sheet, f->reserved_bytes);
	sheet_number(sheet, f->committed_bytes);
	number_if(sheet, resident, f->resident_bytes);
	number_if(sheet, resident, f->swapped_bytes);
	number_if(sheet, blocks, f->busy_bytes);
	number_if(sheet, blocks, f->busy_blocks);
	number_if(sheet, blocks, f->internal_bytes);
	number_if(sheet, blocks, f->internal_blocks);
	number_if(sheet, blocks, f->cached_bytes);
	number_if(sheet, blocks, f->cached_blocks);
	number_if(sheet, blocks, f->free_bytes);
	number_if(sheet, blocks, f->free_blocks);
	number_if(sheet, blocks && resident, f->free_resident_bytes);
	number_if(sheet, blocks, f->largest_free_bytes);
	number_if(sheet, blocks, f->top_bytes);
	number_if(sheet, blocks, f->overhead_bytes);
	number_if(sheet, blocks, heap_fragmentation(f));
}

static void add_heap(const struct heap_names *n, size_t i, struct sheet *sheet, struct str *text)
{
	const struct snapshot *s = n->s;
	const struct heap_row *h = &s->heaps[i];

	str_clear(text);
	heap_names_add(n, i, text);
	sheet_text(sheet, text->data);
	sheet_text(sheet, strings_get(&s->strings, h->allocator));
	sheet_text(sheet, strings_get(&s->strings, h->name));
	sheet_text(sheet, heap_kind_name((enum heap_kind)h->kind));
	number_if(sheet, h->addr, h->addr);
	str_clear(text);
	heap_names_threads(n, i, THREADS_WIDTH, text);
	sheet_text(sheet, text->data);
	str_clear(text);
	heap_names_tids(n, i, text);
	sheet_text(sheet, text->data);
	add_figures(sheet, &h->figures, h->flags);
	str_clear(text);
	if ((h->flags & HEAP_NESTED) && h->parent != NO_INDEX)
		heap_names_add(n, h->parent, text);
	sheet_text(sheet, text->data);
	sheet_text(sheet, state_of(h));
}

void heapview_sum(const struct snapshot *s, struct heap_figures *ret)
{
	*ret = (struct heap_figures){0};
	for (size_t i = 0; i < s->nr_heaps; i++)
		if (!(s->heaps[i].flags & HEAP_NESTED))
			heap_figures_add(ret, &s->heaps[i].figures);
}

unsigned int heapview_known(const struct snapshot *s)
{
	unsigned int flags = 0;

	for (size_t i = 0; i < s->nr_heaps; i++)
		flags |= s->heaps[i].flags & (HEAP_HAS_BLOCKS | HEAP_HAS_RESIDENCY);
	return flags;
}

static void add_total_row(const struct snapshot *s, const struct heap_figures *sum,
			  struct sheet *sheet)
{
	sheet_text(sheet, "all heaps");
	sheet_text(sheet, "");
	sheet_text(sheet, "");
	sheet_text(sheet, "");
	sheet_unknown(sheet);
	sheet_text(sheet, "");
	sheet_text(sheet, "");
	add_figures(sheet, sum, heapview_known(s));
	sheet_text(sheet, "");
	sheet_text(sheet, "");
	sheet->has_total_row = true;
}

static void total_if(struct sheet *sheet, bool known, const char *key, enum cell_kind kind,
		     uint64_t u)
{
	if (known)
		sheet_total(sheet, key, kind, u);
	else
		sheet_total_unknown(sheet, key);
}

static void add_totals(const struct snapshot *s, const struct heap_figures *sum,
		       struct sheet *sheet)
{
	unsigned int known = heapview_known(s);
	bool resident = known & HEAP_HAS_RESIDENCY, blocks = known & HEAP_HAS_BLOCKS;

	sheet_total(sheet, "heaps", CELL_COUNT, s->nr_heaps);
	sheet_total(sheet, "reserved_bytes", CELL_BYTES, sum->reserved_bytes);
	sheet_total(sheet, "committed_bytes", CELL_BYTES, sum->committed_bytes);
	total_if(sheet, resident, "resident_bytes", CELL_BYTES, sum->resident_bytes);
	total_if(sheet, resident, "swapped_bytes", CELL_BYTES, sum->swapped_bytes);
	total_if(sheet, blocks, "busy_bytes", CELL_BYTES, sum->busy_bytes);
	total_if(sheet, blocks, "busy_blocks", CELL_COUNT, sum->busy_blocks);
	total_if(sheet, blocks, "internal_bytes", CELL_BYTES, sum->internal_bytes);
	total_if(sheet, blocks, "internal_blocks", CELL_COUNT, sum->internal_blocks);
	total_if(sheet, blocks, "cached_bytes", CELL_BYTES, sum->cached_bytes);
	total_if(sheet, blocks, "cached_blocks", CELL_COUNT, sum->cached_blocks);
	total_if(sheet, blocks, "free_bytes", CELL_BYTES, sum->free_bytes);
	total_if(sheet, blocks, "free_blocks", CELL_COUNT, sum->free_blocks);
	total_if(sheet, blocks && resident, "free_resident_bytes", CELL_BYTES,
		 sum->free_resident_bytes);
	total_if(sheet, blocks, "overhead_bytes", CELL_BYTES, sum->overhead_bytes);
	total_if(sheet, blocks, "fragmentation_percent", CELL_PERMILLE, heap_fragmentation(sum));
}

static void note_fault(const struct heap_names *n, size_t i, struct sheet *sheet)
{
	const struct heap_row *h = &n->s->heaps[i];
	struct str text = STR_INIT;
	char where[24];

	if (!(h->flags & HEAP_SUSPECT))
		return;
	str_add(&text, "Heap ");
	heap_names_add(n, i, &text);
	str_add(&text, h->flags & HEAP_LOCKED ? " was being changed" : " does not fit together");
	if (h->fault) {
		const char *fault = strings_get(&n->s->strings, h->fault);

		str_add(&text, ": ");
		text_printable(&text, fault, strlen(fault));
	}
	snprintf(where, sizeof(where), "0x%" PRIx64, h->fault_addr);
	if (h->fault_addr && !strstr(text.data, where))
		str_printf(&text, ", first at %s", where);
	str_add_char(&text, '.');
	sheet_note(sheet, "%s", text.data);
	str_release(&text);
}

static void note_unknown(const struct snapshot *s, struct sheet *sheet)
{
	uint64_t bytes = 0;
	size_t nr = 0;

	for (size_t i = 0; i < s->nr_heaps; i++) {
		if (s->heaps[i].flags & HEAP_HAS_BLOCKS)
			continue;
		nr++;
		bytes += s->heaps[i].figures.committed_bytes;
	}
	if (nr == s->nr_heaps && nr)
		sheet_note(sheet, "The allocator is not known: only the size of its memory is.");
	else if (nr)
		sheet_note(sheet, "%zu heap%s of %s could not be walked: only the size is known.",
			   nr, nr == 1 ? "" : "s", format_bytes(bytes).text);
	if (!s->nr_heaps && *strings_get(&s->strings, s->allocator))
		sheet_note(sheet,
			   "There is no heap yet: %s is there, and nothing has been allocated.",
			   strings_get(&s->strings, s->allocator));
	else if (!s->nr_heaps)
		sheet_note(sheet, "No heap was found: nothing in this process allocates as a known "
				  "allocator does.");
}

void heapview_make(const struct snapshot *s, struct sheet *ret)
{
	struct str text = STR_INIT;
	struct heap_names names;
	struct heap_figures sum;
	struct balance balance;

	heap_names_init(&names, s);
	sheet_init(ret, HEAPS_SCHEMA, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < s->nr_heaps; i++)
		add_heap(&names, i, ret, &text);
	heapview_sum(s, &sum);
	if (s->nr_heaps)
		add_total_row(s, &sum, ret);
	add_totals(s, &sum, ret);
	if (balance_make(s, &balance))
		balance_show(&balance, ret);
	for (size_t i = 0; i < s->nr_heaps; i++)
		note_fault(&names, i, ret);
	note_unknown(s, ret);
	heap_names_release(&names);
	str_release(&text);
}

static bool one_instant(const struct snapshot *s)
{
	const char *method = strings_get(&s->strings, s->method);

	return *method && strcmp(method, "live") != 0;
}

static bool check_holds(const struct heap_check *c)
{
	return c->expected == c->found;
}

void heapview_judge(const struct snapshot *s, struct heap_verdicts *ret)
{
	bool *bad = mem_alloc_array(s->nr_heaps, sizeof(*bad)), books = false;

	*ret = (struct heap_verdicts){.nr = s->nr_checks, .consistent = one_instant(s)};
	for (size_t i = 0; i < s->nr_checks; i++) {
		const struct heap_check *c = &s->checks[i];

		if (check_holds(c))
			continue;
		ret->failed++;
		if (c->heap != NO_INDEX)
			bad[c->heap] = true;
		else
			books = true;
	}
	for (size_t i = 0; i < s->nr_heaps; i++) {
		const struct heap_row *h = &s->heaps[i];

		ret->locked_heaps += (h->flags & HEAP_LOCKED) != 0;
		if ((bad[i] || (h->flags & HEAP_SUSPECT)) && !(h->flags & HEAP_LOCKED))
			ret->damaged_heaps++;
	}
	ret->damage = ret->consistent && (ret->damaged_heaps || (books && !ret->locked_heaps));
	free(bad);
}

static const struct sheet_column check_columns[] = {
	{"holds", "HOLDS", CELL_BOOL, COLUMN_ALWAYS, 0},
	{"heap", "HEAP", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"check", "CHECK", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"expected", "BY THE BOOKS", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"found", "FOUND", CELL_COUNT, COLUMN_ALWAYS, 0},
};

static void add_check(const struct heap_names *n, const struct heap_check *c, struct sheet *sheet)
{
	struct str name = STR_INIT;

	if (c->heap == NO_INDEX)
		str_add(&name, "all");
	else
		heap_names_add(n, c->heap, &name);
	sheet_number(sheet, check_holds(c));
	sheet_text(sheet, name.data);
	sheet_text(sheet, strings_get(&n->s->strings, c->what));
	sheet_number(sheet, c->expected);
	sheet_number(sheet, c->found);
	str_release(&name);
}

static void say_verdicts(const struct heap_verdicts *v, struct sheet *sheet)
{
	if (!v->nr && !v->damaged_heaps)
		sheet_note(sheet, "There was nothing to check.");
	else if (!v->failed && !v->damaged_heaps)
		sheet_note(sheet, "Every check holds: no heap is damaged.");
	else if (!v->consistent)
		sheet_note(sheet, "The process went on while it was read, so what does not fit may "
				  "be that: look again with --method stop.");
	else if (v->damaged_heaps)
		sheet_note(sheet, "%zu heap%s damaged.", v->damaged_heaps,
			   v->damaged_heaps == 1 ? " is" : "s are");
	else if (v->damage)
		sheet_note(sheet, "The allocator's books do not fit its heaps.");
	if (v->locked_heaps)
		sheet_note(sheet,
			   "%zu heap%s changing at that instant (locked), so that checks may fail.",
			   v->locked_heaps, v->locked_heaps == 1 ? " was" : "s were");
}

void heapview_checks(const struct snapshot *s, struct sheet *ret)
{
	struct heap_names names;
	struct heap_verdicts v;

	heapview_judge(s, &v);
	heap_names_init(&names, s);
	sheet_init(ret, HEAPS_SCHEMA, check_columns,
		   sizeof(check_columns) / sizeof(check_columns[0]));
	for (int holds = 0; holds < 2; holds++)
		for (size_t i = 0; i < s->nr_checks; i++)
			if (check_holds(&s->checks[i]) == holds)
				add_check(&names, &s->checks[i], ret);
	sheet_total(ret, "checks", CELL_COUNT, v.nr);
	sheet_total(ret, "failed_checks", CELL_COUNT, v.failed);
	sheet_total(ret, "damaged_heaps", CELL_COUNT, v.damaged_heaps);
	sheet_total(ret, "locked_heaps", CELL_COUNT, v.locked_heaps);
	sheet_total(ret, "consistent", CELL_BOOL, v.consistent);
	for (size_t i = 0; i < s->nr_heaps; i++)
		note_fault(&names, i, ret);
	say_verdicts(&v, ret);
	heap_names_release(&names);
}
