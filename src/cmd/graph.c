/* See graph.h. */
#include "cmd/graph.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "cmd/cmd.h"
#include "model/references.h"
#include "model/sheet.h"

bool graph_has_memory(const struct graph *g)
{
	return g->source.look.target;
}

static const char *method_of(const struct graph *g)
{
	const struct snapshot *s = &g->source.look.snapshot;

	return strings_get(&s->strings, s->method);
}

bool graph_is_consistent(const struct graph *g)
{
	if (graph_has_memory(g))
		return target_how(g->source.look.target)->consistent;
	return strcmp(method_of(g), target_kind_name(TARGET_LIVE)) != 0;
}

static const char *how_it_was_taken(const struct graph *g)
{
	static const struct {
		enum target_kind kind;
		const char *words;
	} kinds[] = {
		{TARGET_CLONE, "taken from a frozen clone"},
		{TARGET_STOPPED, "taken while the process stood still"},
		{TARGET_LIVE, "taken while the process went on: not one instant"},
		{TARGET_CORE, "made from a core file"},
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!strcmp(method_of(g), target_kind_name(kinds[i].kind)))
			return kinds[i].words;
	}
	return "taken in a way that it does not tell";
}

void graph_note_how(const struct graph *g, struct sheet *sheet)
{
	if (g->source.look.damage)
		sheet_note(sheet, "The snapshot is damaged: %s.", g->source.look.damage);
	look_note_modes(&g->source.look, sheet);
	if (graph_has_memory(g))
		look_note_how(&g->source.look, sheet);
	else
		sheet_note(sheet, "Read from a snapshot, %s.", how_it_was_taken(g));
}

static int refuse_clone(const struct graph *g, struct error *e)
{
	error_set(
		e, -EAGAIN, EXIT_TARGET,
		"the blocks of %s are known from the recorder only, which a clone does not freeze",
		g->source.look.label);
	error_hint(e, "--method stop holds it still meanwhile");
	return -EAGAIN;
}

/* With an allocator that can be walked there are no extra blocks. Closes on failure. */
static int know_blocks(struct graph *g, struct error *e)
{
	struct look *look = &g->source.look;
	int err = 0;

	if (!look->target)
		return 0;
	extra_blocks_find(look->target, look->heaps, &look->snapshot, &g->extra);
	if (!g->extra.nr)
		err = blocks_refuse_blind(&g->source, e);
	if (err < 0)
		graph_close(g);
	return err;
}

static int open_once(struct graph *g, const char *operand, const struct look_options *o,
		     struct error *e)
{
	const struct blocks_wants wants = {.references = true, .stacks = true};
	int err;

	memset(g, 0, sizeof(*g));
	err = blocks_open(&g->source, operand, o, &wants, e);
	return err < 0 ? err : know_blocks(g, e);
}

static bool is_of_another_instant(const struct graph *g)
{
	return g->extra.nr && target_how(g->source.look.target)->kind == TARGET_CLONE;
}

int graph_open(struct graph *g, const char *operand, const struct look_options *o, struct error *e)
{
	struct look_options still = *o;
	int err = open_once(g, operand, o, e);

	if (err < 0 || !is_of_another_instant(g))
		return err;
	if (o->method != TARGET_WISH_AUTO) {
		err = refuse_clone(g, e);
		graph_close(g);
		return err;
	}
	graph_close(g);
	still.method = TARGET_WISH_STOP;
	return open_once(g, operand, &still, e);
}

int graph_adopt(struct graph *g, struct look *look, struct error *e)
{
	const struct blocks_wants wants = {.references = true};
	int err;

	memset(g, 0, sizeof(*g));
	blocks_adopt(&g->source, look, &wants);
	err = know_blocks(g, e);
	if (err == 0 && is_of_another_instant(g)) {
		err = refuse_clone(g, e);
		graph_close(g);
	}
	return err;
}

static int find_in_memory(struct graph *g, unsigned int options, struct error *e)
{
	unsigned int roots = options & GRAPH_NO_OTHER_ROOTS ? ROOTS_NO_OTHER : 0;
	struct look *look = &g->source.look;
	int err;

	roots_find(look->target, look->heaps, roots, &g->roots);
	roots_add_blocks(&g->roots, &g->extra);
	g->has_registers = g->roots.has_registers;
	g->has_kernel = g->roots.has_kernel;
	g->nr_other = g->roots.nr_other;
	err = reachable_find(look->target, look->heaps, &g->roots, &g->reach, &g->account,
			     options & GRAPH_HITS ? &g->hits : NULL, e);
	if (!(options & GRAPH_HITS))
		roots_release(&g->roots);
	return err;
}

static void find_in_snapshot(struct graph *g, unsigned int options)
{
	uint32_t unwanted = options & GRAPH_NO_OTHER_ROOTS ? 1u << ROOT_MEMORY : 0;
	const struct snapshot *s = &g->source.look.snapshot;
	const struct ref_account *a = &s->ref_account;

	g->reach = references_reach(s, unwanted, &g->hits);
	g->has_registers = a->has_registers;
	g->has_kernel = a->has_kernel;
	g->account = (struct reachable_account){
		.blocks = s->nr_ref_blocks,
		.root_bytes = a->root_bytes,
		.root_words = a->root_words,
		.unread_bytes = a->unread_bytes,
		.unwalked_heaps = a->unwalked_heaps,
		.unwalked_bytes = a->unwalked_bytes,
		.extra_blocks = a->extra_blocks,
		.rejected_blocks = a->rejected_blocks,
	};
	for (size_t i = 0; unwanted && i < s->nr_ref_owners; i++)
		g->nr_other += s->ref_owners[i].kind == ROOT_MEMORY;
	for (size_t i = 0; i < s->nr_ref_blocks; i++)
		g->account.bytes += s->ref_blocks[i].size;
}

int graph_find(struct graph *g, unsigned int options, struct error *e)
{
	if (graph_has_memory(g))
		return find_in_memory(g, options, e);
	find_in_snapshot(g, options);
	return 0;
}

void graph_close(struct graph *g)
{
	reach_free(g->reach);
	root_hits_release(&g->hits);
	roots_release(&g->roots);
	extra_blocks_release(&g->extra);
	blocks_close(&g->source);
	memset(g, 0, sizeof(*g));
}
