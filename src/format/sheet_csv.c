/* A sheet as CSV (RFC 4180): keys in the first line, raw numbers, empty where nothing is known. */
#include <string.h>

#include "base/str.h"
#include "format/csv_writer.h"
#include "format/sheet.h"
#include "model/sheet.h"

static void add_cell(struct str *out, enum cell_kind kind, const struct cell *c)
{
	if (!c->known)
		return;
	switch (kind) {
	case CELL_TEXT:
		csv_add_field(out, c->text);
		return;
	case CELL_COUNT:
	case CELL_BYTES:
		str_add_decimal(out, c->u);
		return;
	case CELL_ADDRESS:
		str_add_hex(out, c->u);
		return;
	case CELL_PERMILLE:
		str_printf(out, "%llu.%llu", (unsigned long long)c->u / 10,
			   (unsigned long long)c->u % 10);
		return;
	case CELL_CHANGE:
	case CELL_CHANGE_BYTES:
	case CELL_SIGNED_BYTES:
	case CELL_RATE:
		str_printf(out, "%lld", (long long)c->i);
		return;
	case CELL_BOOL:
		str_add(out, c->u ? "true" : "false");
		return;
	}
}

void sheet_write_csv(const struct sheet *s, const struct sheet_format_options *o, struct str *out)
{
	size_t rows = sheet_rows(s);

	(void)o;
	if (s->has_total_row && rows)
		rows--;
	for (size_t c = 0; c < s->nr_columns; c++)
		str_printf(out, "%s%s", c ? "," : "", s->columns[c].key);
	str_add(out, "\r\n");
	for (size_t r = 0; r < rows; r++) {
		const struct cell *row = sheet_cell(s, r, 0);

		for (size_t c = 0; c < s->nr_columns; c++) {
			if (c)
				str_add_char(out, ',');
			add_cell(out, s->columns[c].kind, &row[c]);
		}
		str_add(out, "\r\n");
	}
}
