/* seep leaks: blocks that nothing points to any more, in any process, without preparation. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/blocks_source.h"
#include "cmd/cmd.h"
#include "cmd/show.h"
#include "heap/reachable.h"
#include "model/content.h"
#include "model/leakview.h"
#include "model/sheet.h"

struct leaks_options {
	struct look_options look;
	int group, format;
	uint64_t limit, min_bytes, min_age_ns;
	const char *output, *filter_text;
	bool list, possible, content, exit_code;
};

/* One answer, on its way to be shown. */
struct leaks_run {
	const struct leaks_options *o;
	struct blocks_source source;
	struct reachable_account account;
	bool has_registers, has_kernel;
	uint64_t dead_bytes;
	struct leak_list leaks;
	struct leak_totals totals;
};

static const char *const usage[] = {"[OPTION...] TARGET", NULL};
static const char *const examples[] = {
	"seep leaks ./program",
	"what it has lost, by the line of code, the class or the size",
	"seep leaks --list --limit 5 4242",
	"the five largest leaks, each with its address",
	"seep leaks --exit-code core.4242",
	"status 1 when there is any: for scripts",
	NULL,
};

static int read_options(struct leaks_options *o, int argc, char **argv, int *ret_first)
{
	struct opt look[LOOK_OPTIONS];
	struct opt table[] = {
		{OPT_GROUP, 0, "What is shown", NULL, NULL, NULL},
		{OPT_CHOICE, 'g', "group-by", "best|site|class|size",
		 "put leaks together that were made at one site, are of one class, or of one size; "
		 "best: the first of these that is known (default best)",
		 &o->group},
		{OPT_FLAG, 'l', "list", NULL, "a row a leak", &o->list},
		{OPT_FLAG, 'p', "possible", NULL,
		 "blocks too that only a pointer into their middle holds", &o->possible},
		{OPT_SIZE, 0, "min-bytes", "SIZE", "leave leaks out that hold less", &o->min_bytes},
		{OPT_DURATION, 0, "age", "TIME",
		 "only leaks of blocks at least so old (recorder needed)", &o->min_age_ns},
		{OPT_FLAG, 0, "content", NULL, "with --list: what is in them (may hold secrets)",
		 &o->content},
		{OPT_COUNT, 'n', "limit", "N", "rows to list, 0: all (default 20)", &o->limit},
		{OPT_FLAG, 0, "exit-code", NULL, "status 1 when something has leaked",
		 &o->exit_code},
		{OPT_GROUP, 0, "How it is shown", NULL, NULL, NULL},
		{OPT_CHOICE, 0, "format", SHOW_FORMATS,
		 "text for people, the others for programs (default text)", &o->format},
		{OPT_TEXT, 'o', "output", "FILE", "write to FILE instead of standard output",
		 &o->output},
		{OPT_GROUP, 0, "How it is looked at", NULL, NULL, NULL},
		{0},
		{0},
		{OPT_TEXT, 0, "symbols", "PATHS", "colon-separated folders of debug files",
		 &o->look.symbols},
		{OPT_FLAG, 0, "no-symbols", NULL, "do not look names of sites up",
		 &o->look.no_symbols},
		{OPT_END, 0, NULL, NULL, NULL, NULL},
	};
	const struct cmd_spec spec = {
		.name = "leaks",
		.usage = usage,
		.purpose =
			"Finds blocks that a process can never free again, because nothing points "
			"to them any more. The process needs no preparation; where the recorder "
			"is in it, every leak has its line of code.",
		.options = table,
		.examples = examples,
		.found = "something has leaked (with --exit-code)",
		.operands_min = 1,
		.operands_max = 1,
		.operands = "a process or a core",
	};

	look_options_table(&o->look, look);
	for (size_t i = 0; table[i].kind != OPT_END; i++) {
		if (table[i].kind == OPT_GROUP && table[i + 1].kind == OPT_END)
			memcpy(&table[i + 1], look, sizeof(look));
	}
	return cmd_options(&spec, argc, argv, ret_first);
}

