/* Changes of heaps as a table and as one sentence; see heapdiff.h. */
#include <ctype.h>
#include <stdlib.h>

#include "base/str.h"
#include "base/units.h"
#include "model/heapdiff.h"
#include "model/heapnames.h"
#include "model/heaps.h"
#include "model/heapview.h"
#include "model/sheet.h"
#include "model/snapshot.h"

enum {
	SIZES_SAID = 3, /* sizes that the sentence names at most */
	THREADS_WIDTH = 24,
};

static const struct sheet_column columns[] = {
	{"heap", "HEAP", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"allocator", "ALLOCATOR", CELL_TEXT, COLUMN_MACHINE, 0},
	{"name", "NAME", CELL_TEXT, COLUMN_MACHINE, 0},
	{"address", "ADDRESS", CELL_ADDRESS, COLUMN_MACHINE, 0},
	{"threads", "THREADS", CELL_TEXT, COLUMN_IF_ANY, 2},
	{"busy_bytes", "IN USE", CELL_BYTES, COLUMN_ALWAYS, 4},
	{"delta_busy_bytes", "+ BYTES", CELL_CHANGE_BYTES, COLUMN_ALWAYS, 0},
	{"busy_bytes_per_s", "A SECOND", CELL_RATE, COLUMN_IF_ANY, 3},
	{"busy_blocks", "BLOCKS", CELL_COUNT, COLUMN_ALWAYS, 6},
	{"delta_busy_blocks", "+ BLOCKS", CELL_CHANGE, COLUMN_ALWAYS, 1},
	{"delta_free_bytes", "+ FREE", CELL_CHANGE_BYTES, COLUMN_IF_ANY, 7},
	{"delta_cached_bytes", "+ CACHED", CELL_CHANGE_BYTES, COLUMN_IF_ANY, 9},
	{"delta_committed_bytes", "+ COMMITTED", CELL_CHANGE_BYTES, COLUMN_IF_ANY, 8},
	{"delta_resident_bytes", "+ RESIDENT", CELL_CHANGE_BYTES, COLUMN_IF_ANY, 5},
};

static const struct sheet_column size_columns[] = {
	{"heap", "HEAP", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"size", "BLOCK SIZE", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"blocks", "BLOCKS", CELL_COUNT, COLUMN_ALWAYS, 2},
	{"delta_blocks", "+ BLOCKS", CELL_CHANGE, COLUMN_ALWAYS, 0},
	{"bytes", "BYTES", CELL_BYTES, COLUMN_ALWAYS, 3},
	{"delta_bytes", "+ BYTES", CELL_CHANGE_BYTES, COLUMN_ALWAYS, 0},
};

/* A heap of either snapshot. */
struct side {
	const struct snapshot *s;
	uint32_t heap;
};

static struct side newest(const struct heapdiff *d, size_t row)
{
	const struct heap_change *c = &d->rows[row];

	if (c->after != NO_INDEX)
		return (struct side){d->after, c->after};
	return (struct side){d->before, c->before};
}

static struct heap_figures figures_of(const struct snapshot *s, uint32_t heap)
{
	return heap == NO_INDEX ? (struct heap_figures){0} : s->heaps[heap].figures;
}

static int64_t per_second(const struct heapdiff *d, int64_t bytes)
{
	const double most = 9e18; /* hostile figures, or looks a nanosecond apart */
	double rate = d->elapsed_ns ? (double)bytes * 1e9 / (double)d->elapsed_ns : 0;

	return (int64_t)(rate > most ? most : rate < -most ? -most : rate);
}

static void change(struct sheet *sheet, bool known, uint64_t before, uint64_t after)
{
	if (known)
		sheet_change(sheet, (int64_t)(after - before));
	else
		sheet_unknown(sheet);
}

static void number(struct sheet *sheet, bool known, uint64_t u)
{
	if (known)
		sheet_number(sheet, u);
	else
		sheet_unknown(sheet);
}

static void add_figures(const struct heapdiff *d, struct sheet *sheet, const struct heap_figures *b,
			const struct heap_figures *a, unsigned int flags)
{
	bool blocks = flags & HEAP_HAS_BLOCKS;

	number(sheet, blocks, a->busy_bytes);
	change(sheet, blocks, b->busy_bytes, a->busy_bytes);
	if (blocks && d->elapsed_ns)
		sheet_change(sheet, per_second(d, (int64_t)(a->busy_bytes - b->busy_bytes)));
	else
		sheet_unknown(sheet);
	number(sheet, blocks, a->busy_blocks);
	change(sheet, blocks, b->busy_blocks, a->busy_blocks);
	change(sheet, blocks, b->free_bytes, a->free_bytes);
	change(sheet, blocks, b->cached_bytes, a->cached_bytes);
	change(sheet, true, b->committed_bytes, a->committed_bytes);
	change(sheet, flags & HEAP_HAS_RESIDENCY, b->resident_bytes, a->resident_bytes);
}

