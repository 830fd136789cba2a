/* Sheets about sizes, and the sentences below them; see blockview.h. Single blocks: blockrows.c. */
#include "model/blockview.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "model/sheet.h"
#include "model/strings.h"

#include <string.h>

#define SCHEMA "seep-blocks-1"

static const struct sheet_column stat_columns[] = {
	{"size", "SIZE", CELL_COUNT, COLUMN_IF_ANY, 0},
	{"heap", "HEAP", CELL_TEXT, COLUMN_IF_ANY, 0},
	{"blocks", "BLOCKS", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"bytes", "TOTAL", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"share_percent", "OF BUSY", CELL_PERMILLE, COLUMN_ALWAYS, 0},
	{"class", "CLASS", CELL_TEXT, COLUMN_IF_ANY, 0},
};

static const struct sheet_column growth_columns[] = {
	{"size", "SIZE", CELL_COUNT, COLUMN_IF_ANY, 0},
	{"heap", "HEAP", CELL_TEXT, COLUMN_IF_ANY, 0},
	{"blocks_before", "BLOCKS BEFORE", CELL_COUNT, COLUMN_MACHINE, 0},
	{"blocks", "BLOCKS", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"blocks_change", "CHANGE", CELL_CHANGE, COLUMN_ALWAYS, 0},
	{"bytes_before", "TOTAL BEFORE", CELL_BYTES, COLUMN_MACHINE, 0},
	{"bytes", "TOTAL", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"bytes_change", "CHANGE", CELL_CHANGE_BYTES, COLUMN_ALWAYS, 0},
	{"class", "CLASS", CELL_TEXT, COLUMN_IF_ANY, 0},
};

static const struct sheet_column share_columns[] = {
	{"blocks", "BLOCKS", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"bytes", "TOTAL", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"share_percent", "SHARE", CELL_PERMILLE, COLUMN_ALWAYS, 0},
	{"name", "WHAT", CELL_TEXT, COLUMN_ALWAYS, 0},
};

#define COLUMNS(array) (array), sizeof(array) / sizeof((array)[0])

uint64_t permille_of(uint64_t a, uint64_t b)
{
	if (b == 0)
		return 0;
	return (uint64_t)((unsigned __int128)a * 1000 / b);
}

/* "blocks of 3,072 bytes", "blocks of class Foo": for sentences about an entry. */
static void blockview_subject(const struct strings *texts, enum blockview_by by, uint64_t size,
			      uint32_t text, struct str *out)
{
	const char *name = strings_get(texts, text);

	if (by == BLOCKVIEW_BY_CLASS) {
		str_printf(out, *name ? "blocks of class " : "blocks without a class");
		text_printable(out, name, strlen(name));
		return;
	}
	str_printf(out, "blocks of %s %s", format_count(size).text, size == 1 ? "byte" : "bytes");
	if (by == BLOCKVIEW_BY_HEAP && *name) {
		str_printf(out, " in heap ");
		text_printable(out, name, strlen(name));
	}
}

static void key_cells(struct sheet *s, const struct blockview_stat *o, uint64_t size, uint32_t text)
{
	if (o->by == BLOCKVIEW_BY_CLASS)
		sheet_unknown(s);
	else
		sheet_number(s, size);
	if (o->by == BLOCKVIEW_BY_HEAP)
		sheet_text(s, strings_get(o->texts, text));
	else
		sheet_unknown(s);
}

static void class_cell(struct sheet *s, const struct blockview_stat *o, uint32_t text)
{
	const char *name = strings_get(o->texts, text);

	if (o->by == BLOCKVIEW_BY_CLASS && *name)
		sheet_text(s, name);
	else
		sheet_unknown(s);
}

static void common_totals(struct sheet *s, const struct blockview_stat *o)
{
	static const char *const names[] = {"size", "heap", "class"};

	sheet_total_text(s, "form", "stat");
	sheet_total_text(s, "by", names[o->by]);
	sheet_total(s, "busy_blocks", CELL_COUNT, o->busy_blocks);
	sheet_total(s, "busy_bytes", CELL_BYTES, o->busy_bytes);
}

