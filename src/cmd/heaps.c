/* seep heaps: the heaps of a process, core or snapshot; what changed in them between two. */
#include "cmd/heaps.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/progress.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/show.h"
#include "model/heapdiff.h"
#include "model/heapview.h"
#include "model/map_use.h"
#include "model/sheet.h"

enum { SIZES_SHOWN = 8 };
#define NOT_WATCHED UINT64_MAX

static const char *const usage[] = {"[OPTION...] TARGET", "[OPTION...] OLD NEW", NULL};
static const char *const examples[] = {
	"seep heaps redis-server",
	"its heaps: how big, how full, how much of them is in memory",
	"seep heaps --watch 5s 4242",
	"which heap grows, how fast, and by blocks of which sizes",
	"seep heaps one.seep two.seep",
	"the same, between two snapshots",
	"seep heaps --check core.4242",
	"does what is in the heaps fit the allocator's books?",
	NULL,
};

/* Columns by which rows are put in order; those of a change have other names. */
static const char sort_choices[] = "busy|blocks|resident|committed|free|fragmentation|name";
static const char *const sort_keys[] = {"busy_bytes",
					"busy_blocks",
					"resident_bytes",
					"committed_bytes",
					"free_bytes",
					"fragmentation_percent",
					"heap"};
static const char *const change_keys[] = {"delta_busy_bytes",
					  "delta_busy_blocks",
					  "delta_resident_bytes",
					  "delta_committed_bytes",
					  "delta_free_bytes",
					  "delta_busy_bytes",
					  "heap"};

static int read_options(struct heaps_options *o, int argc, char **argv, int *ret_first)
{
	struct opt look[LOOK_OPTIONS];
	struct opt table[] = {
		{OPT_GROUP, 0, "What is shown", NULL, NULL, NULL},
		{OPT_DURATION, 'w', "watch", "TIME",
		 "look again every TIME (5s, 1m) and show what changed, until the process ends or "
		 "Ctrl-C",
		 &o->watch_ns},
		{OPT_COUNT, 0, "count", "N", "with --watch: stop after N looks", &o->count},
		{OPT_FLAG, 0, "check", NULL,
		 "show the checks of the allocator's books instead; status 1 when a heap is "
		 "damaged",
		 &o->check},
		{OPT_CHOICE, 's', "sort", sort_choices, "order of the rows (default busy)",
		 &o->sort},
		{OPT_COUNT, 'n', "limit", "N", "rows to list (default 0: all)", &o->limit},
		{OPT_FLAG, 0, "force", NULL,
		 "compare looks at different processes or starts all the same", &o->force},
		{OPT_GROUP, 0, "How it is shown", NULL, NULL, NULL},
		{OPT_CHOICE, 0, "format", SHOW_FORMATS,
		 "text for people, the others for programs (default text)", &o->format},
		{OPT_TEXT, 'o', "output", "FILE", "write to FILE instead of standard output",
		 &o->output},
		{OPT_GROUP, 0, "How it is looked at", NULL, NULL, NULL},
		{0},
		{0},
		{OPT_END, 0, NULL, NULL, NULL, NULL},
	};
	const struct cmd_spec spec = {
		.name = "heaps",
		.usage = usage,
		.purpose = "Shows the heaps of a process, core or snapshot: how much they hold, "
			   "how full they are, and how that adds up to its resident memory. The "
			   "process needs no preparation. Two targets: what changed.",
		.options = table,
		.examples = examples,
		.found = "a heap is damaged (with --check)",
		.operands_min = 1,
		.operands_max = 2,
		.operands = "a process, a core or a snapshot",
	};

	look_options_table(&o->look, look);
	memcpy(&table[sizeof(table) / sizeof(table[0]) - 1 - LOOK_OPTIONS], look, sizeof(look));
	return cmd_options(&spec, argc, argv, ret_first);
}

int heaps_look_at(const char *operand, const struct heaps_options *o, struct heaps_look *ret,
		  struct error *e)
{
	struct look_options options = o->look;
	struct progress progress;
	int err;

