/* Keepers and what they keep; see keepview.h. */
#include "model/keepview.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "model/dominators.h"
#include "model/reach.h"
#include "model/sheet.h"

#define NR(a) (sizeof(a) / sizeof((a)[0]))

static const struct sheet_column keeper_columns[] = {
	{"retained_bytes", "KEEPS", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"share_percent", "SHARE", CELL_PERMILLE, COLUMN_ALWAYS, 2},
	{"retained_blocks", "BLOCKS", CELL_COUNT, COLUMN_ALWAYS, 1},
	{"address", "ADDRESS", CELL_ADDRESS, COLUMN_IF_ANY, 3},
	{"size", "SIZE", CELL_BYTES, COLUMN_MACHINE, 0},
	{"what", "WHAT", CELL_TEXT, COLUMN_ALWAYS, 0},
};

static const struct sheet_column tree_columns[] = {
	{"depth", "DEPTH", CELL_COUNT, COLUMN_MACHINE, 0},
	{"retained_bytes", "KEEPS", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"retained_blocks", "BLOCKS", CELL_COUNT, COLUMN_ALWAYS, 2},
	{"address", "ADDRESS", CELL_ADDRESS, COLUMN_IF_ANY, 1},
	{"size", "SIZE", CELL_BYTES, COLUMN_MACHINE, 0},
	{"others", "OTHERS", CELL_COUNT, COLUMN_MACHINE, 0}, /* that this row stands for */
	{"what", "WHAT", CELL_TEXT, COLUMN_ALWAYS, 0},
};

/* Address and size: of a block; an owner of roots has none. */
static void add_place(struct sheet *s, const struct reach *r, uint32_t node)
{
	if (node & DOMINATORS_OWNER) {
		sheet_unknown(s);
		sheet_unknown(s);
		return;
	}
	sheet_number(s, reach_address(r, node));
	sheet_number(s, reach_size(r, node));
}

/* Of those that nothing else keeps, how many keep anything. */
static size_t count_keepers(const struct dominators *d)
{
	size_t nr = 0;

	for (uint32_t i = d->first[DOMINATORS_ROOT]; i < d->first[DOMINATORS_ROOT + 1]; i++)
		nr += d->bytes[d->children[i]] > 0;
	return nr;
}

void keepview_init(struct sheet *ret, const struct reach *r, const struct dominators *d,
		   size_t limit, const struct keepview_options *o)
{
	size_t all = d->first[1] - d->first[0], nr;
	uint64_t sum = d->bytes[DOMINATORS_ROOT];
	uint32_t *numbers;

	if (limit == 0 || limit > all)
		limit = all;
	numbers = mem_alloc_array(limit, sizeof(*numbers));
	nr = dominators_largest(d, DOMINATORS_ROOT, numbers, limit);
	sheet_init(ret, "seep-refs-1", keeper_columns, NR(keeper_columns));
	/* What others keep too is nobody's: many keep nothing alone. */
	while (nr && d->bytes[numbers[nr - 1]] == 0)
		nr--;
	for (size_t i = 0; i < nr; i++) {
		uint32_t n = numbers[i];
		struct str text = STR_INIT;

		o->name(o->context, n, &text);
		sheet_number(ret, d->bytes[n]);
		sheet_number(ret, (uint64_t)((double)d->bytes[n] * 1000 / (double)(sum ? sum : 1)));
		sheet_number(ret, d->blocks[n]);
		add_place(ret, r, d->node[n]);
		sheet_text(ret, text.data);
		str_release(&text);
	}
	ret->rows_left_out = nr == limit ? count_keepers(d) - nr : 0;
	sheet_total(ret, "retained_bytes", CELL_BYTES, sum);
	sheet_total(ret, "retained_blocks", CELL_COUNT, d->blocks[DOMINATORS_ROOT]);
	free(numbers);
}

struct sheet *keepview_tree(struct sheet *s, const char *heading)
{
	struct sheet *part = sheet_part(s, "tree", tree_columns, NR(tree_columns));

	sheet_set_heading(part, "%s", heading);
	return part;
}

/* A node whose children are being shown. */
struct level {
	uint32_t n;
	uint32_t *largest;
	size_t nr, next;
	uint64_t other_bytes; /* of children that are not shown */
	uint32_t other_nr, other_blocks;
};

struct tree {
	struct sheet *part;
	const struct reach *r;
	const struct dominators *d;
	const struct keepview_options *o;
	uint64_t least_bytes;
};

static void add_row(struct tree *t, unsigned int depth, uint32_t n)
{
	struct str text = STR_INIT;

	t->o->name(t->o->context, n, &text);
	sheet_number(t->part, depth);
	sheet_number(t->part, t->d->bytes[n]);
	sheet_number(t->part, t->d->blocks[n]);
	add_place(t->part, t->r, t->d->node[n]);
	sheet_unknown(t->part);
	sheet_branch(t->part, text.data, depth);
	str_release(&text);
}

static void add_others(struct tree *t, unsigned int depth, const struct level *level)
{
	struct str text = STR_INIT;

	str_printf(&text, "%s more", format_count(level->other_nr).text);
	sheet_number(t->part, depth);
	sheet_number(t->part, level->other_bytes);
	sheet_number(t->part, level->other_blocks);
	sheet_unknown(t->part);
	sheet_unknown(t->part);
	sheet_number(t->part, level->other_nr);
	sheet_branch(t->part, text.data, depth);
	str_release(&text);
}

/* Chooses the children of a node to be shown and sums the others up. */
static void enter(struct tree *t, struct level *level, uint32_t n, bool is_deepest)
{
	const struct dominators *d = t->d;
	size_t nr = is_deepest ? 0 : dominators_largest(d, n, level->largest, t->o->children);

	while (nr && d->bytes[level->largest[nr - 1]] < t->least_bytes)
		nr--;
	level->n = n;
	level->nr = nr;
	level->next = 0;
	level->other_nr = d->first[n + 1] - d->first[n] - (uint32_t)nr;
	level->other_bytes = d->bytes[n];
	level->other_blocks = d->blocks[n];
	if (!(d->node[n] & DOMINATORS_OWNER)) {
		level->other_bytes -= reach_size(t->r, d->node[n]);
		level->other_blocks--;
	}
	for (size_t i = 0; i < nr; i++) {
		level->other_bytes -= d->bytes[level->largest[i]];
		level->other_blocks -= d->blocks[level->largest[i]];
	}
}

void keepview_tree_add(struct sheet *part, const struct reach *r, const struct dominators *d,
		       uint32_t head, const struct keepview_options *o)
{
	struct tree t = {.part = part, .r = r, .d = d, .o = o};
	struct level *levels = mem_alloc_array(o->depth + 1, sizeof(*levels));
	unsigned int depth = 0;

	t.least_bytes = d->bytes[head] / 1000 * o->least_permille;
	for (unsigned int i = 0; i <= o->depth; i++)
		levels[i].largest = mem_alloc_array(o->children, sizeof(*levels[i].largest));
	add_row(&t, 0, head);
	enter(&t, &levels[0], head, o->depth == 0);
	for (;;) {
		struct level *level = &levels[depth];

		if (level->next < level->nr) {
			uint32_t child = level->largest[level->next++];

			depth++;
			add_row(&t, depth, child);
			enter(&t, &levels[depth], child, depth == o->depth);
			continue;
		}
		if (level->other_bytes && level->other_bytes >= t.least_bytes)
			add_others(&t, depth + 1, level);
		if (depth == 0)
			break;
		depth--;
	}
	for (unsigned int i = 0; i <= o->depth; i++)
		free(levels[i].largest);
	free(levels);
}