static void add_row(const struct heapdiff *d, size_t row, const struct heap_names *names,
		    struct sheet *sheet, struct str *text)
{
	const struct heap_change *c = &d->rows[row];
	struct heap_figures before = figures_of(d->before, c->before);
	struct heap_figures after = figures_of(d->after, c->after);
	struct side side = newest(d, row);
	const struct heap_row *h = &side.s->heaps[side.heap];

	str_clear(text);
	heap_names_add(names, side.heap, text);
	if (c->before == NO_INDEX)
		str_add(text, " (new)");
	if (c->after == NO_INDEX)
		str_add(text, " (gone)");
	sheet_text(sheet, text->data);
	sheet_text(sheet, strings_get(&side.s->strings, h->allocator));
	sheet_text(sheet, strings_get(&side.s->strings, h->name));
	number(sheet, h->addr, h->addr);
	str_clear(text);
	heap_names_threads(names, side.heap, THREADS_WIDTH, text);
	sheet_text(sheet, text->data);
	add_figures(d, sheet, &before, &after, h->flags);
}

static void add_rows(const struct heapdiff *d, struct sheet *sheet)
{
	struct heap_names before, after;
	struct str text = STR_INIT;

	heap_names_init(&before, d->before);
	heap_names_init(&after, d->after);
	for (size_t r = 0; r < d->nr; r++)
		add_row(d, r, d->rows[r].after == NO_INDEX ? &before : &after, sheet, &text);
	heap_names_release(&before);
	heap_names_release(&after);
	str_release(&text);
}

static void add_sums(const struct heapdiff *d, struct sheet *sheet)
{
	struct heap_figures before, after;

	heapview_sum(d->before, &before);
	heapview_sum(d->after, &after);
	sheet_text(sheet, "all heaps");
	sheet_text(sheet, "");
	sheet_text(sheet, "");
	sheet_unknown(sheet);
	sheet_text(sheet, "");
	add_figures(d, sheet, &before, &after, heapview_known(d->after));
	sheet->has_total_row = true;
	sheet_total(sheet, "elapsed_ns", CELL_COUNT, d->elapsed_ns);
	sheet_total(sheet, "busy_bytes", CELL_BYTES, after.busy_bytes);
	sheet_total(sheet, "busy_blocks", CELL_COUNT, after.busy_blocks);
	sheet_total_change(sheet, "delta_busy_bytes", CELL_CHANGE_BYTES,
			   (int64_t)(after.busy_bytes - before.busy_bytes));
	sheet_total_change(sheet, "delta_busy_blocks", CELL_CHANGE,
			   (int64_t)(after.busy_blocks - before.busy_blocks));
	sheet_total_change(sheet, "delta_committed_bytes", CELL_CHANGE_BYTES,
			   (int64_t)(after.committed_bytes - before.committed_bytes));
	sheet_total_change(sheet, "delta_resident_bytes", CELL_CHANGE_BYTES,
			   (int64_t)(after.resident_bytes - before.resident_bytes));
}

static void add_sizes(const struct heapdiff *d, size_t limit, struct sheet *sheet)
{
	struct sheet *part = sheet_part(sheet, "sizes", size_columns,
					sizeof(size_columns) / sizeof(size_columns[0]));
	struct str text = STR_INIT;
	struct heap_names names;

	heap_names_init(&names, d->after);
	for (size_t i = 0; i < d->sizes.nr && limit; i++) {
		const struct histogram_change *c = &d->sizes.items[i];

		if (c->heap >= d->nr || d->rows[c->heap].after == NO_INDEX ||
		    histogram_change_bytes(c) <= 0)
			continue;
		str_clear(&text);
		heap_names_add(&names, d->rows[c->heap].after, &text);
		sheet_text(part, text.data);
		sheet_number(part, c->size);
		sheet_number(part, c->count_after);
		sheet_change(part, histogram_change_count(c));
		sheet_number(part, c->bytes_after);
		sheet_change(part, histogram_change_bytes(c));
		limit--;
	}
	heap_names_release(&names);
	str_release(&text);
}

/* The sizes that make up most of a heap's growth. */
static void say_sizes(const struct heapdiff *d, size_t row, struct str *out)
{
	const struct histogram_change *said[SIZES_SAID];
	uint64_t grown = 0, sum = 0;
	size_t nr = 0;

	for (size_t i = 0; i < d->sizes.nr; i++)
		if (d->sizes.items[i].heap == row && histogram_change_bytes(&d->sizes.items[i]) > 0)
			grown += (uint64_t)histogram_change_bytes(&d->sizes.items[i]);
	for (size_t i = 0; i < d->sizes.nr; i++) {
		const struct histogram_change *c = &d->sizes.items[i];

		if (c->heap != row || histogram_change_bytes(c) <= 0)
			continue;
		if (nr == SIZES_SAID || sum >= grown / 10 * 9)
			break;
		sum += (uint64_t)histogram_change_bytes(c);
		said[nr++] = c;
	}
	for (size_t i = 0; i < nr; i++)
		str_printf(out, "%s%s",
			   i == 0	 ? ", by blocks of "
			   : i + 1 == nr ? " and "
					 : ", ",
			   format_count(said[i]->size).text);
	if (nr)
		str_printf(out, " bytes%s", sum < grown / 2 ? " and many other sizes" : "");
}

