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

/* Cells are short: so many bytes are copied at once, without a call or a loop. */
#define BLOCK 16

/* A cell as people see it. */
struct shown {
	const char *text;  /* at least BLOCK bytes may be read */
	size_t len, width; /* bytes, characters */
};

/* How a text looks. */
struct seen_text {
	const char *of; /* NULL: nothing yet */
	uint32_t depth;
	struct str text;
	size_t width;
};

/* How a number looks. */
struct seen_number {
	uint64_t u;
	enum cell_kind kind;
	uint32_t len; /* 0: nothing yet */
	struct unit_text text;
};

#define SEEN 64 /* a power of two */

/* Which columns are shown, and how wide they are, in characters. */
struct layout {
	bool chosen[TABLE_COLUMNS];
	size_t widths[TABLE_COLUMNS];
	size_t last; /* column that is shown last */
	/* The same few texts and sizes come again and again, in all rows and columns. */
	struct seen_text texts[SEEN];
	struct seen_number numbers[SEEN];
	char address[2 + 16 + BLOCK]; /* the one shown last */
};

static size_t address_len(uint64_t addr)
{
	return 2 + (addr ? (67 - (size_t)__builtin_clzll(addr)) / 4 : 1);
}

/* "0x7f00": what snprintf() would do, ten times as fast. */
static struct shown show_address(struct layout *l, uint64_t addr)
{
	size_t len = address_len(addr);
	char *at = l->address + len;

	for (; at > l->address + 2; addr /= 16)
		*--at = "0123456789abcdef"[addr % 16];
	*--at = 'x';
	*--at = '0';
	return (struct shown){at, len, len};
}

static void put_number(enum cell_kind kind, const struct cell *c, struct unit_text *buffer)
{
	switch (kind) {
	case CELL_TEXT:
	case CELL_ADDRESS: /* shown in other ways */
		break;
	case CELL_COUNT:
		*buffer = format_count(c->u);
		break;
	case CELL_BYTES:
		*buffer = format_bytes(c->u);
		break;
	case CELL_PERMILLE:
		snprintf(buffer->text, UNIT_TEXT, "%llu.%llu %%", (unsigned long long)c->u / 10,
			 (unsigned long long)c->u % 10);
		break;
	case CELL_CHANGE:
		*buffer = format_count_delta(c->i);
		break;
	case CELL_CHANGE_BYTES:
		*buffer = format_bytes_delta(c->i);
		break;
	case CELL_SIGNED_BYTES:
		*buffer = c->i < 0 ? format_bytes_delta(c->i) : format_bytes((uint64_t)c->i);
		break;
	case CELL_RATE:
		*buffer = format_rate((double)c->i);
		break;
	case CELL_BOOL:
		strcpy(buffer->text, c->u ? "yes" : "no");
		break;
	}
}

static struct shown show_number(struct layout *l, enum cell_kind kind, const struct cell *c)
{
	struct seen_number *seen = &l->numbers[(c->u ^ c->u >> 12) % SEEN];

	if (seen->u != c->u || seen->kind != kind || !seen->len) {
		put_number(kind, c, &seen->text);
		seen->u = c->u;
		seen->kind = kind;
		seen->len = (uint32_t)strlen(seen->text.text);
	}
	return (struct shown){seen->text.text, seen->len, seen->len};
}

/* A sheet keeps equal texts in one place, mostly. */
static struct shown show_text(struct layout *l, const struct cell *c)
{
	uintptr_t place = (uintptr_t)c->text;
	struct seen_text *seen = &l->texts[(place ^ place >> 6) % SEEN];

	if (seen->of != c->text || seen->depth != c->depth) {
		seen->of = c->text;
		seen->depth = c->depth;
		str_clear(&seen->text);
		str_reserve(&seen->text, BLOCK);
		table_pad(&seen->text, (size_t)c->depth * 2);
		text_printable(&seen->text, c->text, strlen(c->text));
		seen->width = text_characters(seen->text.data);
	}
	return (struct shown){seen->text.data, seen->text.len, seen->width};
}

/* Valid until the next one. */
static struct shown show_cell(struct layout *l, const struct sheet *s, size_t column,
			      const struct cell *c)
{
	enum cell_kind kind = s->columns[column].kind;

	static const char unknown[BLOCK] = "-";

	if (!c->known)
		return (struct shown){unknown, 1, 1};
	if (kind == CELL_TEXT)
		return show_text(l, c);
	if (kind == CELL_ADDRESS)
		return show_address(l, c->u);
	return show_number(l, kind, c);
}

static size_t cell_width(struct layout *l, const struct sheet *s, size_t column,
			 const struct cell *c)
{
	if (c->known && s->columns[column].kind == CELL_ADDRESS)
		return address_len(c->u);
	return show_cell(l, s, column, c).width;
}

static bool says_something(enum cell_kind kind, const struct cell *c)
{
	return c->known && (kind == CELL_TEXT ? *c->text != 0 : c->u != 0);
}

