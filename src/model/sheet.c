/* A table of typed cells; see sheet.h. */
#include "model/sheet.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define PIECE_BYTES ((size_t)16 << 10)
#define RECENT_TEXTS 64

struct piece {
	struct piece *older;
	size_t used, cap;
	char bytes[];
};

/*
 * Texts one behind the other, in pieces that never move. Columns say the same few things again and
 * again: what was kept a moment ago is not kept once more.
 */
struct sheet_texts {
	struct piece *last;
	const char *recent[RECENT_TEXTS]; /* by a hash; NULL none */
};

static char *text_room(struct sheet_texts *texts, size_t bytes)
{
	struct piece *piece = texts->last;

	if (!piece || piece->cap - piece->used < bytes) {
		size_t cap = bytes > PIECE_BYTES ? bytes : PIECE_BYTES;

		piece = mem_realloc(NULL, sizeof(*piece) + cap);
		*piece = (struct piece){.older = texts->last, .cap = cap};
		texts->last = piece;
	}
	piece->used += bytes;
	return piece->bytes + piece->used - bytes;
}

/* Length, beginning and end tell most texts of one table apart. */
static size_t hash_text(const char *text, size_t len)
{
	return len ? (len * 7 + (unsigned char)text[len / 2] * 5 + (unsigned char)text[len - 1]) %
			       RECENT_TEXTS
		   : 0;
}

static const char *keep_text(struct sheet *s, const char *text)
{
	size_t len = strlen(text);
	const char **recent;

	if (!s->texts)
		s->texts = mem_alloc(sizeof(*s->texts));
	recent = &s->texts->recent[hash_text(text, len)];
	if (!*recent || strcmp(*recent, text) != 0)
		*recent = memcpy(text_room(s->texts, len + 1), text, len + 1);
	return *recent;
}

static void release_texts(struct sheet_texts *texts)
{
	struct piece *piece = texts ? texts->last : NULL;

	while (piece) {
		struct piece *older = piece->older;

		free(piece);
		piece = older;
	}
	free(texts);
}

void sheet_init(struct sheet *s, const char *schema, const struct sheet_column *columns,
		size_t nr_columns)
{
	*s = (struct sheet){.schema = schema, .columns = columns, .nr_columns = nr_columns};
}

void sheet_release(struct sheet *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->nr_notes; i++)
		free(s->notes[i]);
	/* Parts have no parts: one level. */
	for (size_t i = 0; i < s->nr_parts; i++)
		sheet_release(&s->parts[i]);
	release_texts(s->texts);
	free(s->cells);
	free(s->totals);
	free(s->notes);
	free(s->parts);
	free(s->heading);
	*s = (struct sheet){.schema = NULL};
}

void sheet_reserve(struct sheet *s, size_t rows)
{
	struct cell *cells;

	if (rows <= s->cap_cells / s->nr_columns)
		return;
	cells = mem_alloc_array(rows, s->nr_columns * sizeof(*cells));
	if (s->nr_cells)
		memcpy(cells, s->cells, s->nr_cells * sizeof(*cells));
	free(s->cells);
	s->cells = cells;
	s->cap_cells = rows * s->nr_columns;
}

size_t sheet_rows(const struct sheet *s)
{
	return s->nr_columns ? s->nr_cells / s->nr_columns : 0;
}

const struct cell *sheet_cell(const struct sheet *s, size_t row, size_t column)
{
	assert(column < s->nr_columns && row < sheet_rows(s));
	return &s->cells[row * s->nr_columns + column];
}

static enum cell_kind next_kind(const struct sheet *s)
{
	return s->columns[s->next_column].kind;
}

static bool is_signed(enum cell_kind kind)
{
	return kind == CELL_CHANGE || kind == CELL_CHANGE_BYTES || kind == CELL_SIGNED_BYTES ||
	       kind == CELL_RATE;
}

static void push(struct sheet *s, struct cell cell)
{
	ARRAY_PUSH(s->cells, s->nr_cells, s->cap_cells, cell);
	if (++s->next_column == s->nr_columns)
		s->next_column = 0;
}

void sheet_branch(struct sheet *s, const char *text, unsigned int depth)
{
	assert(next_kind(s) == CELL_TEXT);
	push(s, (struct cell){.text = keep_text(s, text), .depth = depth, .known = true});
}

void sheet_text(struct sheet *s, const char *text)
{
	sheet_branch(s, text, 0);
}

void sheet_number(struct sheet *s, uint64_t u)
{
	assert(next_kind(s) != CELL_TEXT && !is_signed(next_kind(s)));
	push(s, (struct cell){.known = true, .u = u});
}

void sheet_change(struct sheet *s, int64_t i)
{
	assert(is_signed(next_kind(s)));
	push(s, (struct cell){.known = true, .i = i});
}

void sheet_unknown(struct sheet *s)
{
	push(s, (struct cell){.known = false});
}

