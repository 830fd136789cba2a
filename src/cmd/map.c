/* seep map: what the address space of a process is used for, by kind and by region. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/look.h"
#include "cmd/show.h"
#include "format/vmmap_csv.h"
#include "model/filter.h"
#include "model/mapdiff.h"
#include "model/mapview.h"
#include "model/regions.h"
#include "model/sheet.h"
#include "target/process.h"

#define FORMAT_VMMAP (SHOW_CSV + 1)

static const char *const usage[] = {"[OPTION...] TARGET", "[OPTION...] OLD NEW",
				    "--at ADDRESS TARGET", NULL};
static const char *const examples[] = {
	"seep map --summary redis-server",
	"what its memory is made of, a row a kind",
	"seep map --filter 'kind=heap or kind=block' --sort rss --limit 10 redis-server",
	"the ten heap regions with most memory in them",
	"seep map --group-by owner --filter kind=image redis-server",
	"what each library costs",
	"seep map --at 0x7ffd5a3c1b20 redis-server",
	"which region an address is in, and which block",
	"seep map one.seep two.seep",
	"what is new, gone and grown",
	"seep map --format vmmap-csv -o out.csv redis-server",
	"the file that VMMap writes, for its viewers",
	NULL,
};

struct map_command {
	struct look_options look;
	struct mapview_options view;
	const char *filter_text, *at_text, *output;
	struct filter *filter;
	uint64_t at;
	uint64_t limit;
	int group, format;
	bool wide, force;
};

static int read_options(struct map_command *m, int argc, char **argv, int *ret_first)
{
	struct opt table[] = {
		{OPT_GROUP, 0, "What is listed", NULL, NULL, NULL},
		{OPT_FLAG, 's', "summary", NULL, "the table by kind only", &m->view.summary},
		{OPT_CHOICE, 'g', "group-by", "region|owner",
		 "what makes a row below the summary: a region, or all of one library, heap, "
		 "thread or file",
		 &m->group},
		{OPT_TEXT, 0, "sort", "COLUMN",
		 "order of the rows, by the name of a column in JSON with or without _bytes: start "
		 "size rss pss dirty swap …",
		 &m->view.sort},
		{OPT_COUNT, 'n', "limit", "N", "rows to list, 0 for all (default)", &m->limit},
		{OPT_TEXT, 'f', "filter", "EXPR",
		 "only regions that match: kind, prot, path, owner, section, flags; size, rss, "
		 "pss, uss, dirty, swap, locked, huge, private, addr",
		 &m->filter_text},
		{OPT_FLAG, 0, "free", NULL, "list the free gaps between regions too",
		 &m->view.free_gaps},
		{OPT_TEXT, 0, "at", "ADDRESS",
		 "only the region that holds this address, its neighbours, and the block",
		 &m->at_text},
		{OPT_FLAG, 0, "force", NULL,
		 "compare different processes all the same, by kind only", &m->force},
		{OPT_GROUP, 0, "How it is shown", NULL, NULL, NULL},
		{OPT_CHOICE, 0, "format", SHOW_FORMATS "|vmmap-csv",
		 "csv has the regions, or with --summary the kinds", &m->format},
		{OPT_TEXT, 'o', "output", "FILE", "write to FILE instead of standard output",
		 &m->output},
		{OPT_FLAG, 'w', "wide", NULL, "all columns and whole names, however wide",
		 &m->wide},
		{OPT_GROUP, 0, "How the target is read", NULL, NULL, NULL},
		{0}, /* room for LOOK_OPTIONS and the end */
		{0},
		{0},
	};
	const struct cmd_spec spec = {
		.name = "map",
		.usage = usage,
		.purpose = "Shows what the address space of a process, a core or a snapshot is "
			   "used for, and how much of it is in memory.",
		.options = table,
		.examples = examples,
		.operands_min = 1,
		.operands_max = 2,
		.operands = "a target: a process, a core file or a snapshot",
	};

	look_options_table(&m->look, &table[sizeof(table) / sizeof(table[0]) - 1 - LOOK_OPTIONS]);
	return cmd_options(&spec, argc, argv, ret_first);
}

