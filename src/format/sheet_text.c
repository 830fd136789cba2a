/*
 * A sheet for people. Columns that say nothing are left out, and on a narrow terminal those of the
 * highest rank, so that what matters keeps its line.
 */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/term.h"
#include "base/text.h"
#include "base/units.h"
#include "format/sheet.h"
#include "format/table.h"
#include "model/sheet.h"

static bool is_right(enum cell_kind kind)
{
	return kind != CELL_TEXT && kind != CELL_BOOL;
}

static void cell_text(enum cell_kind kind, const struct cell *c, struct str *out)
{
	if (!c->known) {
		str_add(out, "-");
		return;
	}
	switch (kind) {
	case CELL_TEXT:
		text_printable(out, c->text, strlen(c->text));
		return;
	case CELL_COUNT:
		str_add(out, format_count(c->u).text);
		return;
	case CELL_BYTES:
		str_add(out, format_bytes(c->u).text);
		return;
	case CELL_ADDRESS:
		str_printf(out, "0x%llx", (unsigned long long)c->u);
		return;
	case CELL_PERMILLE:
		str_printf(out, "%llu.%llu %%", (unsigned long long)c->u / 10,
			   (unsigned long long)c->u % 10);
		return;
	case CELL_CHANGE:
		str_add(out, format_count_delta(c->i).text);
		return;
	case CELL_CHANGE_BYTES:
		str_add(out, format_bytes_delta(c->i).text);
		return;
	case CELL_SIGNED_BYTES:
		if (c->i < 0)
			str_add(out, format_bytes_delta(c->i).text);
		else
			str_add(out, format_bytes((uint64_t)c->i).text);
		return;
	case CELL_RATE:
		str_add(out, format_rate((double)c->i).text);
		return;
	case CELL_BOOL:
		str_add(out, c->u ? "yes" : "no");
		return;
	}
}

static bool says_something(const struct sheet *s, size_t column)
{
	const struct sheet_column *c = &s->columns[column];
	size_t rows = sheet_rows(s);

	if (c->use == COLUMN_MACHINE)
		return false;
	if (c->use == COLUMN_ALWAYS)
		return true;
	for (size_t r = 0; r < rows; r++) {
		const struct cell *cell = sheet_cell(s, r, column);

		if (cell->known && (cell->u || cell->i || (cell->text && *cell->text)))
			return true;
	}
	return false;
}

static size_t characters(const char *text)
{
	size_t nr = 0;

	for (; *text; text++)
		nr += ((unsigned char)*text & 0xc0) != 0x80;
	return nr;
}

static size_t column_width(const struct sheet *s, size_t column)
{
	size_t width = characters(s->columns[column].title), rows = sheet_rows(s);
	struct str text = STR_INIT;

	for (size_t r = 0; r < rows; r++) {
		str_clear(&text);
		cell_text(s->columns[column].kind, sheet_cell(s, r, column), &text);
		if (characters(text.data) > width)
			width = characters(text.data);
	}
	str_release(&text);
	return width;
}

static void choose_columns(const struct sheet *s, unsigned int width, bool chosen[TABLE_COLUMNS])
{
	size_t widths[TABLE_COLUMNS] = {0}, sum = 0;

	for (size_t i = 0; i < s->nr_columns; i++) {
		chosen[i] = says_something(s, i);
		if (!chosen[i])
			continue;
		widths[i] = column_width(s, i) + 2;
		sum += widths[i];
	}
	while (width && sum > width + 2) {
		size_t worst = SIZE_MAX;

		for (size_t i = 0; i < s->nr_columns; i++) {
			if (chosen[i] && s->columns[i].rank &&
			    (worst == SIZE_MAX || s->columns[i].rank > s->columns[worst].rank))
				worst = i;
		}
		if (worst == SIZE_MAX)
			return;
		chosen[worst] = false;
		sum -= widths[worst];
	}
}

static const char *cell_style(const struct palette *p, enum cell_kind kind, const struct cell *c,
			      bool total)
{
	if (kind == CELL_CHANGE || kind == CELL_CHANGE_BYTES || kind == CELL_RATE) {
		if (c->known && c->i > 0)
			return p->bad;
		if (c->known && c->i < 0)
			return p->good;
	}
	return total ? p->bold : NULL;
}

static void write_table(const struct sheet *s, const struct sheet_format_options *o,
			struct str *out)
{
	bool chosen[TABLE_COLUMNS] = {false};
	char align[TABLE_COLUMNS + 1] = "";
	size_t rows = sheet_rows(s), nr = 0;
	struct str text = STR_INIT;
	struct table table;

	choose_columns(s, o->width, chosen);
	for (size_t i = 0; i < s->nr_columns; i++) {
		if (chosen[i])
			align[nr++] = is_right(s->columns[i].kind) ? 'r' : 'l';
	}
	table_init(&table, align);
	for (size_t i = 0; i < s->nr_columns; i++) {
		if (chosen[i])
			table_add(&table, s->columns[i].title, o->palette->bold);
	}
	for (size_t r = 0; r < rows; r++) {
		bool total = s->has_total_row && r + 1 == rows;

		for (size_t i = 0; i < s->nr_columns; i++) {
			enum cell_kind kind = s->columns[i].kind;
			const struct cell *cell = sheet_cell(s, r, i);

			if (!chosen[i])
				continue;
			str_clear(&text);
			cell_text(kind, cell, &text);
			table_add(&table, text.data, cell_style(o->palette, kind, cell, total));
		}
	}
	table_write(&table, o->palette, out);
	table_release(&table);
	str_release(&text);
	if (s->rows_left_out)
		str_printf(out, "%s(%s more; --limit 0 shows all)%s\n", o->palette->dim,
			   format_count(s->rows_left_out).text, o->palette->reset);
}

static void write_one(const struct sheet *s, const struct sheet_format_options *o, struct str *out)
{
	if (s->heading)
		str_printf(out, "%s%s%s\n", o->palette->bold, s->heading, o->palette->reset);
	if (sheet_rows(s))
		write_table(s, o, out);
}

void sheet_write_text(const struct sheet *s, const struct sheet_format_options *o, struct str *out)
{
	write_one(s, o, out);
	for (size_t i = 0; i < s->nr_parts; i++) {
		str_add_char(out, '\n');
		write_one(&s->parts[i], o, out);
		for (size_t k = 0; k < s->parts[i].nr_notes; k++)
			str_printf(out, "%s\n", s->parts[i].notes[k]);
	}
	if (s->nr_notes)
		str_add_char(out, '\n');
	for (size_t i = 0; i < s->nr_notes; i++) {
		text_wrap(out, s->notes[i], 0, 2, o->width ? o->width : 100);
		str_add_char(out, '\n');
	}
}
