/* seep refs --tree: who keeps most, from the top down; see refs.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/refs.h"
#include "model/dominators.h"
#include "model/keepview.h"
#include "model/sheet.h"

#define TREES_SHOWN 5
#define HOLDERS_SHOWN 3

struct tree {
	struct refs_run *run;
	struct refs_owners owners;
	struct dominators d;
};

static int tree_init(struct tree *t, struct refs_run *run, struct error *e)
{
	int err;

	t->run = run;
	refs_owners_find(run, &t->owners);
	err = dominators_find(run->graph->reach, &run->graph->hits, t->owners.of_hit,
			      (uint32_t)t->owners.nr, &t->d);
	if (err < 0) {
		refs_owners_release(&t->owners);
		return error_set(e, err, EXIT_TARGET,
				 "more than four thousand million pointers in the blocks of %s",
				 run->graph->source.look.label);
	}
	return 0;
}

static void tree_release(struct tree *t)
{
	refs_owners_release(&t->owners);
	dominators_release(&t->d);
}

/* ", held by global data a, stack of thread 12": owners that point to the block themselves. */
static void add_holders(const struct tree *t, uint32_t id, struct str *out)
{
	uint32_t seen[HOLDERS_SHOWN];
	size_t nr = 0;

	for (size_t i = 0; i < t->run->graph->hits.nr && nr < HOLDERS_SHOWN; i++) {
		uint32_t owner = t->owners.of_hit[i];
		bool again = false;

		if ((t->run->graph->hits.items[i].edge & ~REACH_WEAK) != id)
			continue;
		for (size_t k = 0; k < nr; k++)
			again |= seen[k] == owner;
		if (again)
			continue;
		seen[nr++] = owner;
		str_add(out, nr == 1 ? ", held by " : ", ");
		refs_describe_owner(t->run, &t->owners.items[owner], out);
	}
	if (nr < 2)
		str_add(out, nr ? ", and from blocks" : ", held from several sides");
}

static void describe(void *context, uint32_t n, struct str *out)
{
	const struct tree *t = context;
	uint32_t node = t->d.node[n];

	if (node & DOMINATORS_OWNER) {
		refs_describe_owner(t->run, &t->owners.items[node & ~DOMINATORS_OWNER], out);
		return;
	}
	refs_describe_block(t->run, node, out);
	if (t->d.dom[n] == DOMINATORS_ROOT)
		add_holders(t, node, out);
}

static struct keepview_options options_of(struct tree *t)
{
	return (struct keepview_options){
		.depth = 6, .children = 5, .least_permille = 50, .name = describe, .context = t};
}

int refs_keepers(struct refs_run *run, struct sheet *ret, struct error *e)
{
	struct tree t;
	struct keepview_options options = options_of(&t);
	uint32_t largest[TREES_SHOWN];
	struct str label = STR_INIT;
	struct sheet *part;
	size_t nr;
	int err = tree_init(&t, run, e);

	if (err < 0)
		return err;
	keepview_init(ret, run->graph->reach, &t.d, run->o->limit, &options);
	text_printable(&label, run->graph->source.look.label,
		       strlen(run->graph->source.look.label));
	sheet_set_heading(ret, "%s: %s in %s blocks, and who keeps them\n", label.data,
			  format_bytes(t.d.bytes[DOMINATORS_ROOT]).text,
			  format_count(t.d.blocks[DOMINATORS_ROOT]).text);
	part = keepview_tree(ret, "What the largest keep");
	nr = dominators_largest(&t.d, DOMINATORS_ROOT, largest, TREES_SHOWN);
	for (size_t i = 0; i < nr && t.d.bytes[largest[i]]; i++)
		keepview_tree_add(part, run->graph->reach, &t.d, largest[i], &options);
	str_release(&label);
	tree_release(&t);
	return 0;
}

int refs_kept_by_block(struct refs_run *run, struct sheet *s, struct error *e)
{
	struct tree t;
	struct keepview_options options = options_of(&t);
	struct sheet *part;
	uint32_t n;
	int err = tree_init(&t, run, e);

	if (err < 0)
		return err;
	part = keepview_tree(s, "What it keeps");
	n = dominators_number(&t.d, run->id);
	if (n != DOMINATORS_NONE) {
		sheet_total(s, "retained_bytes", CELL_BYTES, t.d.bytes[n]);
		sheet_total(s, "retained_blocks", CELL_COUNT, t.d.blocks[n]);
		keepview_tree_add(part, run->graph->reach, &t.d, n, &options);
	}
	tree_release(&t);
	return 0;
}