/* Finds out what can be reached; afterwards the process need not stand still any more. */
static int search(struct leaks_run *run, struct error *e)
{
	struct look *look = &run->source.look;
	struct leak_heads heads;
	struct roots roots;
	struct reach *r;
	int err;

	roots_find(look->target, look->heaps, 0, &roots);
	run->has_registers = roots.has_registers;
	run->has_kernel = roots.has_kernel;
	run->dead_bytes = roots.dead_bytes;
	err = reachable_find(look->target, look->heaps, &roots, &r, &run->account, NULL, e);
	roots_release(&roots);
	if (err < 0)
		return err;
	leak_heads_find(r, REACH_LEAKED, &heads);
	leaks_collect(&run->leaks, r, &heads, REACH_LEAKED);
	run->totals.leaks = heads.nr;
	run->totals.leaked_blocks = heads.blocks;
	run->totals.leaked_bytes = heads.bytes;
	leak_heads_release(&heads);
	leak_heads_find(r, REACH_POSSIBLE, &heads);
	if (run->o->possible)
		leaks_collect(&run->leaks, r, &heads, REACH_POSSIBLE);
	run->totals.possible_leaks = heads.nr;
	run->totals.possible_blocks = heads.blocks;
	run->totals.possible_bytes = heads.bytes;
	leak_heads_release(&heads);
	run->totals.reachable_blocks =
		run->account.blocks - run->totals.leaked_blocks - run->totals.possible_blocks;
	run->totals.reachable_bytes =
		run->account.bytes - run->totals.leaked_bytes - run->totals.possible_bytes;
	reach_free(r);
	return 0;
}

/* What the recorder and the block's first words tell; and away with what is not wanted. */
static void find_facts(struct leaks_run *run)
{
	const struct leaks_options *o = run->o;
	size_t kept = 0;

	for (size_t i = 0; i < run->leaks.nr; i++) {
		struct leak *leak = &run->leaks.items[i];

		blocks_know(&run->source, &leak->facts);
		if (leak_total_bytes(leak) < o->min_bytes)
			continue;
		if (o->min_age_ns &&
		    (leak->facts.age_ns == AGE_UNKNOWN || leak->facts.age_ns < o->min_age_ns))
			continue;
		run->leaks.items[kept++] = *leak;
	}
	run->leaks.nr = kept;
}

static void name_site(void *context, const struct leak *leak, struct str *out)
{
	struct leaks_run *run = context;

	if (leak->facts.stack != NO_INDEX)
		blocks_site_text(&run->source, leak->facts.stack, out);
}

static void name_class(void *context, const struct leak *leak, struct str *out)
{
	struct leaks_run *run = context;

	str_add(out, blocks_class_text(&run->source, leak->facts.class_id, leak->facts.is_array));
}

static void name_heap(void *context, const struct leak *leak, struct str *out)
{
	struct leaks_run *run = context;

	str_add(out, blocks_heap(&run->source, leak->facts.heap).name);
}

static void name_content(void *context, const struct leak *leak, struct str *out)
{
	struct leaks_run *run = context;
	const struct content_options options = {.word_bytes =
							target_word_bytes(run->source.look.target)};
	uint8_t bytes[CONTENT_BYTES];
	size_t want = leak->facts.size < sizeof(bytes) ? (size_t)leak->facts.size : sizeof(bytes);
	size_t got = target_read(run->source.look.target, leak->addr, bytes, want);

	content_preview(bytes, got, got == leak->facts.size, &options, out);
}

static void label(void *context, const struct leak *leak, struct str *out)
{
	struct leaks_run *run = context;
	enum leak_group_by by = (enum leak_group_by)run->o->group;
	struct str class_name = STR_INIT;

	if (by == LEAK_BY_BEST || by == LEAK_BY_SITE) {
		name_site(run, leak, out);
		if (out->len)
			return;
	}
	if (by == LEAK_BY_BEST || by == LEAK_BY_CLASS)
		name_class(run, leak, &class_name);
	if (by == LEAK_BY_SITE)
		str_add(out, "site not recorded");
	else if (by == LEAK_BY_CLASS && !class_name.len)
		str_add(out, "no class");
	else if (by == LEAK_BY_CLASS)
		str_add(out, class_name.data);
	else
		leakview_shape(leak, class_name.data, out);
	str_release(&class_name);
}

static int by_total(const void *a, const void *b)
{
	const struct leak *x = a, *y = b;
	uint64_t x_bytes = leak_total_bytes(x), y_bytes = leak_total_bytes(y);

	if (x->state != y->state)
		return x->state < y->state ? -1 : 1;
	if (x_bytes != y_bytes)
		return x_bytes > y_bytes ? -1 : 1;
	return (x->addr > y->addr) - (x->addr < y->addr);
}

