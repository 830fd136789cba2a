/* Who points to a block; see refview.h. */
#include "model/refview.h"

#include "model/references.h"
#include "model/sheet.h"

#define NR(a) (sizeof(a) / sizeof((a)[0]))

static const struct sheet_column pointer_columns[] = {
	{"from", "FROM", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"address", "ADDRESS", CELL_ADDRESS, COLUMN_ALWAYS, 0},
	{"offset", "OFFSET", CELL_COUNT, COLUMN_IF_ANY, 2},
	{"into", "POINTS TO", CELL_COUNT, COLUMN_IF_ANY, 1},
	{"what", "WHAT", CELL_TEXT, COLUMN_ALWAYS, 0},
};

static const struct sheet_column path_columns[] = {
	{"step", "STEP", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"address", "ADDRESS", CELL_ADDRESS, COLUMN_ALWAYS, 0},
	{"what", "WHAT", CELL_TEXT, COLUMN_ALWAYS, 0},
};

static void add_address(struct sheet *s, uint64_t address)
{
	if (address)
		sheet_number(s, address);
	else
		sheet_unknown(s);
}

void refview_init(struct sheet *ret)
{
	sheet_init(ret, "seep-refs-1", pointer_columns, NR(pointer_columns));
}

void refview_add(struct sheet *s, const char *from, uint64_t address, uint64_t offset,
		 bool has_offset, uint64_t into, const char *what)
{
	sheet_text(s, from);
	add_address(s, address);
	if (has_offset)
		sheet_number(s, offset);
	else
		sheet_unknown(s);
	if (into != REF_FAR)
		sheet_number(s, into);
	else
		sheet_unknown(s);
	sheet_text(s, what);
}

struct sheet *refview_path(struct sheet *s)
{
	struct sheet *part = sheet_part(s, "path", path_columns, NR(path_columns));

	sheet_set_heading(part, "What keeps it alive");
	return part;
}

void refview_path_add(struct sheet *part, const char *step, uint64_t address, const char *what)
{
	sheet_text(part, step);
	add_address(part, address);
	sheet_text(part, what);
}