	memset(ret, 0, sizeof(*ret));
	histogram_init(&ret->sizes);
	options.wanted = LOOK_HEAPS | LOOK_REGION_USE;
	options.sizes = &ret->sizes;
	options.progress = &progress;
	progress_start(&progress, STDERR_FILENO, "walking the heaps", 0);
	err = look_at(operand, &options, &ret->look, e);
	progress_end(&progress);
	if (err < 0) {
		histogram_release(&ret->sizes);
		return err;
	}
	look_done_reading(&ret->look);
	ret->has_sizes = ret->look.target || ret->look.snapshot.has_blocks;
	if (!ret->look.target)
		heapdiff_sizes(&ret->look.snapshot, &ret->sizes);
	if (ret->look.damage)
		cmd_warn("'%s' is damaged: %s", operand, ret->look.damage);
	return 0;
}

void heaps_look_release(struct heaps_look *l)
{
	look_release(&l->look);
	histogram_release(&l->sizes);
}

bool heaps_sizes_compare(const struct heaps_look *a, const struct heaps_look *b)
{
	return a->has_sizes && b->has_sizes &&
	       a->look.snapshot.has_recorder == b->look.snapshot.has_recorder;
}

/* Who and how: for programs. */
static void add_identity(const struct look *l, struct sheet *sheet)
{
	look_totals(l, sheet);
	sheet_total_text(sheet, "allocator",
			 strings_get(&l->snapshot.strings, l->snapshot.allocator));
}

/* "redis-server (pid 4242): 1.2 MiB in use in 12,345 blocks, 8.9 MiB resident" */
static void set_heading(const struct heaps_look *l, struct sheet *sheet)
{
	const struct snapshot *s = &l->look.snapshot;
	unsigned int known = heapview_known(s);
	struct heap_figures sum;
	struct str out = STR_INIT;

	heapview_sum(s, &sum);
	text_printable(&out, l->look.label, strlen(l->look.label));
	str_printf(&out, ": %zu heap%s", s->nr_heaps, s->nr_heaps == 1 ? "" : "s");
	if (known & HEAP_HAS_BLOCKS)
		str_printf(&out, ", %s in use in %s blocks", format_bytes(sum.busy_bytes).text,
			   format_count(sum.busy_blocks).text);
	if (s->figures.rss)
		str_printf(&out, ", RSS %s", format_bytes(s->figures.rss).text);
	sheet_set_heading(sheet, "%s\n", out.data);
	str_release(&out);
}

static int show_checks(const struct heaps_look *l, const struct heaps_options *o)
{
	const struct snapshot *s = &l->look.snapshot;
	struct heap_verdicts verdicts;
	struct sheet sheet;
	int status;

	heapview_judge(s, &verdicts);
	heapview_checks(s, &sheet);
	add_identity(&l->look, &sheet);
	set_heading(l, &sheet);
	sheet_limit(&sheet, o->limit);
	look_note_how(&l->look, &sheet);
	status = show_sheet(&sheet, (enum show_format)o->format, o->output);
	sheet_release(&sheet);
	return status == EXIT_DONE && verdicts.damage ? EXIT_FOUND : status;
}

static void note_checks(const struct snapshot *s, struct sheet *sheet)
{
	struct heap_verdicts v;

	heapview_judge(s, &v);
	sheet_total(sheet, "checks", CELL_COUNT, v.nr);
	sheet_total(sheet, "failed_checks", CELL_COUNT, v.failed);
	if (v.damage && !v.failed)
		sheet_note(sheet, "What was checked: seep heaps --check.");
	if (v.failed)
		sheet_note(sheet,
			   "%zu of %zu checks of the allocator's books failed%s: seep heaps "
			   "--check shows them.",
			   v.failed, v.nr,
			   v.consistent ? "" : ", which the process that went on may explain");
}

static void note_footprint(const struct snapshot *s, struct sheet *sheet)
{
	struct map_footprint footprint;
	struct str text = STR_INIT;

	if (!s->has_region_use) {
		sheet_note(sheet, "What is resident is not known, so there is no balance of it.");
		return;
	}
	map_footprint_of(s, &footprint);
	map_footprint_sentence(&footprint, &text);
	sheet_note(sheet, "%s", text.data);
	str_release(&text);
}

int heaps_show_one(const struct heaps_look *l, const struct heaps_options *o)
{
	const struct snapshot *s = &l->look.snapshot;
	struct sheet sheet;
	int status;

	heapview_make(s, &sheet);
	add_identity(&l->look, &sheet);
	set_heading(l, &sheet);
	sheet_sort(&sheet, sheet_find_column(&sheet, sort_keys[o->sort]));
	sheet_limit(&sheet, o->limit);
	note_checks(s, &sheet);
	note_footprint(s, &sheet);
	look_note_how(&l->look, &sheet);
	status = show_sheet(&sheet, (enum show_format)o->format, o->output);
	sheet_release(&sheet);
	return status;
}

