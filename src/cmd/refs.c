/* seep refs: who points to a block, and the way from a root that keeps it alive. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/progress.h"
#include "base/str.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/refs.h"
#include "cmd/show.h"
#include "cmd/stack_slots.h"
#include "model/leaks.h"
#include "model/refview.h"
#include "model/sheet.h"

static const char *const usage[] = {"[OPTION...] TARGET ADDRESS", "--tree [OPTION...] TARGET",
				    NULL};
static const char *const examples[] = {
	"seep refs redis-server 0x7f3a5c0010a0",
	"who points to this block, and from where it can be reached",
	"seep refs --format json core.4242 0x55d0c8a012a0",
	"the same of a core, for programs",
	"seep refs --tree redis-server",
	"which variables, threads and blocks keep most of its memory",
	NULL,
};

static int read_options(struct refs_options *o, int argc, char **argv, int *ret_first)
{
	struct opt table[LOOK_OPTIONS + 11] = {
		{OPT_GROUP, 0, "How it is shown", NULL, NULL, NULL},
		{OPT_FLAG, 't', "tree", NULL,
		 "what the block keeps; without ADDRESS: who keeps most, from the top down",
		 &o->tree},
		{OPT_COUNT, 'n', "limit", "N", "rows to list, 0: all (default 20)", &o->limit},
		{OPT_CHOICE, 0, "format", SHOW_FORMATS,
		 "text for people, the others for programs (default text)", &o->format},
		{OPT_TEXT, 'o', "output", "FILE", "write to FILE instead of standard output",
		 &o->output},
		{OPT_GROUP, 0, "How it is looked at", NULL, NULL, NULL},
		{OPT_FLAG, 0, "no-other-roots", NULL,
		 "memory whose use is not known keeps nothing alive", &o->no_other_roots},
		{OPT_TEXT, 0, "symbols", "PATHS", "colon-separated folders of debug files",
		 &o->look.symbols},
		{OPT_FLAG, 0, "no-symbols", NULL, "do not look names up", &o->look.no_symbols},
	};
	const struct cmd_spec spec = {
		.name = "refs",
		.usage = usage,
		.purpose =
			"Shows who points to the block at an address, and a shortest way from a "
			"root (a variable, a stack, a register) that keeps it alive; or who keeps "
			"most of the memory. The process needs no preparation.",
		.options = table,
		.examples = examples,
		.operands_min = 1,
		.operands_max = 2,
		.operands = "a process, core or snapshot, and an address",
	};

	look_options_table(&o->look, &table[9]);
	return cmd_options(&spec, argc, argv, ret_first);
}

static int search(struct refs_run *run, struct error *e)
{
	int err = graph_find(run->graph,
			     GRAPH_HITS | (run->o->no_other_roots ? GRAPH_NO_OTHER_ROOTS : 0), e);

	if (err < 0 || !run->has_addr)
		return err;
	run->id = reach_find(run->graph->reach, run->addr);
	if (run->id != REACH_NONE)
		return 0;
	error_set(e, -ENOENT, EXIT_TARGET, "0x%llx is in no busy block of %s",
		  (unsigned long long)run->addr, run->graph->source.look.label);
	error_hint(e, "seep blocks --at says what is there");
	return -ENOENT;
}

static void add_pointer(struct sheet *s, struct refs_run *run, uint32_t from, uint64_t offset,
			bool has_offset, uint64_t into)
{
	uint64_t start = reach_address(run->graph->reach, from);
	struct str what = STR_INIT;

	refs_describe_block(run, from, &what);
	refview_add(s, "block", has_offset ? start + offset : 0, offset, has_offset, into,
		    what.data);
	str_release(&what);
}

/* Every word of a block that points into the one asked about. */
static void add_pointers(struct refs_run *run, struct sheet *s, uint32_t from)
{
	struct graph *g = run->graph;
	uint64_t addr = reach_address(g->reach, from), size = reach_size(g->reach, from);
	uint64_t low = reach_address(g->reach, run->id), width = reach_size(g->reach, run->id);
	unsigned int step = target_word_bytes(g->source.look.target);
	uint64_t word;

	for (uint64_t at = 0; at + step <= size; at += step) {
		if (window_word(&g->source.window, addr + at, &word) &&
		    reach_untagged(g->reach, word) - low < width)
			add_pointer(s, run, from, at, true, refs_into(g->reach, word, low));
	}
}