static void add_total(struct sheet *s, const char *key, enum cell_kind kind, struct cell value)
{
	ARRAY_PUSH(s->totals, s->nr_totals, s->cap_totals,
		   ((struct sheet_total){.key = key, .kind = kind, .value = value}));
}

void sheet_total(struct sheet *s, const char *key, enum cell_kind kind, uint64_t u)
{
	assert(kind != CELL_TEXT && !is_signed(kind));
	add_total(s, key, kind, (struct cell){.known = true, .u = u});
}

void sheet_total_change(struct sheet *s, const char *key, enum cell_kind kind, int64_t i)
{
	assert(is_signed(kind));
	add_total(s, key, kind, (struct cell){.known = true, .i = i});
}

void sheet_total_text(struct sheet *s, const char *key, const char *text)
{
	add_total(s, key, CELL_TEXT, (struct cell){.known = true, .text = keep_text(s, text)});
}

void sheet_total_unknown(struct sheet *s, const char *key)
{
	add_total(s, key, CELL_TEXT, (struct cell){.known = false});
}

static char *print(const char *format, va_list args)
{
	char *text;

	if (vasprintf(&text, format, args) < 0)
		return mem_strdup("");
	return text;
}

void sheet_set_heading(struct sheet *s, const char *format, ...)
{
	va_list args;

	free(s->heading);
	va_start(args, format);
	s->heading = print(format, args);
	va_end(args);
}

static char *sentence(char *text)
{
	size_t len = strlen(text);
	char *whole;

	if (*text >= 'a' && *text <= 'z')
		*text = (char)(*text - 'a' + 'A');
	if (len == 0 || strchr(".:!?", text[len - 1]))
		return text;
	whole = mem_printf("%s.", text);
	free(text);
	return whole;
}

void sheet_note(struct sheet *s, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	ARRAY_PUSH(s->notes, s->nr_notes, s->cap_notes, sentence(print(format, args)));
	va_end(args);
}

struct sheet *sheet_part(struct sheet *s, const char *key, const struct sheet_column *columns,
			 size_t nr_columns)
{
	struct sheet *part;

	ARRAY_GROW(s->parts, s->nr_parts, s->cap_parts);
	part = &s->parts[s->nr_parts++];
	sheet_init(part, s->schema, columns, nr_columns);
	part->key = key;
	return part;
}

/* What qsort_r() needs to compare two rows by their numbers. */
struct order {
	const struct sheet *sheet;
	size_t column;
};

static int compare_cells(enum cell_kind kind, const struct cell *a, const struct cell *b)
{
	if (!a->known || !b->known)
		return (int)b->known - (int)a->known;
	if (kind == CELL_TEXT)
		return strcmp(a->text, b->text);
	if (is_signed(kind))
		return (a->i < b->i) - (a->i > b->i);
	/* Addresses are read upwards, quantities from the largest. */
	if (kind == CELL_ADDRESS)
		return (a->u > b->u) - (a->u < b->u);
	return (a->u < b->u) - (a->u > b->u);
}

static int compare_rows(const void *a, const void *b, void *context)
{
	const struct order *o = context;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	int c = compare_cells(o->sheet->columns[o->column].kind, sheet_cell(o->sheet, x, o->column),
			      sheet_cell(o->sheet, y, o->column));

	return c ? c : (x > y) - (x < y);
}

void sheet_sort(struct sheet *s, size_t column)
{
	size_t rows = sheet_rows(s), width = s->nr_columns;
	size_t sorted = s->has_total_row && rows ? rows - 1 : rows;
	struct order order = {.sheet = s, .column = column};
	struct cell *cells;
	size_t *index;

	if (sorted < 2)
		return;
	index = mem_alloc_array(sorted, sizeof(*index));
	for (size_t i = 0; i < sorted; i++)
		index[i] = i;
	qsort_r(index, sorted, sizeof(*index), compare_rows, &order);
	cells = mem_alloc_array(rows * width, sizeof(*cells));
	for (size_t i = 0; i < rows; i++)
		memcpy(&cells[i * width], &s->cells[(i < sorted ? index[i] : i) * width],
		       width * sizeof(*cells));
	free(index);
	free(s->cells);
	s->cells = cells;
	s->cap_cells = rows * width;
}

void sheet_limit(struct sheet *s, size_t limit)
{
	size_t rows = sheet_rows(s), width = s->nr_columns;
	size_t counted = s->has_total_row && rows ? rows - 1 : rows;
	size_t cut;

	if (limit == 0 || counted <= limit)
		return;
	cut = counted - limit;
	memmove(&s->cells[limit * width], &s->cells[counted * width],
		(rows - counted) * width * sizeof(*s->cells));
	s->nr_cells -= cut * width;
	s->rows_left_out += cut;
}

size_t sheet_find_column(const struct sheet *s, const char *key)
{
	for (size_t i = 0; i < s->nr_columns; i++) {
		if (strcmp(s->columns[i].key, key) == 0)
			return i;
	}
	return SIZE_MAX;
}