static void set_change_heading(const struct heapdiff *d, const struct look *after,
			       struct sheet *sheet)
{
	struct str out = STR_INIT;

	text_printable(&out, after->label, strlen(after->label));
	if (d->elapsed_ns)
		str_printf(&out, ": changes in %s", format_duration(d->elapsed_ns).text);
	sheet_set_heading(sheet, "%s\n", out.data);
	str_release(&out);
}

int heaps_show_change(const struct heaps_look *before, const struct heaps_look *after,
		      const struct heaps_options *o)
{
	bool sizes = heaps_sizes_compare(before, after);
	struct heapdiff d;
	struct sheet sheet;
	int status;

	heapdiff_make(&before->look.snapshot, sizes ? &before->sizes : NULL, &after->look.snapshot,
		      sizes ? &after->sizes : NULL, &d);
	heapdiff_show(&d, SIZES_SHOWN, &sheet);
	add_identity(&after->look, &sheet);
	set_change_heading(&d, &after->look, &sheet);
	sheet_sort(&sheet, sheet_find_column(&sheet, change_keys[o->sort]));
	sheet_limit(&sheet, o->limit);
	if (!sizes)
		sheet_note(&sheet, "Block sizes are not compared: a snapshot was taken without "
				   "blocks, or only one of the two with the recorder, which knows "
				   "the sizes as they were asked for.");
	status = show_sheet(&sheet, (enum show_format)o->format, o->output);
	sheet_release(&sheet);
	heapdiff_release(&d);
	return status;
}

/* What differs may be none of one process's doing: said, also where it was asked for. */
static int check_pair(const struct heaps_look *before, const struct heaps_look *after,
		      const struct heaps_options *o)
{
	struct error e = {0};

	if (snapshot_same_process(&before->look.snapshot, &after->look.snapshot, &e) == 0)
		return EXIT_DONE;
	if (!o->force)
		return cmd_fail(&e);
	cmd_warn("%s", e.message);
	return EXIT_DONE;
}

static int show_two(char **operands, const struct heaps_options *o)
{
	struct heaps_look before, after;
	struct error e = {0};
	int status;

	if (heaps_look_at(operands[0], o, &before, &e) < 0)
		return cmd_fail(&e);
	if (heaps_look_at(operands[1], o, &after, &e) < 0) {
		heaps_look_release(&before);
		return cmd_fail(&e);
	}
	status = check_pair(&before, &after, o);
	if (status == EXIT_DONE)
		status = heaps_show_change(&before, &after, o);
	heaps_look_release(&before);
	heaps_look_release(&after);
	return status;
}

static int show_one(const char *operand, const struct heaps_options *o)
{
	struct heaps_look look;
	struct error e = {0};
	int status;

	if (heaps_look_at(operand, o, &look, &e) < 0)
		return cmd_fail(&e);
	status = o->check ? show_checks(&look, o) : heaps_show_one(&look, o);
	heaps_look_release(&look);
	return status;
}

int cmd_heaps(int argc, char **argv)
{
	struct heaps_options o = {.watch_ns = NOT_WATCHED};
	int first, status = read_options(&o, argc, argv, &first);

	if (status != CMD_GO_ON)
		return status;
	if (!o.watch_ns)
		return cmd_usage_error("heaps", "--watch: looks need some time between them");
	if (o.watch_ns == NOT_WATCHED)
		o.watch_ns = 0;
	if (o.count && !o.watch_ns)
		return cmd_usage_error("heaps", "--count needs --watch");
	if (o.check && (o.watch_ns || argc - first > 1))
		return cmd_usage_error("heaps", "--check is of one look at one target");
	if (o.watch_ns && argc - first > 1)
		return cmd_usage_error("heaps", "--watch takes one target");
	if (o.watch_ns && o.format == SHOW_CSV)
		return cmd_usage_error("heaps", "--watch shows several tables: use text or json");
	if (o.watch_ns && o.output && strcmp(o.output, "-") != 0)
		return cmd_usage_error("heaps", "--watch writes to standard output only");
	if (argc - first > 1)
		return show_two(argv + first, &o);
	return o.watch_ns ? heaps_watch(argv[first], &o) : show_one(argv[first], &o);
}
