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

/* "0x7f00": what str_printf() would do, ten times as fast for tables of 50,000 rows. */
static void add_address(struct str *out, uint64_t addr)
{
	char text[2 + 16], *at = text + sizeof(text);

	do {
		*--at = "0123456789abcdef"[addr % 16];
		addr /= 16;
	} while (addr);
	*--at = 'x';
	*--at = '0';
	str_add_len(out, at, (size_t)(text + sizeof(text) - at));
}

static void cell_text(enum cell_kind kind, const struct cell *c, struct str *out)
{
	if (!c->known) {
		str_add(out, "-");
		return;
	}
	switch (kind) {
	case CELL_TEXT:
		for (uint64_t i = 0; i < c->u; i++)
			str_add(out, "  ");
		text_printable(out, c->text, strlen(c->text));
		return;
	case CELL_COUNT:
		str_add(out, format_count(c->u).text);
		return;
	case CELL_BYTES:
		str_add(out, format_bytes(c->u).text);
		return;
	case CELL_ADDRESS:
		add_address(out, c->u);
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

		if (cell->known && (cell->text ? *cell->text != 0 : cell->u || cell->i))
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

/* Which columns are shown, and how wide they are, in characters. */
struct layout {
	bool chosen[TABLE_COLUMNS];
	size_t widths[TABLE_COLUMNS];
	size_t last; /* column that is shown last */
};

static void find_widths(const struct sheet *s, struct layout *l)
{
	size_t rows = sheet_rows(s);
	struct str text = STR_INIT;

	for (size_t i = 0; i < s->nr_columns; i++)
		l->widths[i] = characters(s->columns[i].title);
	for (size_t r = 0; r < rows; r++) {
		for (size_t i = 0; i < s->nr_columns; i++) {
			size_t width;

			if (!l->chosen[i])
				continue;
			str_clear(&text);
			cell_text(s->columns[i].kind, sheet_cell(s, r, i), &text);
			width = characters(text.data);
			if (width > l->widths[i])
				l->widths[i] = width;
		}
	}
	str_release(&text);
}

/* Leaves out columns of the highest ranks until the rest fits. */
static void fit_columns(const struct sheet *s, unsigned int width, struct layout *l)
{
	size_t sum = 0;

	for (size_t i = 0; i < s->nr_columns; i++)
		sum += l->chosen[i] ? l->widths[i] + 2 : 0;
	while (width && sum > width + 2) {
		size_t worst = SIZE_MAX;

		for (size_t i = 0; i < s->nr_columns; i++) {
			if (l->chosen[i] && s->columns[i].rank &&
			    (worst == SIZE_MAX || s->columns[i].rank > s->columns[worst].rank))
				worst = i;
		}
		if (worst == SIZE_MAX)
			return;
		l->chosen[worst] = false;
		sum -= l->widths[worst] + 2;
	}
}

static void lay_out(const struct sheet *s, unsigned int width, struct layout *l)
{
	for (size_t i = 0; i < s->nr_columns; i++)
		l->chosen[i] = says_something(s, i);
	find_widths(s, l);
	fit_columns(s, width, l);
	for (size_t i = 0; i < s->nr_columns; i++)
		l->last = l->chosen[i] ? i : l->last;
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

static void write_cell(const struct sheet *s, const struct layout *l, size_t column,
		       const char *text, const char *style, const struct palette *p,
		       struct str *out)
{
	size_t width = characters(text);
	size_t space = l->widths[column] > width ? l->widths[column] - width : 0;
	bool right = is_right(s->columns[column].kind);

	if (right)
		table_pad(out, space);
	if (style)
		str_add(out, style);
	str_add(out, text);
	if (style)
		str_add(out, p->reset);
	if (column == l->last)
		return;
	table_pad(out, right ? 2 : space + 2);
}

static void end_row(struct str *out)
{
	size_t len = out->len;

	while (len && out->data[len - 1] == ' ')
		len--;
	str_truncate(out, len);
	str_add_char(out, '\n');
}

static void write_row(const struct sheet *s, const struct layout *l, size_t row,
		      const struct palette *p, struct str *buffer, struct str *out)
{
	bool total = s->has_total_row && row + 1 == sheet_rows(s);

	for (size_t i = 0; i < s->nr_columns; i++) {
		enum cell_kind kind = s->columns[i].kind;
		const struct cell *cell = sheet_cell(s, row, i);

		if (!l->chosen[i])
			continue;
		str_clear(buffer);
		cell_text(kind, cell, buffer);
		write_cell(s, l, i, buffer->data, cell_style(p, kind, cell, total), p, out);
	}
	end_row(out);
}

/* Made twice, once for the widths: to keep the texts of 50,000 rows costs more. */
static void write_table(const struct sheet *s, const struct sheet_format_options *o,
			struct str *out)
{
	struct layout layout = {.last = 0};
	size_t rows = sheet_rows(s);
	struct str buffer = STR_INIT;

	lay_out(s, o->width, &layout);
	for (size_t i = 0; i < s->nr_columns; i++) {
		if (layout.chosen[i])
			write_cell(s, &layout, i, s->columns[i].title, o->palette->bold, o->palette,
				   out);
	}
	end_row(out);
	for (size_t r = 0; r < rows; r++)
		write_row(s, &layout, r, o->palette, &buffer, out);
	str_release(&buffer);
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
