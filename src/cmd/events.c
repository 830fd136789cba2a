/* seep events: what a file of events holds, one by one and in sum. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/io.h"
#include "base/progress.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/events_read.h"
#include "cmd/show.h"
#include "format/csv_writer.h"
#include "format/json_writer.h"
#include "model/sheet.h"

#define NS_PER_MS 1000000ull
#define LIMIT_TEXT 20
#define WRITE_BYTES (1u << 16)

enum kind_choice { KIND_ALL, KIND_ALLOC, KIND_FREE };

struct events {
	struct events_options read;
	int format, kind;
	uint64_t limit; /* UINT64_MAX: the format's default */
	uint64_t from_ns, to_ns, min_bytes, thread;
	const char *address_text, *site, *output;
	uint64_t address;

	struct events_file file;
	uint64_t listed, matched;
	struct sheet sheet; /* text */
	struct str out;	    /* csv and json: what is not written yet */
	struct json json;
	struct replace target;
	struct error e;
	int err;
};

static const char *const usage[] = {"[OPTION...] FILE", NULL};
static const char *const examples[] = {
	"seep events server.events",
	"how much was allocated and freed, and the first events",
	"seep events --from 10s --to 11s --limit 0 server.events",
	"a second of it",
	"seep events --address 0x55d0c8a012a0 server.events",
	"the life of one address",
	"seep events --format csv --site cache_put server.events",
	"for a spreadsheet: what one place did",
	NULL,
};

static const struct sheet_column columns[] = {
	{"ms", "MS", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"event", "EVENT", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"address", "ADDRESS", CELL_ADDRESS, COLUMN_ALWAYS, 0},
	{"bytes", "BYTES", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"thread", "THREAD", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"site", "SITE", CELL_TEXT, COLUMN_ALWAYS, 0},
};

static int read_options(struct events *x, int argc, char **argv, int *ret_first)
{
	const struct opt table[] = {
		{OPT_GROUP, 0, "What is listed", NULL, NULL, NULL},
		{OPT_DURATION, 0, "from", "TIME", "only events this long after the recording began",
		 &x->from_ns},
		{OPT_DURATION, 0, "to", "TIME", "and no later than this", &x->to_ns},
		{OPT_CHOICE, 'k', "kind", "all|alloc|free", "only beginnings, or ends, of blocks",
		 &x->kind},
		{OPT_TEXT, 'a', "address", "ADDRESS", "only this block, and others at its address",
		 &x->address_text},
		{OPT_SIZE, 0, "min", "BYTES", "only blocks of so many bytes", &x->min_bytes},
		{OPT_COUNT, 0, "thread", "TID", "only of this thread", &x->thread},
		{OPT_TEXT, 0, "site", "TEXT", "only blocks whose site has TEXT in it", &x->site},
		{OPT_COUNT, 'n', "limit", "N", "so many events, 0: all (default: 20 as text)",
		 &x->limit},
		{OPT_GROUP, 0, "How it is shown", NULL, NULL, NULL},
		{OPT_CHOICE, 0, "format", SHOW_FORMATS, "for people or programs", &x->format},
		{OPT_TEXT, 'o', "output", "FILE", "write to FILE", &x->output},
		{OPT_GROUP, 0, "Symbols", NULL, NULL, NULL},
		{OPT_TEXT, 0, "symbols", "PATHS", "colon-separated folders of debug files",
		 &x->read.symbols},
		{OPT_FLAG, 0, "no-symbols", NULL, "do not look names up", &x->read.no_symbols},
		{OPT_END, 0, NULL, NULL, NULL, NULL},
	};
	const struct cmd_spec spec = {
		.name = "events",
		.usage = usage,
		.purpose = "Lists every allocation and free of a program, as seep run --events and "
			   "seep mode full have written them, and adds them up.",
		.options = table,
		.examples = examples,
		.operands_min = 1,
		.operands_max = 1,
		.operands = "a file of events",
	};

	return cmd_options(&spec, argc, argv, ret_first);
}

static int check_options(struct events *x)
{
	if (x->limit == UINT64_MAX)
		x->limit = x->format == SHOW_TEXT ? LIMIT_TEXT : 0;
	if (x->from_ns > x->to_ns)
		return cmd_usage_error("events", "--from is later than --to");
	if (x->address_text && parse_hex(x->address_text, &x->address) < 0)
		return cmd_usage_error("events", "--address: '%s' is not an address",
				       x->address_text);
	return EXIT_DONE;
}