/* The same of a snapshot. first: index of the block's first edge. */
static void add_kept_pointers(struct refs_run *run, struct sheet *s, uint32_t from, uint64_t first)
{
	const struct snapshot *shot = &run->graph->source.look.snapshot;
	const struct ref_block *b = &shot->ref_blocks[from];

	for (uint64_t i = first; i < first + b->nr_edges; i++) {
		const struct ref_edge *edge = &shot->ref_edges[i];

		if (edge->block == run->id)
			add_pointer(s, run, from,
				    (uint64_t)edge->slot * shot->ref_account.word_bytes,
				    edge->slot != REF_FAR, edge->into);
	}
}

static void add_root_row(struct refs_run *run, struct sheet *s, size_t hit)
{
	struct str what = STR_INIT;

	refs_describe_root(run, hit, &what);
	refview_add(s, "root", refs_root_address(run, hit), 0, false, refs_root_into(run, hit),
		    what.data);
	str_release(&what);
}

static void add_referrers(struct refs_run *run, struct sheet *s)
{
	struct graph *g = run->graph;
	uint32_t *ids, done = 0;
	uint64_t first = 0;
	size_t nr;

	for (size_t i = 0; i < g->hits.nr; i++) {
		if ((g->hits.items[i].edge & ~REACH_WEAK) == run->id)
			add_root_row(run, s, i);
	}
	nr = reach_referrers(g->reach, run->id, &ids);
	for (size_t i = 0; i < nr && graph_has_memory(g); i++)
		add_pointers(run, s, ids[i]);
	for (size_t i = 0; i < nr && !graph_has_memory(g); i++) {
		for (; done < ids[i]; done++)
			first += g->source.look.snapshot.ref_blocks[done].nr_edges;
		add_kept_pointers(run, s, ids[i], first);
	}
	free(ids);
}

static void add_step(struct refs_run *run, struct sheet *path, uint32_t id)
{
	struct str what = STR_INIT;

	refs_describe_block(run, id, &what);
	refview_path_add(path, "block", reach_address(run->graph->reach, id), what.data);
	str_release(&what);
}

static void add_path(struct refs_run *run, struct sheet *s)
{
	struct sheet *part = refview_path(s);
	struct str what = STR_INIT;
	struct reach_path path;

	reach_path_find(run->graph->reach, &run->graph->hits, run->id, &path);
	if (path.nr) {
		refs_describe_root(run, path.hit, &what);
		refview_path_add(part, "root", refs_root_address(run, path.hit), what.data);
		for (size_t i = 0; i < path.nr; i++)
			add_step(run, part, path.ids[i]);
		if (path.weak)
			sheet_note(s, "A pointer on this way goes to the middle of a block: it may "
				      "be chance.");
	} else {
		sheet_note(s,
			   "Nothing that is used points to it, nor to what does: it has leaked%s.",
			   graph_is_consistent(run->graph)
				   ? ""
				   : ", or a pointer was on its way while the process was read");
	}
	reach_path_release(&path);
	str_release(&what);
}

