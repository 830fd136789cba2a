/* Sheets of single blocks, places, stacks and texts; see blockview.h. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/units.h"
#include "model/block_filter.h"
#include "model/blockview.h"
#include "model/heaps.h"
#include "model/lines.h"
#include "model/sheet.h"

#define SCHEMA "seep-blocks-1"
#define COLUMNS(array) (array), sizeof(array) / sizeof((array)[0])

/* What every row about a block ends with; see block_cells(). */
#define BLOCK_COLUMNS                                                                              \
	{"address", "ADDRESS", CELL_ADDRESS, COLUMN_ALWAYS, 0},                                    \
		{"size", "SIZE", CELL_COUNT, COLUMN_ALWAYS, 0},                                    \
		{"usable", "USABLE", CELL_COUNT, COLUMN_MACHINE, 0},                               \
		{"heap", "HEAP", CELL_TEXT, COLUMN_IF_ANY, 2},                                     \
		{"state", "STATE", CELL_TEXT, COLUMN_ALWAYS, 3},                                   \
		{"what", "WHAT", CELL_TEXT, COLUMN_IF_ANY, 3},                                     \
		{"thread", "THREAD", CELL_TEXT, COLUMN_IF_ANY, 4},                                 \
		{"tid", "TID", CELL_COUNT, COLUMN_MACHINE, 0},                                     \
		{"age", "AGE", CELL_TEXT, COLUMN_IF_ANY, 1},                                       \
		{"age_ms", "AGE MS", CELL_COUNT, COLUMN_MACHINE, 0},                               \
		{"class", "CLASS", CELL_TEXT, COLUMN_IF_ANY, 0},                                   \
		{"site", "MADE BY", CELL_TEXT, COLUMN_IF_ANY, 0},                                  \
	{                                                                                          \
		"content", "CONTENT", CELL_TEXT, COLUMN_IF_ANY, 0                                  \
	}

static const struct sheet_column list_columns[] = {BLOCK_COLUMNS};

static const struct sheet_column hit_columns[] = {
	{"hit", "FOUND AT", CELL_ADDRESS, COLUMN_ALWAYS, 0},
	{"offset", "OFFSET", CELL_COUNT, COLUMN_ALWAYS, 0},
	BLOCK_COLUMNS,
};

static const struct sheet_column around_columns[] = {
	{"relation", "", CELL_TEXT, COLUMN_ALWAYS, 0},
	BLOCK_COLUMNS,
};

static const struct sheet_column stack_columns[] = {
	{"address", "ADDRESS", CELL_ADDRESS, COLUMN_MACHINE, 0},
	{"function", "FUNCTION", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"place", "WHERE", CELL_TEXT, COLUMN_IF_ANY, 0},
	{"file", "FILE", CELL_TEXT, COLUMN_MACHINE, 0},
	{"line", "LINE", CELL_COUNT, COLUMN_MACHINE, 0},
	{"module", "MODULE", CELL_TEXT, COLUMN_IF_ANY, 1},
	{"module_offset", "OFFSET", CELL_ADDRESS, COLUMN_MACHINE, 0},
};

static const struct sheet_column string_columns[] = {
	{"count", "COUNT", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"bytes", "TOTAL", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"encoding", "ENCODING", CELL_TEXT, COLUMN_ALWAYS, 1},
	{"first", "FIRST AT", CELL_ADDRESS, COLUMN_ALWAYS, 2},
	{"text", "TEXT", CELL_TEXT, COLUMN_ALWAYS, 0},
};

static void known_text(struct sheet *s, const char *text)
{
	if (text && *text)
		sheet_text(s, text);
	else
		sheet_unknown(s);
}

static void age_cells(struct sheet *s, uint64_t age_ns)
{
	if (age_ns == AGE_UNKNOWN) {
		sheet_unknown(s);
		sheet_unknown(s);
		return;
	}
	sheet_text(s, format_duration(age_ns).text);
	sheet_number(s, age_ns / 1000000);
}