static int check_options(struct map_command *m, int nr_targets)
{
	struct error e = {0};

	if (m->at_text && (nr_targets > 1 || m->view.summary || m->filter_text))
		return cmd_usage_error("map", "--at goes with one target, and without --summary "
					      "and --filter");
	if (m->format == FORMAT_VMMAP && (nr_targets > 1 || m->at_text || m->filter_text))
		return cmd_usage_error("map", "--format vmmap-csv shows all of one target");
	if (m->filter_text && mapview_filter_parse(m->filter_text, &m->filter, &e) < 0)
		return cmd_fail(&e);
	m->view.filter = m->filter;
	m->view.limit = m->limit;
	m->view.group = (enum map_group)m->group;
	m->view.all_columns = m->format != SHOW_TEXT || m->view.sort;
	if (m->at_text && parse_hex(m->at_text, &m->at) < 0)
		return cmd_usage_error("map", "'%s' is not an address", m->at_text);
	return EXIT_DONE;
}

/* What is left of the terminal for the last column when all others that matter stand before it. */
static size_t detail_room(const struct map_command *m)
{
	unsigned int width = m->wide || m->format != SHOW_TEXT ? 0 : show_width(m->output);

	if (width == 0)
		return 0;
	return width < 120 ? 26 : width - 92;
}

/* A process without figures has ended, or they may not be read; a core never has them. */
static int check_use(const struct look *l, struct error *e)
{
	const struct process_info *who = l->target ? target_process(l->target) : NULL;
	int err;

	if (!who || l->snapshot.has_region_use || target_how(l->target)->kind == TARGET_CORE)
		return 0;
	err = process_check(who->pid, who->start_ticks);
	return process_explain(who->pid, err ? err : -EACCES, "memory figures", e);
}

/*
 * To read registers, maps and figures of one instant takes less of the process's time standing
 * still than to clone it; where it cannot be stopped it is read as it runs.
 */
static int look(const struct map_command *m, const char *operand, struct look *ret)
{
	struct look_options o = m->look;
	struct error e = {0};
	int err;

	/* Blocks move, arenas do not: only for a block it must stand still longer. */
	o.wanted = LOOK_REGION_USE | LOOK_SPANS | (m->at_text ? 0 : LOOK_LET_GO);
	if (o.method == TARGET_WISH_AUTO)
		o.method = TARGET_WISH_STOP;
	err = look_at(operand, &o, ret, &e);
	if (err < 0 && m->look.method == TARGET_WISH_AUTO) {
		o.method = TARGET_WISH_AUTO;
		err = look_at(operand, &o, ret, &e);
	}
	if (err < 0)
		return cmd_fail(&e);
	if (check_use(ret, &e) < 0) {
		look_release(ret);
		return cmd_fail(&e);
	}
	if (ret->snapshot.nr_regions == 0) {
		error_set(&e, -ENODATA, EXIT_FILE, "'%s' has no memory map in it", operand);
		error_hint(&e, "take the snapshot again with this version of seep");
		look_release(ret);
		return cmd_fail(&e);
	}
	if (ret->damage)
		cmd_warn("'%s' is damaged: %s", operand, ret->damage);
	/* Of a file that knew less about what regions are for. */
	if (!ret->target)
		regions_classify(&ret->snapshot);
	return EXIT_DONE;
}

static char *printable(const char *text)
{
	struct str out = STR_INIT;

	text_printable(&out, text, strlen(text));
	return str_detach(&out);
}

static int show(const struct map_command *m, const struct sheet *s)
{
	/* The first table of a full listing is the summary; a table of data is the other one. */
	if (m->format == SHOW_CSV && s->nr_parts)
		s = &s->parts[0];
	if (m->wide)
		return show_sheet_wide(s, (enum show_format)m->format, m->output);
	return show_sheet(s, (enum show_format)m->format, m->output);
}

static void add_how(struct look *l, struct sheet *s)
{
	look_done_reading(l);
	look_totals(l, s);
	look_note_how(l, s);
}

static int show_vmmap(const struct map_command *m, const struct look *l)
{
	struct str out = STR_INIT;
	int status;

	vmmap_csv_write(&l->snapshot, &out);
	status = show_text(out.data, out.len, m->output);
	str_release(&out);
	return status;
}