/* ---- one event ---- */

static bool is_end(const struct wire_event *e)
{
	const char *name = event_kind_name(e);

	return !strcmp(name, "free") || !strcmp(name, "realloc");
}

static bool matches(struct events *x, const struct wire_event *e)
{
	if ((x->kind == KIND_FREE && !is_end(e)) || (x->kind == KIND_ALLOC && is_end(e)))
		return false;
	if ((x->address_text && e->addr != x->address) || e->size < x->min_bytes)
		return false;
	if (x->thread && x->thread != (uint64_t)(uint32_t)e->tid)
		return false;
	return !x->site || strstr(event_site(&x->file, e), x->site);
}

static void add_text(struct events *x, const struct wire_event *e)
{
	char tid[16];

	snprintf(tid, sizeof(tid), "%" PRId32, e->tid);
	sheet_number(&x->sheet, e->ms);
	sheet_text(&x->sheet, event_kind_name(e));
	sheet_number(&x->sheet, e->addr);
	sheet_number(&x->sheet, e->size);
	sheet_text(&x->sheet, tid);
	sheet_text(&x->sheet, event_site(&x->file, e));
}

static void add_csv(struct events *x, const struct wire_event *e)
{
	str_printf(&x->out, "%" PRIu64 ",%" PRIu32 ",%s,0x%" PRIx64 ",%" PRIu64 ",%" PRId32 ",",
		   e->seq_kind >> 8, e->ms, event_kind_name(e), e->addr, e->size, e->tid);
	csv_add_field(&x->out, event_site(&x->file, e));
	str_printf(&x->out, ",%" PRIu32 "\r\n", e->node);
}

static void add_json(struct events *x, const struct wire_event *e)
{
	struct json *j = &x->json;

	json_open(j, NULL, '{');
	json_count(j, "number", e->seq_kind >> 8);
	json_count(j, "ms", e->ms);
	json_text(j, "event", event_kind_name(e));
	json_address(j, "address", e->addr);
	json_count(j, "bytes", e->size);
	json_number(j, "thread", e->tid);
	json_text(j, "site", event_site(&x->file, e));
	json_count(j, "stack", e->node);
	json_close(j, '}');
	str_add_char(&x->out, '\n');
}

/* There may be millions: what is ready goes out. */
static void write_out(struct events *x, bool all)
{
	if (x->err == 0 && (all || x->out.len >= WRITE_BYTES)) {
		x->err = replace_write(&x->target, x->out.data, x->out.len, &x->e);
		str_clear(&x->out);
	}
}

static bool each(const struct wire_event *e, void *context)
{
	struct events *x = context;

	if (!matches(x, e))
		return true;
	x->matched++;
	if (x->limit && x->listed >= x->limit)
		return x->format == SHOW_TEXT; /* how many more there are, is said */
	x->listed++;
	if (x->format == SHOW_TEXT)
		add_text(x, e);
	else if (x->format == SHOW_CSV)
		add_csv(x, e);
	else
		add_json(x, e);
	write_out(x, false);
	return x->err == 0;
}

static void list(struct events *x)
{
	events_each(&x->file, x->from_ns / NS_PER_MS, x->to_ns / NS_PER_MS, each, x);
}

/* ---- as text ---- */

static void add_notes(struct events *x)
{
	const struct eventfile *f = &x->file.file;
	const struct events_totals *t = &x->file.totals;
	struct sheet *s = &x->sheet;

	if (x->matched > x->listed)
		sheet_note(s, "%s more (--limit 0 shows all)",
			   format_count(x->matched - x->listed).text);
	sheet_note(s, "allocated: %s blocks, %s; freed: %s blocks, %s",
		   format_count(t->allocated_blocks).text, format_bytes(t->allocated_bytes).text,
		   format_count(t->freed_blocks).text, format_bytes(t->freed_bytes).text);
	if (t->unknown_frees)
		sheet_note(s, "%s frees of blocks that are not known: they are older",
			   format_count(t->unknown_frees).text);
	if (f->info.window_ms)
		sheet_note(s, "only the last %s are kept; %s earlier events are gone",
			   format_duration(f->info.window_ms * NS_PER_MS).text,
			   format_count(f->info.gone).text);
	if (f->info.lost)
		sheet_note(s, "incomplete: %s events were lost, the rings being full",
			   format_count(f->info.lost).text);
	if (!f->complete)
		sheet_note(s, "incomplete: the file was cut short, or is still being written");
	if (f->damaged)
		sheet_note(s, "incomplete: %s damaged chunk%s left out",
			   format_count(f->damaged).text, f->damaged == 1 ? " is" : "s are");
}

