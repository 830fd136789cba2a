/* seep blocks: the command line of all its forms; each form is a blocks_FORM.c. */
#include "cmd/blocks.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/show.h"
#include "model/filter.h"
#include "model/sheet.h"

#define LIMIT_TEXT 20
#define OPTIONS_MAX 32

static const char *const usage[] = {
	"[OPTION...] TARGET",
	"[OPTION...] OLDER NEWER",
	NULL,
};
static const char *const examples[] = {
	"seep blocks batterymeter",
	"which sizes make most of its heaps",
	"seep blocks one.seep batterymeter",
	"by which sizes it grew since the snapshot",
	"seep blocks --top batterymeter",
	"the biggest heap, its biggest size, what these blocks are, who made them",
	"seep blocks --list --filter 'size=3k..4k and heap=main' batterymeter",
	"single blocks",
	"seep blocks --at 0x55d0c0a4f2b0 batterymeter",
	"the block that holds an address, and its neighbours",
	"seep blocks --search 'utf16:Battery Internal Info' batterymeter",
	"blocks with a text in them",
	NULL,
};

static void make_table(struct blocks_command *c, struct opt table[OPTIONS_MAX])
{
	const struct opt own[] = {
		{OPT_GROUP, 0, "What is shown", NULL, NULL, NULL},
		{OPT_FLAG, 0, "stat", NULL, "how many blocks of which size (this is the default)",
		 &c->stat},
		{OPT_FLAG, 0, "list", NULL, "single blocks", &c->list},
		{OPT_TEXT, 0, "at", "ADDRESS",
		 "the block that holds ADDRESS: its header, its neighbours, who made it", &c->at},
		{OPT_TEXT, 0, "search", "PATTERN",
		 "blocks that contain PATTERN: 'bytes:de ad be ef', word:0x1234, ptr:ADDRESS "
		 "(a pointer to that block, or into it), text:foo, utf16:foo, utf32:foo",
		 &c->search},
		{OPT_FLAG, 0, "strings", NULL, "texts in blocks, in UTF-8, UTF-16 and UTF-32",
		 &c->strings},
		{OPT_FLAG, 0, "top", NULL,
		 "the biggest heap, the biggest size in it, some of these blocks, what they are "
		 "and who made them; with two targets, what grew most",
		 &c->top},
		{OPT_GROUP, 0, "Which blocks", NULL, NULL, NULL},
		{OPT_TEXT, 'f', "filter", "EXPR",
		 "only blocks that match, e.g. 'size=64..128 and heap=main and age>5m'; "
		 "without the word state, only busy ones",
		 &c->filter_text},
		{OPT_FLAG, 0, "everywhere", NULL,
		 "with --search: all memory that can be written, not only busy blocks",
		 &c->everywhere},
		{OPT_COUNT, 0, "min-length", "N",
		 "with --strings: characters a text must have (default 6)", &c->min_length},
		{OPT_FLAG, 0, "force", NULL, "compare two targets that are not the same process",
		 &c->force},
		{OPT_GROUP, 0, "How it is shown", NULL, NULL, NULL},
		{OPT_CHOICE, 'g', "by", "size|heap|class",
		 "with --stat: what makes one row: a size, a size in a heap, a class "
		 "(default size)",
		 &c->by},
		{OPT_CHOICE, 's', "sort", "bytes|blocks|size|addr|age", "order of the rows",
		 &c->sort},
		{OPT_COUNT, 'n', "limit", "N",
		 "rows to show, 0 for all (default 20; all in formats for machines)", &c->limit},
		{OPT_FLAG, 0, "content", NULL,
		 "show what is in the blocks: never done unasked, it may be private", &c->content},
		{OPT_CHOICE, 0, "format", SHOW_FORMATS,
		 "text for people, the others for programs (default text)", &c->format},
		{OPT_TEXT, 'o', "output", "FILE", "write to FILE instead of standard output",
		 &c->output},
		{OPT_GROUP, 0, "How the target is read", NULL, NULL, NULL},
	};
	const struct opt symbols[] = {
		{OPT_TEXT, 0, "symbols", "PATHS",
		 "look for symbols in these files and folders first, separated by colons",
		 &c->look.symbols},
		{OPT_FLAG, 0, "no-symbols", NULL, "do not look up names", &c->look.no_symbols},
	};
	size_t nr = sizeof(own) / sizeof(own[0]);

	memset(table, 0, OPTIONS_MAX * sizeof(*table));
	memcpy(table, own, sizeof(own));
	look_options_table(&c->look, table + nr);
	memcpy(table + nr + LOOK_OPTIONS, symbols, sizeof(symbols));
}

