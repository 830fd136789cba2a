/* The answer of `seep leaks` in every format; see leaks.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/leaks.h"
#include "cmd/show.h"
#include "format/leaks_ci.h"
#include "model/leak_tree.h"
#include "model/lines.h"
#include "model/sheet.h"
#include "model/site.h"

#define TREES_SHOWN 3

static void set_heading(const struct leaks_look *l, struct sheet *sheet)
{
	const struct leak_totals *t = &l->totals;
	struct str out = STR_INIT;

	text_printable(&out, l->graph.source.look.label, strlen(l->graph.source.look.label));
	if (l->is_weakened && t->possible_blocks)
		str_printf(&out, ": %s in %s block%s possibly leaked; nothing is certain",
			   format_bytes(t->possible_bytes).text,
			   format_count(t->possible_blocks).text,
			   t->possible_blocks == 1 ? "" : "s");
	else if (t->leaked_blocks == 0)
		str_printf(&out, ": nothing has leaked; %s blocks are reachable, %s",
			   format_count(t->reachable_blocks).text,
			   format_bytes(t->reachable_bytes).text);
	else
		str_printf(&out, ": %s in %s block%s leaked, %s leak%s",
			   format_bytes(t->leaked_bytes).text, format_count(t->leaked_blocks).text,
			   t->leaked_blocks == 1 ? "" : "s", format_count(t->leaks).text,
			   t->leaks == 1 ? "" : "s");
	sheet_set_heading(sheet, "%s%s", out.data, sheet_rows(sheet) ? "\n" : "");
	str_release(&out);
}

/* What the rows do not show though it was found. */
static void note_left_out(const struct leaks_look *l, struct sheet *sheet)
{
	const struct leaks_left_out *o = &l->left_out;

	if (o->suppressed)
		sheet_note(sheet, "Suppressed: %s leaks, %s.", format_count(o->suppressed).text,
			   format_bytes(o->suppressed_bytes).text);
	if (o->in_baseline)
		sheet_note(sheet, "Known from the baseline: %s leaks, %s.",
			   format_count(o->in_baseline).text,
			   format_bytes(o->in_baseline_bytes).text);
	if (o->old)
		sheet_note(sheet, "There already in '%s': %s leaks' blocks.", l->o->since,
			   format_count(o->old).text);
	if (o->small + o->young)
		sheet_note(sheet, "Left out: %s leaks too small, %s too young or of unknown age.",
			   format_count(o->small).text, format_count(o->young).text);
	if (o->not_repeated)
		sheet_note(sheet, "Left out: %s that an earlier look did not find.",
			   format_count(o->not_repeated).text);
}

static void note_gaps(const struct leaks_look *l, struct sheet *sheet)
{
	const struct reachable_account *a = &l->graph.account;
	const struct losses *losses = &l->graph.source.look.snapshot.losses;

	if (a->extra_blocks)
		sheet_note(sheet,
			   "%s blocks are known from the recorder only; what it did not see counts "
			   "as used.",
			   format_count(a->extra_blocks).text);
	else if (a->unwalked_heaps)
		sheet_note(sheet,
			   "Not looked at: %s of %s heaps whose blocks are not known; what is in "
			   "them counts as used.",
			   format_bytes(a->unwalked_bytes).text,
			   format_count(a->unwalked_heaps).text);
	if (a->unread_bytes)
		sheet_note(sheet,
			   "Incomplete: %s could not be read; blocks held from there only count as "
			   "leaked.%s",
			   format_bytes(a->unread_bytes).text,
			   graph_has_memory(&l->graph) &&
					   target_how(l->graph.source.look.target)->kind ==
						   TARGET_CLONE
				   ? " --method stop reads what a clone does not have."
				   : "");
	if (l->o->no_other_roots)
		sheet_note(
			sheet,
			"As asked, memory whose use is not known (%s piece%s) keeps nothing alive: "
			"what only it holds counts as leaked.",
			format_count(l->graph.nr_other).text, l->graph.nr_other == 1 ? "" : "s");
	if (a->extra_blocks && losses->dropped_blocks)
		sheet_note(
			sheet,
			"Incomplete: the recorder had no room for %s blocks; what only they hold "
			"counts as leaked.",
			format_count(losses->dropped_blocks).text);
	if (a->rejected_blocks)
		sheet_note(sheet, "Incomplete: %s blocks of a damaged heap were left out.",
			   format_count(a->rejected_blocks).text);
	if (!l->graph.has_registers)
		sheet_note(sheet, "Incomplete: registers could not be read; a block that only a "
				  "register holds counts as leaked.");
	if (!l->graph.has_kernel)
		sheet_note(sheet, "Incomplete: what the kernel holds for it (epoll, timers) is not "
				  "known; a block held only there counts as leaked.");
}