/* A number that nobody wants to read with thousands separators. */
static void thread_cells(struct sheet *s, int32_t tid)
{
	char text[16];

	if (tid <= 0) {
		sheet_unknown(s);
		sheet_unknown(s);
		return;
	}
	snprintf(text, sizeof(text), "%d", tid);
	sheet_text(s, text);
	sheet_number(s, (uint64_t)tid);
}

static void block_cells(struct sheet *s, const struct blockview_block *b)
{
	const struct block_facts *f = b->facts;

	sheet_number(s, f->addr);
	sheet_number(s, f->size);
	if (f->usable)
		sheet_number(s, f->usable);
	else
		sheet_unknown(s);
	known_text(s, b->heap);
	sheet_text(s, block_state_name(f->state));
	known_text(s, f->what);
	thread_cells(s, f->tid);
	age_cells(s, f->age_ns);
	known_text(s, b->class_name);
	known_text(s, b->site);
	known_text(s, b->content);
}

static void no_block_cells(struct sheet *s, const struct blockview_block *b)
{
	size_t columns = sizeof(list_columns) / sizeof(list_columns[0]);

	for (size_t i = 0; i < columns; i++) {
		if (i == 3)
			known_text(s, b->heap);
		else if (i == 4)
			sheet_text(s, "no block");
		else
			sheet_unknown(s);
	}
}

void blockview_list_init(struct sheet *s)
{
	sheet_init(s, SCHEMA, COLUMNS(list_columns));
}

void blockview_list_add(struct sheet *s, const struct blockview_block *b)
{
	block_cells(s, b);
}

void blockview_hits_init(struct sheet *s)
{
	sheet_init(s, SCHEMA, COLUMNS(hit_columns));
}

void blockview_hits_add(struct sheet *s, uint64_t hit, const struct blockview_block *b)
{
	sheet_number(s, hit);
	if (!b->facts) {
		sheet_unknown(s);
		no_block_cells(s, b);
		return;
	}
	/* What lies before a block's address is its header. */
	if (hit < b->facts->addr)
		sheet_unknown(s);
	else
		sheet_number(s, hit - b->facts->addr);
	block_cells(s, b);
}

void blockview_around_init(struct sheet *s)
{
	sheet_init(s, SCHEMA, COLUMNS(around_columns));
}

void blockview_around_add(struct sheet *s, const char *relation, const struct blockview_block *b)
{
	sheet_text(s, relation);
	block_cells(s, b);
}

static void frame_row(struct sheet *part, const struct line *line)
{
	char *place = NULL, *offset = NULL;

	if (*line->file)
		place = mem_printf("%s:%u", text_base_name(line->file), line->line);
	if (!*line->function)
		offset = mem_printf("%s+0x%llx", text_base_name(line->module),
				    (unsigned long long)line->module_offset);
	sheet_number(part, line->address);
	sheet_text(part, offset ? offset : line->function);
	known_text(part, place);
	known_text(part, line->file);
	if (line->line)
		sheet_number(part, line->line);
	else
		sheet_unknown(part);
	known_text(part, text_base_name(line->module));
	sheet_number(part, line->module_offset);
	free(place);
	free(offset);
}

void blockview_stack(struct sheet *s, const char *key, const char *heading,
		     const struct lines *lines)
{
	struct sheet *part = sheet_part(s, key, COLUMNS(stack_columns));

	sheet_set_heading(part, "%s", heading);
	for (size_t i = lines->inner; i < lines->outer; i++)
		frame_row(part, &lines->items[i]);
}

void blockview_strings_init(struct sheet *s)
{
	sheet_init(s, SCHEMA, COLUMNS(string_columns));
}

void blockview_strings_add(struct sheet *s, uint64_t count, uint64_t bytes, const char *encoding,
			   uint64_t first, const char *text)
{
	sheet_number(s, count);
	sheet_number(s, bytes);
	sheet_text(s, encoding);
	sheet_number(s, first);
	sheet_text(s, text);
}