static int read_options(struct blocks_command *c, int argc, char **argv, int *ret_first)
{
	struct opt table[OPTIONS_MAX];
	const struct cmd_spec spec = {
		.name = "blocks",
		.usage = usage,
		.purpose = "Shows the blocks in the heaps of a process, a core file or a snapshot: "
			   "by size, one by one, and what is in them. The process need not have "
			   "been prepared.",
		.options = table,
		.examples = examples,
		.operands_min = 1,
		.operands_max = 2,
		.operands = "a process, core or snapshot",
	};

	make_table(c, table);
	return cmd_options(&spec, argc, argv, ret_first);
}

static bool is_stat(const struct blocks_command *c)
{
	return !(c->list || c->strings || c->top || c->at || c->search);
}

/* What does not go together. */
static int check_options(const struct blocks_command *c)
{
	int forms = c->stat + c->list + c->strings + c->top + (c->at != NULL) + (c->search != NULL);

	if (forms > 1)
		return cmd_usage_error("blocks",
				       "only one of --stat, --list, --at, --search, --strings "
				       "and --top can be shown");
	if (c->older && !is_stat(c) && !c->top)
		return cmd_usage_error("blocks", "two targets go with --stat and --top only");
	if (c->force && !c->older)
		return cmd_usage_error("blocks", "--force goes with two targets only");
	if (c->by && !is_stat(c))
		return cmd_usage_error("blocks", "--by goes with --stat only");
	if (c->everywhere && !c->search)
		return cmd_usage_error("blocks", "--everywhere goes with --search only");
	if (c->min_length && !c->strings)
		return cmd_usage_error("blocks", "--min-length goes with --strings only");
	if (c->everywhere && c->filter_text)
		return cmd_usage_error("blocks", "--everywhere and --filter contradict each other");
	if (c->content && (is_stat(c) || c->strings))
		return cmd_usage_error("blocks",
				       "--content goes with --list, --at, --search and --top only");
	if ((c->sort == BLOCKS_SORT_ADDR || c->sort == BLOCKS_SORT_AGE) && !c->list)
		return cmd_usage_error("blocks", "--sort addr and age go with --list only");
	return EXIT_DONE;
}

static int run(struct blocks_command *c)
{
	struct error e = {0};

	if (c->filter_text && filter_parse_blocks(c->filter_text, &c->filter, &e) < 0)
		return cmd_fail(&e);
	if (c->list)
		return blocks_list(c);
	if (c->at)
		return blocks_at(c);
	if (c->search)
		return blocks_search(c);
	if (c->strings)
		return blocks_strings(c);
	if (c->top)
		return blocks_top(c);
	return blocks_stat(c);
}

int cmd_blocks(int argc, char **argv)
{
	struct blocks_command c = {.limit = UINT64_MAX, .sort = BLOCKS_SORT_DEFAULT};
	int first, status = read_options(&c, argc, argv, &first);

	if (status != CMD_GO_ON)
		return status;
	c.target = argv[argc - 1];
	c.older = argc - first == 2 ? argv[first] : NULL;
	status = check_options(&c);
	if (status == EXIT_DONE)
		status = run(&c);
	filter_free(c.filter);
	return status;
}

uint64_t blocks_limit(const struct blocks_command *c)
{
	if (c->limit != UINT64_MAX)
		return c->limit;
	return c->format == SHOW_TEXT ? LIMIT_TEXT : 0;
}

/* Memory of heaps whose blocks are not known is missing from every answer. */
static void note_heaps(struct blocks_source *s, struct sheet *sheet)
{
	for (size_t i = 0; i < blocks_nr_heaps(s); i++) {
		struct blocks_heap heap = blocks_heap(s, i);

		if (!(heap.flags & HEAP_HAS_BLOCKS))
			sheet_note(sheet,
				   "not in it: %s of heap %s%s%s: its blocks cannot be told "
				   "apart",
				   format_bytes(heap.figures.committed_bytes).text,
				   *heap.name ? heap.name : heap.allocator, *heap.fault ? ": " : "",
				   heap.fault);
		else if (*heap.fault)
			sheet_note(sheet, "heap %s is damaged: %s; what lies behind may be missing",
				   heap.name, heap.fault);
	}
}

static void note_sizes(const struct blocks_source *s, struct sheet *sheet)
{
	if (s->known_blocks && s->unknown_blocks)
		sheet_note(
			sheet,
			"the recorder did not see %s of %s blocks: of these the size is what the "
			"allocator made of it, not what the program asked for",
			format_count(s->unknown_blocks).text, format_count(s->busy_blocks).text);
}

int blocks_show(const struct blocks_command *c, struct blocks_source *s, struct sheet *sheet)
{
	note_sizes(s, sheet);
	look_note_modes(&s->look, sheet);
	note_heaps(s, sheet);
	if (s->look.damage)
		sheet_note(sheet, "the snapshot is damaged: %s", s->look.damage);
	look_totals(&s->look, sheet);
	look_note_how(&s->look, sheet);
	return show_sheet(sheet, (enum show_format)c->format, c->output);
}