static int show_as_text(struct events *x)
{
	const struct eventfile_info *info = &x->file.file.info;
	int status;

	sheet_init(&x->sheet, "seep-events-1", columns, sizeof(columns) / sizeof(columns[0]));
	sheet_set_heading(
		&x->sheet, "%s (pid %" PRId32 "): %s events in %s", info->name, info->pid,
		format_count(x->file.totals.events).text,
		format_duration((x->file.totals.last_ms - x->file.totals.first_ms) * NS_PER_MS)
			.text);
	list(x);
	add_notes(x);
	status = show_sheet(&x->sheet, SHOW_TEXT, x->output);
	sheet_release(&x->sheet);
	return status;
}

/* ---- for programs ---- */

static void begin_json(struct events *x)
{
	const struct eventfile *f = &x->file.file;
	const struct events_totals *t = &x->file.totals;
	struct json *j = &x->json;

	json_init(j, &x->out);
	json_open(j, NULL, '{');
	json_text(j, "schema", "seep-events-1");
	json_text(j, "seep", SEEP_VERSION);
	json_number(j, "pid", f->info.pid);
	json_text(j, "name", f->info.name);
	json_text(j, "exe", f->info.exe);
	json_count(j, "began_realtime_ns", f->info.began_realtime_ns);
	json_count(j, "window_ms", f->info.window_ms);
	json_bool(j, "complete", f->complete);
	json_count(j, "damaged_chunks", f->damaged);
	if (f->complete)
		json_count(j, "lost_events", f->info.lost);
	else
		json_null(j, "lost_events");
	json_count(j, "gone_events", f->info.gone);
	json_open(j, "totals", '{');
	json_count(j, "events", t->events);
	json_count(j, "allocated_blocks", t->allocated_blocks);
	json_count(j, "allocated_bytes", t->allocated_bytes);
	json_count(j, "freed_blocks", t->freed_blocks);
	json_count(j, "freed_bytes", t->freed_bytes);
	json_count(j, "unknown_frees", t->unknown_frees);
	json_count(j, "first_ms", t->first_ms);
	json_count(j, "last_ms", t->last_ms);
	json_close(j, '}');
	json_open(j, "rows", '[');
}

static int show_for_programs(struct events *x)
{
	if (replace_open(&x->target, x->output ? x->output : "-", &x->e) < 0)
		return cmd_fail(&x->e);
	str_init(&x->out);
	if (x->format == SHOW_JSON)
		begin_json(x);
	else
		str_add(&x->out, "number,ms,event,address,bytes,thread,site,stack\r\n");
	list(x);
	if (x->format == SHOW_JSON) {
		json_close(&x->json, ']');
		json_close(&x->json, '}');
		str_add_char(&x->out, '\n');
	}
	write_out(x, true);
	if (x->err == 0)
		x->err = replace_commit(&x->target, &x->e);
	replace_close(&x->target);
	str_release(&x->out);
	return x->err < 0 && x->err != -EPIPE ? cmd_fail(&x->e) : EXIT_DONE;
}

int cmd_events(int argc, char **argv)
{
	struct events x = {.limit = UINT64_MAX, .to_ns = UINT64_MAX};
	struct progress progress;
	int first, status, err;

	status = read_options(&x, argc, argv, &first);
	if (status != CMD_GO_ON)
		return status;
	status = check_options(&x);
	if (status != EXIT_DONE)
		return status;
	progress_start(&progress, STDERR_FILENO, "looking up names", 0);
	x.read.progress = &progress;
	err = events_file_open(argv[first], &x.read, &x.file, &x.e);
	progress_end(&progress);
	if (err < 0)
		return cmd_fail(&x.e);
	status = x.format == SHOW_TEXT ? show_as_text(&x) : show_for_programs(&x);
	events_file_close(&x.file);
	return status;
}