static void note_gaps(const struct refs_run *run, struct sheet *sheet)
{
	const struct reachable_account *a = &run->graph->account;

	if (a->unwalked_heaps && !a->extra_blocks)
		sheet_note(sheet, "Not looked at: %s of %s heaps whose blocks are not known.",
			   format_bytes(a->unwalked_bytes).text,
			   format_count(a->unwalked_heaps).text);
	if (run->o->no_other_roots)
		sheet_note(
			sheet,
			"As asked, memory whose use is not known (%s piece%s) keeps nothing alive.",
			format_count(run->graph->nr_other).text,
			run->graph->nr_other == 1 ? "" : "s");
	if (a->unread_bytes)
		sheet_note(sheet, "Incomplete: %s could not be read.",
			   format_bytes(a->unread_bytes).text);
}

/* What is not of one instant proves no leak. */
static const char *state_of_block(const struct refs_run *run)
{
	enum reach_state state = reach_state(run->graph->reach, run->id);

	if (state == REACH_LEAKED && !graph_is_consistent(run->graph))
		state = REACH_POSSIBLE;
	return leak_state_name(state);
}

static int fill(struct refs_run *run, struct sheet *sheet, struct error *e)
{
	uint64_t begin = reach_address(run->graph->reach, run->id);
	struct str text = STR_INIT;

	refview_init(sheet);
	refs_describe_block(run, run->id, &text);
	sheet_set_heading(sheet, "0x%llx, %s: %s\n", (unsigned long long)begin, text.data,
			  state_of_block(run));
	sheet_total_text(sheet, "state", state_of_block(run));
	sheet_total(sheet, "address", CELL_ADDRESS, begin);
	sheet_total(sheet, "size", CELL_BYTES, reach_size(run->graph->reach, run->id));
	add_referrers(run, sheet);
	sheet_total(sheet, "referrers", CELL_COUNT, sheet_rows(sheet));
	if (sheet_rows(sheet) == 0)
		sheet_note(sheet, "Nothing points to it.");
	sheet_limit(sheet, run->o->limit);
	add_path(run, sheet);
	str_release(&text);
	if (run->o->tree && refs_kept_by_block(run, sheet, e) < 0) {
		sheet_release(sheet);
		return -1;
	}
	return 0;
}

static int answer(struct refs_run *run)
{
	const struct symbolize_options names = {.symbols = run->o->look.symbols,
						.no_debuginfod = run->o->look.no_symbols};
	struct error e = {0};
	struct sheet sheet;
	int err, status;

	if (search(run, &e) < 0)
		return cmd_fail(&e);
	if (graph_has_memory(run->graph)) {
		run->variables = variables_open(&run->graph->source.look.snapshot, &names);
		run->slots = stack_slots_new(&run->graph->source.look.snapshot,
					     run->graph->source.look.target, run->variables);
	}
	err = run->has_addr ? fill(run, &sheet, &e) : refs_keepers(run, &sheet, &e);
	stack_slots_free(run->slots);
	variables_close(run->variables);
	if (err < 0)
		return cmd_fail(&e);
	note_gaps(run, &sheet);
	look_done_reading(&run->graph->source.look);
	look_totals(&run->graph->source.look, &sheet);
	graph_note_how(run->graph, &sheet);
	status = show_sheet(&sheet, (enum show_format)run->o->format, run->o->output);
	sheet_release(&sheet);
	return status;
}

int cmd_refs(int argc, char **argv)
{
	struct refs_options o = {.limit = 20};
	struct graph graph;
	struct refs_run run = {.o = &o, .graph = &graph};
	struct error e = {0};
	int first, status = read_options(&o, argc, argv, &first);

	if (status != CMD_GO_ON)
		return status;
	run.has_addr = first + 1 < argc;
	if (!run.has_addr && !o.tree)
		return cmd_usage_error("refs", "which block? An address is missing (or --tree)");
	if (run.has_addr && parse_hex(argv[first + 1], &run.addr) < 0)
		return cmd_usage_error("refs", "'%s' is not an address", argv[first + 1]);
	if (graph_open(&graph, argv[first], &o.look, &e) < 0)
		return cmd_fail(&e);
	status = answer(&run);
	graph_close(&graph);
	return status;
}
