/* Lays out tables. */
#include "format/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/term.h"
#include "base/text.h"

void table_init(struct table *t, const char *align)
{
	memset(t, 0, sizeof(*t));
	for (; align[t->nr_columns] && t->nr_columns < TABLE_COLUMNS; t->nr_columns++)
		t->right[t->nr_columns] = align[t->nr_columns] == 'r';
}

void table_release(struct table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->nr; i++)
		free(t->cells[i].text);
	free(t->cells);
	memset(t, 0, sizeof(*t));
}

void table_add(struct table *t, const char *text, const char *style)
{
	struct table_cell cell = {
		.text = mem_strdup(text),
		.width = text_characters(text),
		.style = style,
	};

	ARRAY_PUSH(t->cells, t->nr, t->cap, cell);
}

static void find_widths(const struct table *t, size_t widths[TABLE_COLUMNS])
{
	memset(widths, 0, TABLE_COLUMNS * sizeof(widths[0]));
	for (size_t i = 0; i < t->nr; i++) {
		size_t *width = &widths[i % t->nr_columns];
		size_t len = t->cells[i].width;

		if (len > *width && (t->width_max == 0 || len <= t->width_max))
			*width = len;
	}
}

void table_pad(struct str *out, size_t nr)
{
	static const char blanks[] = "                                ";
	const size_t most = sizeof(blanks) - 1;

	for (; nr > most; nr -= most)
		str_add_len(out, blanks, most);
	str_add_len(out, blanks, nr);
}

static void write_cell(const struct table *t, size_t column, const struct table_cell *cell,
		       size_t width, const struct palette *palette, struct str *out)
{
	size_t len = cell->width;
	size_t space = len < width ? width - len : 0;
	bool last = column + 1 == t->nr_columns;

	if (t->right[column])
		table_pad(out, space);
	if (cell->style)
		str_add(out, cell->style);
	str_add(out, cell->text);
	if (cell->style)
		str_add(out, palette->reset);
	if (!last && !t->right[column])
		table_pad(out, space);
	if (!last)
		table_pad(out, 2);
}

void table_write(const struct table *t, const struct palette *palette, struct str *out)
{
	size_t widths[TABLE_COLUMNS];

	find_widths(t, widths);
	for (size_t i = 0; i < t->nr; i++) {
		size_t column = i % t->nr_columns;

		if (column == 0)
			table_pad(out, t->indent);
		write_cell(t, column, &t->cells[i], widths[column], palette, out);
		if (column + 1 == t->nr_columns) {
			while (out->len && out->data[out->len - 1] == ' ')
				out->data[--out->len] = 0;
			str_add_char(out, '\n');
		}
	}
}