static void add_notes(const struct leaks_look *l, struct sheet *sheet)
{
	const struct leak_totals *t = &l->totals;

	if (t->leaked_blocks)
		sheet_note(sheet, "Reachable: %s in %s blocks.",
			   format_bytes(t->reachable_bytes).text,
			   format_count(t->reachable_blocks).text);
	if (l->is_weakened && t->possible_blocks)
		sheet_note(sheet,
			   "Possibly leaked, because the process went on while it was read: "
			   "a pointer may have been on its way. What two looks find lost has "
			   "leaked (--repeat 2).");
	else if (t->possible_blocks)
		sheet_note(sheet,
			   "Possibly leaked: %s in %s blocks, held by nothing but pointers into "
			   "their middle%s.",
			   format_bytes(t->possible_bytes).text,
			   format_count(t->possible_blocks).text,
			   l->o->possible ? "" : " (--possible lists them)");
	if (l->earlier)
		sheet_note(sheet,
			   "Before exit handlers and destructors ran: %s in %s blocks had leaked. "
			   "They dropped the last pointers to %s in %s more.",
			   format_bytes(l->earlier->leaked_bytes).text,
			   format_count(l->earlier->leaked_blocks).text,
			   format_bytes(l->late_bytes).text, format_count(l->late_blocks).text);
	note_left_out(l, sheet);
	note_gaps(l, sheet);
	if (!l->graph.source.look.snapshot.has_recorder && l->leaks.nr)
		sheet_note(sheet,
			   "Who made them is not known: seep run records that from the start, "
			   "seep attach from now on.");
	graph_note_how(&l->graph, sheet);
}

/* --- what hangs on the largest leaks --- */

static void name_node(void *context, uint64_t addr, uint64_t size, struct str *out)
{
	struct leaks_look *l = context;
	struct leak leak = {.members = 1, .addr = addr};
	struct str class_name = STR_INIT, site = STR_INIT;
	const struct leak_namer namer = leaks_namer(l);

	leak.facts = (struct block_facts){.addr = addr,
					  .size = size,
					  .usable = size,
					  .stack = NO_INDEX,
					  .age_ns = AGE_UNKNOWN};
	blocks_know(&l->graph.source, &leak.facts);
	namer.class_name(l, &leak, &class_name);
	namer.site(l, &leak, &site);
	leakview_shape(&leak, class_name.data, out);
	if (site.len)
		str_printf(out, ", made at %s", site.data);
	str_release(&class_name);
	str_release(&site);
}

static void add_trees(struct leaks_look *l, struct sheet *sheet)
{
	const struct leak_tree_options options = {
		.depth = 6, .children = 4, .name = name_node, .context = l};
	struct sheet *part = leak_tree_part(sheet);

	for (size_t i = 0; i < l->leaks.nr && i < TREES_SHOWN; i++) {
		uint32_t id = reach_find(l->graph.reach, l->leaks.items[i].addr);

		if (reach_state(l->graph.reach, id) == REACH_LEAKED)
			leak_tree_add(part, l->graph.reach, &l->heads, id, &options);
	}
}

/* --- formats of build servers: a row a group --- */

static struct leaks_ci_row ci_row(struct leaks_look *l, const struct leak_group *g,
				  struct str *text)
{
	const struct leak *leak = &l->leaks.items[g->first];
	const struct lines *lines = block_filter_lines(&l->graph.source.filter, leak->facts.stack);
	struct leaks_ci_row row = {
		.label = g->label,
		.state = leak_state_name(g->state),
		.file = "",
		.leaks = g->leaks,
		.bytes = g->bytes,
		.held_blocks = g->held_blocks,
		.held_bytes = g->held_bytes,
	};