static void note_most(struct sheet *s, const struct histogram_entry *most,
		      const struct blockview_stat *o)
{
	struct str subject = STR_INIT;
	uint64_t permille = permille_of(most->bytes, o->busy_bytes);

	blockview_subject(o->texts, o->by, most->size, most->heap, &subject);
	sheet_note(s, "%s make most of it: %s %s, %s, %llu.%llu %% of what is busy", subject.data,
		   format_count(most->count).text, most->count == 1 ? "block" : "blocks",
		   format_bytes(most->bytes).text, (unsigned long long)permille / 10,
		   (unsigned long long)permille % 10);
	str_release(&subject);
}

void blockview_stat(struct sheet *s, const struct histogram *h, const struct blockview_stat *o)
{
	struct histogram_entry *rows = mem_alloc_array(h->nr, sizeof(*rows)), most;
	size_t nr = histogram_top(h, o->order, rows, h->nr);

	sheet_init(s, SCHEMA, COLUMNS(stat_columns));
	for (size_t i = 0; i < nr && (o->limit == 0 || i < o->limit); i++) {
		key_cells(s, o, rows[i].size, rows[i].heap);
		sheet_number(s, rows[i].count);
		sheet_number(s, rows[i].bytes);
		sheet_number(s, permille_of(rows[i].bytes, o->busy_bytes));
		class_cell(s, o, rows[i].heap);
	}
	s->rows_left_out = o->limit && nr > o->limit ? nr - o->limit : 0;
	common_totals(s, o);
	sheet_total(s, "matching_blocks", CELL_COUNT, h->count);
	sheet_total(s, "matching_bytes", CELL_BYTES, h->bytes);
	sheet_total(s, "groups", CELL_COUNT, h->nr);
	if (histogram_top(h, HISTOGRAM_BY_BYTES, &most, 1) == 1)
		note_most(s, &most, o);
	free(rows);
}

static void note_growth(struct sheet *s, const struct histogram_changes *changes,
			const struct blockview_stat *o)
{
	const struct histogram_change *most = changes->items;
	struct str subject = STR_INIT;

	if (changes->nr == 0 || histogram_change_bytes(most) <= 0) {
		sheet_note(s, "nothing grew; %s went", format_bytes(changes->shrunk_bytes).text);
		return;
	}
	blockview_subject(o->texts, o->by, most->size, most->heap, &subject);
	sheet_note(s, "%s grew most: %s blocks, %s of the %s by which all that grew did",
		   subject.data, format_count_delta(histogram_change_count(most)).text,
		   format_bytes_delta(histogram_change_bytes(most)).text,
		   format_bytes(changes->grown_bytes).text);
	str_release(&subject);
}

void blockview_growth(struct sheet *s, const struct histogram_changes *changes,
		      const struct blockview_stat *o)
{
	uint64_t changed = 0;

	sheet_init(s, SCHEMA, COLUMNS(growth_columns));
	for (size_t i = 0; i < changes->nr; i++) {
		const struct histogram_change *c = &changes->items[i];

		if (c->count_before == c->count_after && c->bytes_before == c->bytes_after)
			continue;
		changed++;
		if (o->limit && changed > o->limit)
			continue;
		key_cells(s, o, c->size, c->heap);
		sheet_number(s, c->count_before);
		sheet_number(s, c->count_after);
		sheet_change(s, histogram_change_count(c));
		sheet_number(s, c->bytes_before);
		sheet_number(s, c->bytes_after);
		sheet_change(s, histogram_change_bytes(c));
		class_cell(s, o, c->heap);
	}
	s->rows_left_out = o->limit && changed > o->limit ? changed - o->limit : 0;
	common_totals(s, o);
	sheet_total(s, "grown_bytes", CELL_BYTES, changes->grown_bytes);
	sheet_total(s, "shrunk_bytes", CELL_BYTES, changes->shrunk_bytes);
	note_growth(s, changes, o);
}

struct sheet *blockview_share_part(struct sheet *s, const char *key, const char *heading)
{
	struct sheet *part = sheet_part(s, key, COLUMNS(share_columns));

	sheet_set_heading(part, "%s", heading);
	return part;
}

void blockview_share_add(struct sheet *part, const char *name, uint64_t blocks, uint64_t bytes,
			 uint64_t of_bytes)
{
	sheet_number(part, blocks);
	sheet_number(part, bytes);
	sheet_number(part, permille_of(bytes, of_bytes));
	sheet_text(part, name);
}