static void say_growth(const struct heapdiff *d, size_t row, struct str *out)
{
	int64_t growth = heapdiff_growth(d, row);
	struct side side = newest(d, row);
	struct heap_names names;
	size_t begin = out->len;

	heap_names_init(&names, side.s);
	heap_names_subject(&names, side.heap, out);
	heap_names_release(&names);
	out->data[begin] = (char)toupper((unsigned char)out->data[begin]);
	if (d->elapsed_ns)
		str_printf(out, " grows at %s", format_rate((double)per_second(d, growth)).text);
	else
		str_printf(out, " grew by %s", format_bytes((uint64_t)growth).text);
	if (d->has_sizes)
		say_sizes(d, row, out);
	if (d->elapsed_ns)
		str_printf(out, " (%s in %s)", format_bytes_delta(growth).text,
			   format_duration(d->elapsed_ns).text);
	str_add_char(out, '.');
}

/* Another heap that grows at least a quarter as much as the one that was named. */
static size_t find_second(const struct heapdiff *d, size_t lead)
{
	int64_t most = heapdiff_growth(d, lead) / 4;
	size_t second = SIZE_MAX;
	uint32_t around = newest(d, lead).s->heaps[newest(d, lead).heap].parent;

	for (size_t r = 0; r < d->nr; r++) {
		struct side side = newest(d, r);
		int64_t growth = heapdiff_growth(d, r);

		if (r == lead || side.s->heaps[side.heap].flags & HEAP_NESTED || growth <= most ||
		    (around != NO_INDEX && d->rows[r].after == around))
			continue;
		most = growth;
		second = r;
	}
	return second;
}

static void say_second(const struct heapdiff *d, size_t lead, struct str *out)
{
	size_t second = find_second(d, lead);
	struct heap_names names;
	struct side side;
	int64_t growth;

	if (second == SIZE_MAX)
		return;
	side = newest(d, second);
	growth = heapdiff_growth(d, second);
	heap_names_init(&names, side.s);
	str_add(out, " Then comes ");
	heap_names_subject(&names, side.heap, out);
	heap_names_release(&names);
	if (d->elapsed_ns)
		str_printf(out, " with %s.", format_rate((double)per_second(d, growth)).text);
	else
		str_printf(out, " with %s.", format_bytes((uint64_t)growth).text);
}

void heapdiff_sentence(const struct heapdiff *d, struct str *out)
{
	struct heap_figures before, after;
	size_t lead = heapdiff_lead(d);
	int64_t resident, busy;

	heapview_sum(d->before, &before);
	heapview_sum(d->after, &after);
	busy = (int64_t)(after.busy_bytes - before.busy_bytes);
	resident = (int64_t)(after.resident_bytes - before.resident_bytes);
	if (lead != SIZE_MAX) {
		say_growth(d, lead, out);
		say_second(d, lead, out);
		return;
	}
	str_add(out, "No heap grows");
	if (d->elapsed_ns)
		str_printf(out, " (in use: %s in %s)", format_bytes_delta(busy).text,
			   format_duration(d->elapsed_ns).text);
	if (resident > 1 << 20)
		str_printf(out,
			   ", but %s more of them became resident: free memory between blocks, or "
			   "blocks touched for the first time",
			   format_bytes((uint64_t)resident).text);
	str_add_char(out, '.');
}

void heapdiff_show(const struct heapdiff *d, size_t sizes, struct sheet *ret)
{
	struct str text = STR_INIT;
	size_t lead = heapdiff_lead(d);

	sheet_init(ret, HEAPS_SCHEMA, columns, sizeof(columns) / sizeof(columns[0]));
	add_rows(d, ret);
	add_sums(d, ret);
	if (d->has_sizes && sizes && lead != SIZE_MAX)
		add_sizes(d, sizes, ret);
	if (lead != SIZE_MAX) {
		struct side side = newest(d, lead);
		struct heap_names names;

		heap_names_init(&names, side.s);
		heap_names_add(&names, side.heap, &text);
		heap_names_release(&names);
		sheet_total_text(ret, "growing_heap", text.data);
		sheet_total_change(ret, "growing_heap_bytes", CELL_CHANGE_BYTES,
				   heapdiff_growth(d, lead));
		str_clear(&text);
	}
	heapdiff_sentence(d, &text);
	sheet_note(ret, "%s", text.data);
	str_release(&text);
}
