/* See stack_text.h. */
#include "format/stack_text.h"

#include <inttypes.h>

#include "base/str.h"
#include "base/term.h"
#include "format/format.h"
#include "format/table.h"
#include "format/words.h"
#include "model/lines.h"

/* Functions longer than this (C++ templates) do not push the places of all others to the right. */
#define NAME_WIDTH_MAX 48

/* Source, and with --full the place in the module too: "meter.c:31 (inlined)  meter+0x1040". */
static void add_place(struct str *text, const struct format_options *o, const struct line *line)
{
	bool whole = o->full;

	if (line->file[0] || !whole || !line->function[0])
		words_place(text, line, whole);
	if (line->inlined)
		str_add(text, text->len ? " (inlined)" : "(inlined)");
	if (!whole || !line->module[0] || !line->function[0])
		return;
	if (text->len)
		str_add(text, "  ");
	words_module(text, line, line->file[0] == 0);
	str_printf(text, "+0x%" PRIx64, line->module_offset);
}

static void add_line(struct table *table, const struct format_options *o, const struct line *line,
		     struct str *text)
{
	str_clear(text);
	words_name(text, line);
	table_add(table, text->data, line->kind == LINE_OWN ? o->palette->name : NULL);
	str_clear(text);
	add_place(text, o, line);
	table_add(table, text->data, NULL);
}

void stack_text(struct str *out, const struct lines *lines, const struct format_options *o)
{
	size_t first = o->full ? 0 : lines->inner;
	size_t last = o->full ? lines->nr : lines->outer;
	struct str text = STR_INIT;
	struct table table;

	table_init(&table, "ll");
	table.indent = 8;
	table.width_max = NAME_WIDTH_MAX;
	for (size_t i = first; i < last; i++) {
		if (lines->items[i].kind != LINE_RECORDER)
			add_line(&table, o, &lines->items[i], &text);
	}
	table_write(&table, o->palette, out);
	table_release(&table);
	str_release(&text);
}
