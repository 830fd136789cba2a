/* A sheet as JSON: one object with schema, totals and rows; parts under their own keys. */
#include "base/str.h"
#include "format/json_writer.h"
#include "format/sheet.h"
#include "model/sheet.h"

static void add_value(struct json *j, const char *key, enum cell_kind kind, const struct cell *c)
{
	if (!c->known || (kind == CELL_TEXT && !*c->text)) {
		json_null(j, key);
		return;
	}
	switch (kind) {
	case CELL_TEXT:
		json_text(j, key, c->text);
		return;
	case CELL_COUNT:
	case CELL_BYTES:
		json_count(j, key, c->u);
		return;
	case CELL_ADDRESS:
		json_address(j, key, c->u);
		return;
	case CELL_PERMILLE:
		json_real(j, key, (double)c->u / 10);
		return;
	case CELL_CHANGE:
	case CELL_CHANGE_BYTES:
	case CELL_SIGNED_BYTES:
	case CELL_RATE:
		json_number(j, key, c->i);
		return;
	case CELL_BOOL:
		json_bool(j, key, c->u != 0);
		return;
	}
}

static void add_rows(struct json *j, const char *key, const struct sheet *s)
{
	size_t rows = sheet_rows(s);

	if (s->has_total_row && rows)
		rows--;
	json_open(j, key, '[');
	for (size_t r = 0; r < rows; r++) {
		const struct cell *row = sheet_cell(s, r, 0);

		str_add_char(j->out, '\n');
		json_open(j, NULL, '{');
		for (size_t c = 0; c < s->nr_columns; c++)
			add_value(j, s->columns[c].key, s->columns[c].kind, &row[c]);
		json_close(j, '}');
	}
	json_close(j, ']');
}

void sheet_write_json(const struct sheet *s, const struct sheet_format_options *o, struct str *out)
{
	struct json j;

	json_init(&j, out);
	json_open(&j, NULL, '{');
	json_text(&j, "schema", s->schema);
	json_text(&j, "seep", o->version);
	json_open(&j, "totals", '{');
	for (size_t i = 0; i < s->nr_totals; i++)
		add_value(&j, s->totals[i].key, s->totals[i].kind, &s->totals[i].value);
	if (s->rows_left_out)
		json_count(&j, "rows_left_out", s->rows_left_out);
	json_close(&j, '}');
	for (size_t i = 0; i < s->nr_parts; i++)
		add_rows(&j, s->parts[i].key, &s->parts[i]);
	json_open(&j, "notes", '[');
	for (size_t i = 0; i < s->nr_notes; i++)
		json_text(&j, NULL, s->notes[i]);
	json_close(&j, ']');
	add_rows(&j, "rows", s);
	json_close(&j, '}');
	str_add_char(out, '\n');
}
