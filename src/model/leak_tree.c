/* Leaks as trees; see leak_tree.h. */
#include "model/leak_tree.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "model/reach.h"
#include "model/reach_private.h"
#include "model/sheet.h"

#define NR(a) (sizeof(a) / sizeof((a)[0]))

static const struct sheet_column columns[] = {
	{"depth", "DEPTH", CELL_COUNT, COLUMN_MACHINE, 0},
	{"address", "ADDRESS", CELL_ADDRESS, COLUMN_ALWAYS, 1},
	{"size", "SIZE", CELL_BYTES, COLUMN_MACHINE, 0},
	{"others", "OTHERS", CELL_COUNT, COLUMN_MACHINE, 0}, /* that this row stands for */
	{"what", "WHAT", CELL_TEXT, COLUMN_ALWAYS, 0},
};

struct sheet *leak_tree_part(struct sheet *s)
{
	struct sheet *part = sheet_part(s, "tree", columns, NR(columns));

	sheet_set_heading(part, "What hangs on the largest");
	return part;
}

/* A block whose children are being shown. */
struct level {
	uint32_t id;
	size_t edge; /* the next to look at */
	unsigned int shown, hidden;
};

struct tree {
	struct sheet *part;
	const struct reach *r;
	const struct leak_heads *heads;
	const struct leak_tree_options *o;
	size_t owner;
	uint64_t *seen; /* a bit for each id */
};

static void add_row(struct tree *t, unsigned int depth, uint32_t id)
{
	uint64_t addr = reach_address(t->r, id), size = reach_size(t->r, id);
	struct str text = STR_INIT;

	t->o->name(t->o->context, addr, size, &text);
	sheet_number(t->part, depth);
	sheet_number(t->part, addr);
	sheet_number(t->part, size);
	sheet_unknown(t->part);
	sheet_branch(t->part, text.data, depth);
	str_release(&text);
}

static void add_hidden(struct tree *t, unsigned int depth, unsigned int nr)
{
	struct str text = STR_INIT;

	str_printf(&text, "%s more", format_count(nr).text);
	sheet_number(t->part, depth);
	sheet_unknown(t->part);
	sheet_unknown(t->part);
	sheet_number(t->part, nr);
	sheet_branch(t->part, text.data, depth);
	str_release(&text);
}

/* The next child of a level that nothing has shown yet; false: there is none. */
static bool next_child(struct tree *t, struct level *level, uint32_t *ret)
{
	size_t nr;
	const uint32_t *edges = reach_edges(t->r, level->id, &nr);

	while (level->edge < nr) {
		uint32_t id = edges[level->edge++] & ~REACH_WEAK;

		if (bit_get(t->seen, id) || leak_heads_owner(t->heads, id) != t->owner)
			continue;
		bit_set(t->seen, id);
		*ret = id;
		return true;
	}
	return false;
}

void leak_tree_add(struct sheet *part, const struct reach *r, const struct leak_heads *heads,
		   uint32_t head, const struct leak_tree_options *o)
{
	struct tree t = {.part = part, .r = r, .heads = heads, .o = o};
	struct level *levels = mem_alloc_array(o->depth + 1, sizeof(*levels));
	unsigned int depth = 0;

	t.owner = leak_heads_owner(heads, head);
	t.seen = mem_alloc_array((size_t)reach_ids(r) / 64 + 1, sizeof(*t.seen));
	bit_set(t.seen, head);
	levels[0] = (struct level){.id = head};
	add_row(&t, 0, head);
	for (;;) {
		struct level *level = &levels[depth];
		uint32_t child;

		if (next_child(&t, level, &child)) {
			if (depth == o->depth || level->shown == o->children) {
				level->hidden++;
				continue;
			}
			level->shown++;
			add_row(&t, depth + 1, child);
			levels[++depth] = (struct level){.id = child};
			continue;
		}
		if (level->hidden)
			add_hidden(&t, depth + 1, level->hidden);
		if (depth == 0)
			break;
		depth--;
	}
	free(t.seen);
	free(levels);
}