	if (lines) {
		const struct line *lead = &lines->items[site_of(lines).lead];

		row.file = lead->file;
		row.line = lead->line;
	}
	str_clear(text);
	leaks_fingerprint_text(l, leak, text);
	row.fingerprint = leak_fingerprint(text->data);
	return row;
}

static int show_ci(struct leaks_look *l, const struct leak_groups *groups)
{
	struct leaks_ci_row *rows = mem_alloc_array(groups->nr, sizeof(*rows));
	struct str out = STR_INIT, text = STR_INIT;
	int status;

	for (size_t i = 0; i < groups->nr; i++)
		rows[i] = ci_row(l, &groups->items[i], &text);
	if (l->o->format == LEAKS_SARIF)
		leaks_write_sarif(rows, groups->nr, SEEP_VERSION, &out);
	else
		leaks_write_junit(rows, groups->nr, l->graph.source.look.label, &out);
	look_done_reading(&l->graph.source.look);
	status = show_text(out.data, out.len, l->o->output);
	free(rows);
	str_release(&out);
	str_release(&text);
	return status;
}

/* --- */

static int show_sheets(struct leaks_look *l, const struct leak_groups *groups)
{
	const struct leaks_options *o = l->o;
	const struct leak_namer namer = leaks_namer(l);
	struct sheet sheet;
	int status;

	if (o->list)
		leakview_list(&l->leaks, &namer, &sheet);
	else
		leakview_groups(&l->leaks, groups, &sheet);
	if (o->tree)
		add_trees(l, &sheet);
	look_done_reading(&l->graph.source.look);
	look_totals(&l->graph.source.look, &sheet);
	leakview_totals(&l->totals, &sheet);
	if (l->earlier) {
		sheet_total(&sheet, "before_blocks", CELL_COUNT, l->earlier->leaked_blocks);
		sheet_total(&sheet, "before_bytes", CELL_BYTES, l->earlier->leaked_bytes);
		sheet_total(&sheet, "late_blocks", CELL_COUNT, l->late_blocks);
		sheet_total(&sheet, "late_bytes", CELL_BYTES, l->late_bytes);
	}
	sheet_total(&sheet, "suppressed_leaks", CELL_COUNT, l->left_out.suppressed);
	sheet_total(&sheet, "baseline_leaks", CELL_COUNT, l->left_out.in_baseline);
	sheet_limit(&sheet, o->limit);
	set_heading(l, &sheet);
	add_notes(l, &sheet);
	status = show_sheet(&sheet, (enum show_format)o->format, o->output);
	sheet_release(&sheet);
	return status;
}

static int write_baseline(struct leaks_look *l)
{
	struct leak_baseline b = {.items = NULL};
	struct str text = STR_INIT, label = STR_INIT;
	int status;

	for (size_t i = 0; i < l->leaks.nr; i++) {
		str_clear(&text);
		str_clear(&label);
		leaks_fingerprint_text(l, &l->leaks.items[i], &text);
		leaks_label(l, &l->leaks.items[i], &label);
		leak_baseline_add(&b, leak_fingerprint(text.data),
				  leak_total_bytes(&l->leaks.items[i]), label.data);
	}
	str_clear(&text);
	leak_baseline_write(&b, &text);
	status = show_text(text.data, text.len, l->o->write_baseline);
	if (status == EXIT_DONE)
		cmd_note("wrote %zu kind%s of leaks to %s", b.nr, b.nr == 1 ? "" : "s",
			 l->o->write_baseline);
	leak_baseline_release(&b);
	str_release(&text);
	str_release(&label);
	return status;
}

int leaks_show(struct leaks_look *l)
{
	struct leak_groups groups;
	int status;

	/* Groups need no order, and there may be millions of leaks. */
	if (l->o->list || l->o->tree || l->o->write_baseline)
		leaks_sort(&l->leaks);
	if (l->o->write_baseline) {
		status = write_baseline(l);
		if (status != EXIT_DONE)
			return status;
	}
	leaks_group(&l->leaks, leaks_label, l, &groups);
	leaks_hint(l, &groups);
	if (l->o->format == LEAKS_SARIF || l->o->format == LEAKS_JUNIT)
		status = show_ci(l, &groups);
	else
		status = show_sheets(l, &groups);
	leak_groups_release(&groups);
	return status;
}
