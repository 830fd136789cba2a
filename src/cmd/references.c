/* See references.h. */
#include "cmd/references.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/leaks.h"
#include "cmd/refs.h"
#include "cmd/stack_slots.h"
#include "heap/reference_scan.h"
#include "model/references.h"

static struct snapshot *snapshot_of(struct graph *g)
{
	return &g->source.look.snapshot;
}

static void add_account(struct graph *g)
{
	const struct reachable_account *a = &g->account;

	snapshot_of(g)->ref_account = (struct ref_account){
		.root_bytes = a->root_bytes,
		.root_words = a->root_words,
		.unread_bytes = a->unread_bytes,
		.unwalked_heaps = a->unwalked_heaps,
		.unwalked_bytes = a->unwalked_bytes,
		.extra_blocks = a->extra_blocks,
		.rejected_blocks = a->rejected_blocks,
		.has_registers = g->has_registers,
		.has_kernel = g->has_kernel,
	};
}

static void add_classes(struct graph *g)
{
	struct snapshot *s = snapshot_of(g);

	for (size_t i = 0; i < s->nr_ref_blocks; i++) {
		struct ref_block *row = &s->ref_blocks[i];
		struct block_facts b = {.addr = row->addr, .size = row->size, .usable = row->size};

		blocks_find_class(&g->source, &b);
		row->class_name = strings_add(&s->strings, blocks_class_text(&g->source, b.class_id,
									     b.is_array));
	}
}

static uint8_t kind_of(const struct graph *g, uint64_t where)
{
	const struct root_range *range;

	if (where & REACHABLE_WORD)
		return (uint8_t)g->roots.words[where & ~REACHABLE_WORD].kind;
	if (where & REACHABLE_OWN)
		return ROOT_GLOBAL;
	range = roots_find_range(&g->roots, where);
	return range ? (uint8_t)range->kind : ROOT_MEMORY;
}

static void add_owner(struct refs_run *run, const struct refs_owner *o)
{
	uint64_t where = run->graph->hits.items[o->hit].where;
	struct snapshot *s = snapshot_of(run->graph);
	struct refs_root_text text;
	struct str name = STR_INIT;
	struct ref_owner row;

	refs_describe_owner(run, o, &name);
	refs_root_text(run, where, &text);
	row = (struct ref_owner){
		.base = text.base,
		.name = strings_add(&s->strings, name.data),
		.before = strings_add(&s->strings, text.before.data),
		.behind = strings_add(&s->strings, text.behind.data),
		.kind = kind_of(run->graph, where),
		.always_offset = text.always_offset,
	};
	ARRAY_PUSH(s->ref_owners, s->nr_ref_owners, s->cap_ref_owners, row);
	refs_root_text_release(&text);
	str_release(&name);
}

static void add_root(struct refs_run *run, size_t hit, uint32_t owner)
{
	const struct graph *g = run->graph;
	struct snapshot *s = snapshot_of(run->graph);
	uint64_t into = refs_root_into(run, hit);
	uint64_t addr = reach_address(g->reach, g->hits.items[hit].edge & ~REACH_WEAK);
	struct str detail = STR_INIT;
	struct ref_root row = {
		.where = refs_root_address(run, hit),
		.block = references_find(s, addr),
		.into = into < REF_FAR ? (uint32_t)into : REF_FAR,
		.owner = owner,
	};

	refs_root_detail(run, g->hits.items[hit].where, &detail);
	row.detail = strings_add(&s->strings, detail.data);
	str_release(&detail);
	ARRAY_PUSH(s->ref_roots, s->nr_ref_roots, s->cap_ref_roots, row);
}

static void add_roots(struct graph *g, const struct symbolize_options *names)
{
	struct refs_run run = {.graph = g};
	struct refs_owners owners;

	run.variables = variables_open(snapshot_of(g), names);
	run.slots = stack_slots_new(snapshot_of(g), g->source.look.target, run.variables);
	refs_owners_find(&run, &owners);
	for (size_t i = 0; i < owners.nr; i++)
		add_owner(&run, &owners.items[i]);
	for (size_t i = 0; i < g->hits.nr; i++)
		add_root(&run, i, owners.of_hit[i]);
	refs_owners_release(&owners);
	stack_slots_free(run.slots);
	variables_close(run.variables);
}

/* What leaks look like that have no site and no class. */
static void add_patterns(struct leaks_look *l)
{
	struct leak_groups groups;

	leaks_collect_look(l);
	leaks_group(&l->leaks, leaks_label, l, &groups);
	leaks_hint_keep(l, &groups, snapshot_of(&l->graph));
	leak_groups_release(&groups);
	leaks_release(&l->leaks);
	leak_heads_release(&l->heads);
}

int references_take(struct look *look, const struct symbolize_options *names, struct error *e)
{
	const struct leaks_options options = {.possible = true};
	struct leaks_look l = {.o = &options};
	struct graph *g = &l.graph;
	int err = graph_adopt(g, look, e);

	if (err < 0)
		return err;
	err = graph_find(g, GRAPH_HITS, e);
	if (err == 0) {
		add_account(g);
		reference_scan(g->source.look.target, g->reach, g->hits.nr, snapshot_of(g));
		add_classes(g);
		add_roots(g, names);
		add_patterns(&l);
		snapshot_of(g)->has_references = true;
		blocks_give_back(&g->source, look);
	}
	graph_close(g);
	return err;
}