/* One pass over the cells for both: tables of 50,000 rows are larger than caches. */
static void choose_and_measure(const struct sheet *s, struct layout *l)
{
	size_t rows = sheet_rows(s);

	for (size_t i = 0; i < s->nr_columns; i++) {
		l->chosen[i] = s->columns[i].use == COLUMN_ALWAYS;
		l->widths[i] = text_characters(s->columns[i].title);
	}
	for (size_t r = 0; r < rows; r++) {
		const struct cell *row = sheet_cell(s, r, 0);

		for (size_t i = 0; i < s->nr_columns; i++) {
			const struct sheet_column *column = &s->columns[i];
			size_t width;

			if (column->use == COLUMN_MACHINE)
				continue;
			if (!l->chosen[i])
				l->chosen[i] = says_something(column->kind, &row[i]);
			width = cell_width(l, s, i, &row[i]);
			if (width > l->widths[i])
				l->widths[i] = width;
		}
	}
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
	choose_and_measure(s, l);
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

static char *put_blanks(char *at, size_t nr)
{
	memset(at, ' ', BLOCK);
	if (nr > BLOCK)
		memset(at + BLOCK, ' ', nr - BLOCK);
	return at + nr;
}

static char *put_text(char *at, struct shown cell)
{
	memcpy(at, cell.text, cell.len > BLOCK ? cell.len : BLOCK);
	return at + cell.len;
}

/* What stands in the line so far may be followed by anything; end_row() ends it. */
static void write_cell(const struct sheet *s, const struct layout *l, size_t column,
		       struct shown cell, struct str *out)
{
	size_t space = l->widths[column] > cell.width ? l->widths[column] - cell.width : 0;
	bool right = is_right(s->columns[column].kind);
	size_t behind = column == l->last ? 0 : right ? 2 : space + 2;
	char *at;

	str_reserve(out, space + cell.len + behind + 3 * BLOCK);
	at = out->data + out->len;
	if (right)
		at = put_blanks(at, space);
	at = put_blanks(put_text(at, cell), behind);
	out->len = (size_t)(at - out->data);
}

static void write_styled(const struct sheet *s, const struct layout *l, size_t column,
			 struct shown cell, const char *style, const struct palette *p,
			 struct str *out)
{
	size_t space = l->widths[column] > cell.width ? l->widths[column] - cell.width : 0;
	bool right = is_right(s->columns[column].kind);

	table_pad(out, right ? space : 0);
	str_add(out, style);
	str_add_len(out, cell.text, cell.len);
	str_add(out, p->reset);
	table_pad(out, column == l->last ? 0 : right ? 2 : space + 2);
}

static void end_row(struct str *out)
{
	size_t len = out->len;

	while (len && out->data[len - 1] == ' ')
		len--;
	str_truncate(out, len);
	str_add_char(out, '\n');
}

static void write_row(const struct sheet *s, struct layout *l, size_t row, const struct palette *p,
		      struct str *out)
{
	bool total = s->has_total_row && row + 1 == sheet_rows(s);
	const struct cell *cells = sheet_cell(s, row, 0);

	for (size_t i = 0; i < s->nr_columns; i++) {
		const char *style;

		if (!l->chosen[i])
			continue;
		style = cell_style(p, s->columns[i].kind, &cells[i], total);
		if (style)
			write_styled(s, l, i, show_cell(l, s, i, &cells[i]), style, p, out);
		else
			write_cell(s, l, i, show_cell(l, s, i, &cells[i]), out);
	}
	end_row(out);
}

static void write_titles(const struct sheet *s, const struct layout *l, const struct palette *p,
			 struct str *out)
{
	for (size_t i = 0; i < s->nr_columns; i++) {
		const char *title = s->columns[i].title;

		if (l->chosen[i])
			write_styled(s, l, i,
				     (struct shown){title, strlen(title), text_characters(title)},
				     p->bold, p, out);
	}
	end_row(out);
}

/* Most rows are as long as the longest, styles and letters beyond ASCII aside. */
static void reserve_rows(const struct sheet *s, const struct layout *l, struct str *out)
{
	size_t width = 1;

	for (size_t i = 0; i < s->nr_columns; i++)
		width += l->chosen[i] && i != l->last ? l->widths[i] + 2 : 0;
	str_reserve(out, width * sheet_rows(s));
}

/* Cells are shown twice, once for the widths: to keep the texts of 50,000 rows costs more. */
static void write_table(const struct sheet *s, const struct sheet_format_options *o,
			struct str *out)
{
	struct layout layout = {.last = 0};
	size_t rows = sheet_rows(s);

	for (size_t i = 0; i < SEEN; i++)
		str_init(&layout.texts[i].text);
	lay_out(s, o->width, &layout);
	reserve_rows(s, &layout, out);
	write_titles(s, &layout, o->palette, out);
	for (size_t r = 0; r < rows; r++)
		write_row(s, &layout, r, o->palette, out);
	for (size_t i = 0; i < SEEN; i++)
		str_release(&layout.texts[i].text);
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