static void set_heading(const struct leaks_run *run, struct sheet *sheet)
{
	const struct leak_totals *t = &run->totals;
	struct str out = STR_INIT;

	text_printable(&out, run->source.look.label, strlen(run->source.look.label));
	if (t->leaked_blocks == 0)
		str_printf(&out, ": nothing has leaked; %s blocks are reachable, %s",
			   format_count(t->reachable_blocks).text,
			   format_bytes(t->reachable_bytes).text);
	else
		str_printf(&out, ": %s in %s blocks leaked, %s leaks",
			   format_bytes(t->leaked_bytes).text, format_count(t->leaked_blocks).text,
			   format_count(t->leaks).text);
	sheet_set_heading(sheet, "%s\n", out.data);
	str_release(&out);
}

static void add_notes(const struct leaks_run *run, struct sheet *sheet)
{
	const struct leak_totals *t = &run->totals;
	const struct reachable_account *a = &run->account;
	struct str how = STR_INIT;

	if (t->leaked_blocks)
		sheet_note(sheet, "Reachable: %s in %s blocks.",
			   format_bytes(t->reachable_bytes).text,
			   format_count(t->reachable_blocks).text);
	if (t->possible_blocks)
		sheet_note(
			sheet,
			"Possibly leaked: %s in %s blocks, held by nothing but pointers into their "
			"middle%s.",
			format_bytes(t->possible_bytes).text, format_count(t->possible_blocks).text,
			run->o->possible ? "" : " (--possible lists them)");
	if (a->unwalked_heaps)
		sheet_note(
			sheet,
			"Not looked at: %s of %s heaps whose blocks are not known; what is in them "
			"counts as used.",
			format_bytes(a->unwalked_bytes).text, format_count(a->unwalked_heaps).text);
	if (a->unread_bytes)
		sheet_note(sheet,
			   "Incomplete: %s could not be read; blocks held from there only count as "
			   "leaked.",
			   format_bytes(a->unread_bytes).text);
	if (a->rejected_blocks)
		sheet_note(sheet, "Incomplete: %s blocks of a damaged heap were left out.",
			   format_count(a->rejected_blocks).text);
	if (!run->has_registers)
		sheet_note(sheet, "Incomplete: registers could not be read; a block that only a "
				  "register holds counts as leaked.");
	if (!run->source.look.snapshot.has_recorder)
		sheet_note(sheet, "Who made them is not known: seep run -- PROGRAM records that.");
	blocks_how(&run->source, &how);
	if (how.len) {
		if (*how.data >= 'a' && *how.data <= 'z')
			*how.data = (char)(*how.data - 'a' + 'A');
		sheet_note(sheet, "%s.", how.data);
	}
	str_release(&how);
}

static int show(struct leaks_run *run)
{
	const struct leaks_options *o = run->o;
	const struct leak_namer namer = {
		.site = name_site,
		.class_name = name_class,
		.heap = name_heap,
		.content = o->content ? name_content : NULL,
		.context = run,
	};
	struct leak_groups groups;
	struct sheet sheet;
	int status;

	if (o->list) {
		if (run->leaks.nr)
			qsort(run->leaks.items, run->leaks.nr, sizeof(*run->leaks.items), by_total);
		leakview_list(&run->leaks, &namer, &sheet);
	} else {
		leaks_group(&run->leaks, label, run, &groups);
		leakview_groups(&run->leaks, &groups, &sheet);
		leak_groups_release(&groups);
	}
	look_done_reading(&run->source.look);
	leakview_totals(&run->totals, &sheet);
	set_heading(run, &sheet);
	sheet_limit(&sheet, o->limit);
	add_notes(run, &sheet);
	status = show_sheet(&sheet, (enum show_format)o->format, o->output);
	sheet_release(&sheet);
	return status;
}

static int open_source(struct leaks_run *run, const char *operand, struct error *e)
{
	const struct blocks_wants wants = {.memory = true, .stacks = true};
	struct look_options options = run->o->look;
	struct progress progress;
	int err;

	options.progress = &progress;
	progress_start(&progress, STDERR_FILENO, "looking", 0);
	err = blocks_open(&run->source, operand, &options, &wants, e);
	progress_end(&progress);
	return err;
}

int cmd_leaks(int argc, char **argv)
{
	struct leaks_options o = {.limit = 20};
	struct leaks_run run = {.o = &o};
	struct error e = {0};
	int first, status = read_options(&o, argc, argv, &first);

	if (status != CMD_GO_ON)
		return status;
	if (open_source(&run, argv[first], &e) < 0)
		return cmd_fail(&e);
	if (search(&run, &e) < 0) {
		status = cmd_fail(&e);
	} else {
		find_facts(&run);
		status = show(&run);
		if (status == EXIT_DONE && o.exit_code && run.totals.leaked_blocks)
			status = EXIT_FOUND;
	}
	leaks_release(&run.leaks);
	blocks_close(&run.source);
	return status;
}