/* Which block of a heap the address is in; nothing where no heap is. */
static void describe_block(struct look *l, uint64_t addr, struct sheet *s)
{
	struct heap_block b;
	struct str text = STR_INIT;

	if (!l->heaps || heaps_find_block(l->heaps, addr, &b) < 0)
		return;
	sheet_total(s, "block_address", CELL_ADDRESS, b.addr);
	sheet_total(s, "block_size", CELL_BYTES, b.size);
	sheet_total_text(s, "block_state", block_state_name(b.state));
	sheet_note(s, "%s block at 0x%llx, %s, %llu bytes into it.", block_state_name(b.state),
		   (unsigned long long)b.addr, format_bytes(b.size).text,
		   (unsigned long long)(addr - b.start));
	heaps_describe(l->heaps, &b, &text);
	for (char *line = text.data, *end; *line; line = end) {
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = 0;
		if (*line)
			sheet_note(s, "%s", line);
	}
	str_release(&text);
}

static int map_one(struct map_command *m, const char *operand)
{
	struct error e = {0};
	struct sheet sheet;
	struct look l;
	char *label;
	int status = look(m, operand, &l);

	if (status != EXIT_DONE)
		return status;
	label = printable(l.label);
	m->view.label = label;
	m->view.detail_max = detail_room(m);
	if (m->format == FORMAT_VMMAP) {
		status = show_vmmap(m, &l);
	} else if (m->at_text) {
		mapview_fill_at(&l.snapshot, &m->view, m->at, &sheet);
		describe_block(&l, m->at, &sheet);
		add_how(&l, &sheet);
		status = show(m, &sheet);
		sheet_release(&sheet);
	} else if (look_done_reading(&l), mapview_fill(&l.snapshot, &m->view, &sheet, &e) < 0) {
		status = cmd_fail(&e);
	} else {
		add_how(&l, &sheet);
		status = show(m, &sheet);
		sheet_release(&sheet);
	}
	free(label);
	look_release(&l);
	return status;
}

static int show_difference(struct map_command *m, const struct look *before, struct look *after)
{
	struct error e = {0};
	struct sheet sheet;
	bool same = snapshot_same_process(&before->snapshot, &after->snapshot, &e) == 0;
	char *label;
	int status;

	if (!same && !m->force) {
		error_hint(&e, "seep map --force compares them by kind");
		return cmd_fail(&e);
	}
	if (!same)
		cmd_warn("%s", e.message);
	label = printable(after->label);
	m->view.label = label;
	m->view.detail_max = detail_room(m);
	if (mapdiff_fill(&before->snapshot, &after->snapshot, same, &m->view, &sheet, &e) < 0) {
		status = cmd_fail(&e);
	} else {
		look_totals(after, &sheet);
		status = show(m, &sheet);
		sheet_release(&sheet);
	}
	free(label);
	return status;
}

static int map_two(struct map_command *m, const char *old, const char *new)
{
	struct look before, after;
	int status = look(m, old, &before);

	if (status != EXIT_DONE)
		return status;
	look_done_reading(&before);
	status = look(m, new, &after);
	if (status == EXIT_DONE) {
		look_done_reading(&after);
		status = show_difference(m, &before, &after);
		look_release(&after);
	}
	look_release(&before);
	return status;
}

/* Of a process with nothing in it, before the real one is touched: is there such a column? */
static int check_sort(const struct map_command *m, bool two)
{
	struct mapview_options view = m->view;
	struct error e = {0};
	struct snapshot empty;
	struct sheet sheet;
	int err;

	if (!view.sort || m->at_text || m->format == FORMAT_VMMAP)
		return EXIT_DONE;
	view.label = "";
	snapshot_init(&empty);
	empty.has_region_use = true;
	err = two ? mapdiff_fill(&empty, &empty, true, &view, &sheet, &e)
		  : mapview_fill(&empty, &view, &sheet, &e);
	if (err == 0)
		sheet_release(&sheet);
	snapshot_release(&empty);
	return err < 0 ? cmd_fail(&e) : EXIT_DONE;
}

int cmd_map(int argc, char **argv)
{
	struct map_command m = {.wide = false};
	int first, status;

	status = read_options(&m, argc, argv, &first);
	if (status != CMD_GO_ON)
		return status;
	status = check_options(&m, argc - first);
	if (status == EXIT_DONE)
		status = check_sort(&m, argc - first == 2);
	if (status == EXIT_DONE)
		status = argc - first == 2 ? map_two(&m, argv[first], argv[first + 1])
					   : map_one(&m, argv[first]);
	filter_free(m.filter);
	return status;
}
