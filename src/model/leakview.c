/* Leaks as sheets; see leakview.h. */
#include "model/leakview.h"

#include "base/str.h"
#include "base/units.h"
#include "model/sheet.h"

#define NR(a) (sizeof(a) / sizeof((a)[0]))

static const struct sheet_column group_columns[] = {
	{"state", "STATE", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"leaks", "LEAKS", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"cycles", "CYCLES", CELL_COUNT, COLUMN_IF_ANY, 4},
	{"blocks", "BLOCKS", CELL_COUNT, COLUMN_MACHINE, 0},
	{"bytes", "BYTES", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"held_blocks", "HELD", CELL_COUNT, COLUMN_IF_ANY, 3},
	{"held_bytes", "HELD BYTES", CELL_BYTES, COLUMN_IF_ANY, 2},
	{"total_bytes", "TOTAL", CELL_BYTES, COLUMN_MACHINE, 0},
	{"youngest_ms", "YOUNGEST", CELL_COUNT, COLUMN_MACHINE, 0},
	{"oldest_ms", "OLDEST", CELL_COUNT, COLUMN_MACHINE, 0},
	{"age", "AGE", CELL_TEXT, COLUMN_IF_ANY, 5},
	{"example", "EXAMPLE", CELL_ADDRESS, COLUMN_ALWAYS, 1},
	{"what", "WHAT", CELL_TEXT, COLUMN_ALWAYS, 0},
};

static const struct sheet_column leak_columns[] = {
	{"address", "ADDRESS", CELL_ADDRESS, COLUMN_ALWAYS, 0},
	{"state", "STATE", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"size", "SIZE", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"members", "CYCLE OF", CELL_COUNT, COLUMN_IF_ANY, 4},
	{"is_cycle", "CYCLE", CELL_BOOL, COLUMN_MACHINE, 0},
	{"bytes", "BYTES", CELL_BYTES, COLUMN_MACHINE, 0},
	{"held_blocks", "HELD", CELL_COUNT, COLUMN_IF_ANY, 3},
	{"held_bytes", "HELD BYTES", CELL_BYTES, COLUMN_IF_ANY, 2},
	{"head", "HEAD", CELL_ADDRESS, COLUMN_IF_ANY, 4},
	{"age_ms", "AGE MS", CELL_COUNT, COLUMN_MACHINE, 0},
	{"age", "AGE", CELL_TEXT, COLUMN_IF_ANY, 5},
	{"heap", "HEAP", CELL_TEXT, COLUMN_IF_ANY, 6},
	{"class", "CLASS", CELL_TEXT, COLUMN_IF_ANY, 1},
	{"site", "SITE", CELL_TEXT, COLUMN_IF_ANY, 0},
	{"content", "CONTENT", CELL_TEXT, COLUMN_IF_ANY, 0},
	{"when", "WHEN", CELL_TEXT, COLUMN_IF_ANY, 2},
};

void leakview_totals(const struct leak_totals *t, struct sheet *sheet)
{
	sheet_total(sheet, "leaks", CELL_COUNT, t->leaks);
	sheet_total(sheet, "leaked_blocks", CELL_COUNT, t->leaked_blocks);
	sheet_total(sheet, "leaked_bytes", CELL_BYTES, t->leaked_bytes);
	sheet_total(sheet, "possible_leaks", CELL_COUNT, t->possible_leaks);
	sheet_total(sheet, "possible_blocks", CELL_COUNT, t->possible_blocks);
	sheet_total(sheet, "possible_bytes", CELL_BYTES, t->possible_bytes);
	sheet_total(sheet, "reachable_blocks", CELL_COUNT, t->reachable_blocks);
	sheet_total(sheet, "reachable_bytes", CELL_BYTES, t->reachable_bytes);
}

void leakview_shape(const struct leak *leak, const char *class_name, struct str *out)
{
	if (leak->members > 1)
		str_printf(out, "cycle of %s blocks", format_count(leak->members).text);
	else
		str_printf(out, "block of %s bytes", format_count(leak->facts.size).text);
	if (*class_name)
		str_printf(out, ", %s", class_name);
	if (leak->members == 1 && leak->is_cycle)
		str_add(out, ", points to itself");
}

static void add_ages(struct sheet *s, uint64_t youngest, uint64_t oldest)
{
	struct str text = STR_INIT;

	if (youngest != AGE_UNKNOWN) {
		str_add(&text, format_duration(youngest).text);
		if (oldest != youngest)
			str_printf(&text, " … %s", format_duration(oldest).text);
	}
	sheet_text(s, text.data);
	str_release(&text);
}

static void add_ms(struct sheet *s, uint64_t ns)
{
	if (ns == AGE_UNKNOWN)
		sheet_unknown(s);
	else
		sheet_number(s, ns / 1000000);
}

void leakview_groups(const struct leak_list *l, const struct leak_groups *g, struct sheet *ret)
{
	sheet_init(ret, "seep-leaks-1", group_columns, NR(group_columns));
	for (size_t i = 0; i < g->nr; i++) {
		const struct leak_group *row = &g->items[i];

		sheet_text(ret, leak_state_name(row->state));
		sheet_number(ret, row->leaks);
		sheet_number(ret, row->cycles);
		sheet_number(ret, row->blocks);
		sheet_number(ret, row->bytes);
		sheet_number(ret, row->held_blocks);
		sheet_number(ret, row->held_bytes);
		sheet_number(ret, row->bytes + row->held_bytes);
		add_ms(ret, row->youngest_ns);
		add_ms(ret, row->oldest_ns);
		add_ages(ret, row->youngest_ns, row->oldest_ns);
		sheet_number(ret, l->items[row->first].addr);
		sheet_text(ret, row->label);
	}
}

static void add_named(struct sheet *s,
		      void (*name)(void *context, const struct leak *leak, struct str *out),
		      void *context, const struct leak *leak)
{
	struct str text = STR_INIT;

	if (name)
		name(context, leak, &text);
	sheet_text(s, text.data);
	str_release(&text);
}

void leakview_list(const struct leak_list *l, const struct leak_namer *namer, struct sheet *ret)
{
	sheet_init(ret, "seep-leaks-1", leak_columns, NR(leak_columns));
	for (size_t i = 0; i < l->nr; i++) {
		const struct leak *leak = &l->items[i];

		sheet_number(ret, leak->addr);
		sheet_text(ret, leak_state_name(leak->state));
		sheet_number(ret, leak->facts.size);
		if (leak->members > 1)
			sheet_number(ret, leak->members);
		else
			sheet_unknown(ret);
		sheet_number(ret, leak->is_cycle);
		sheet_number(ret, leak->bytes);
		sheet_number(ret, leak->held_blocks);
		sheet_number(ret, leak->held_bytes);
		if (leak->head != leak->addr)
			sheet_number(ret, leak->head);
		else
			sheet_unknown(ret);
		add_ms(ret, leak->facts.age_ns);
		add_ages(ret, leak->facts.age_ns, leak->facts.age_ns);
		add_named(ret, namer->heap, namer->context, leak);
		add_named(ret, namer->class_name, namer->context, leak);
		add_named(ret, namer->site, namer->context, leak);
		add_named(ret, namer->content, namer->context, leak);
		sheet_text(ret, leak->is_late ? "at the end" : "");
	}
}
