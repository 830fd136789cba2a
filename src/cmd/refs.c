/* seep refs: who points to a block, and the way from a root that keeps it alive. */
#include <ctype.h>
#include <errno.h>
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
#include "cmd/symbolize.h"
#include "heap/reachable.h"
#include "model/leaks.h"
#include "model/refview.h"
#include "model/sheet.h"
#include "target/process.h"

struct refs_options {
	struct look_options look;
	int format;
	uint64_t limit;
	const char *output;
};

struct refs_run {
	const struct refs_options *o;
	struct blocks_source source;
	struct roots roots;
	struct root_hits hits;
	struct reachable_account account;
	struct reach *reach;
	struct variables *variables;
	uint64_t addr; /* as asked */
	uint32_t id;   /* the block */
};

static const char *const usage[] = {"[OPTION...] TARGET ADDRESS", NULL};
static const char *const examples[] = {
	"seep refs redis-server 0x7f3a5c0010a0",
	"who points to this block, and from where it can be reached",
	"seep refs --format json core.4242 0x55d0c8a012a0",
	"the same of a core, for programs",
	NULL,
};

static int read_options(struct refs_options *o, int argc, char **argv, int *ret_first)
{
	struct opt table[LOOK_OPTIONS + 9] = {
		{OPT_GROUP, 0, "How it is shown", NULL, NULL, NULL},
		{OPT_COUNT, 'n', "limit", "N", "rows to list, 0: all (default 20)", &o->limit},
		{OPT_CHOICE, 0, "format", SHOW_FORMATS,
		 "text for people, the others for programs (default text)", &o->format},
		{OPT_TEXT, 'o', "output", "FILE", "write to FILE instead of standard output",
		 &o->output},
		{OPT_GROUP, 0, "How it is looked at", NULL, NULL, NULL},
		{OPT_TEXT, 0, "symbols", "PATHS", "colon-separated folders of debug files",
		 &o->look.symbols},
		{OPT_FLAG, 0, "no-symbols", NULL, "do not look names up", &o->look.no_symbols},
	};
	const struct cmd_spec spec = {
		.name = "refs",
		.usage = usage,
		.purpose =
			"Shows who points to the block at an address, and a shortest way from a "
			"root (a variable, a stack, a register) that keeps it alive. The process "
			"needs no preparation.",
		.options = table,
		.examples = examples,
		.operands_min = 2,
		.operands_max = 2,
		.operands = "a process or a core, and an address",
	};

	look_options_table(&o->look, &table[7]);
	return cmd_options(&spec, argc, argv, ret_first);
}

static int search(struct refs_run *run, struct error *e)
{
	struct look *look = &run->source.look;
	int err;

	roots_find(look->target, look->heaps, 0, &run->roots);
	err = reachable_find(look->target, look->heaps, &run->roots, &run->reach, &run->account,
			     &run->hits, e);
	if (err < 0)
		return err;
	run->id = reach_find(run->reach, run->addr);
	if (run->id != REACH_NONE)
		return 0;
	error_set(e, -ENOENT, EXIT_TARGET, "0x%llx is in no busy block of %s",
		  (unsigned long long)run->addr, look->label);
	error_hint(e, "seep blocks --at says what is there");
	return -ENOENT;
}

static const char *thread_name(const struct refs_run *run, int32_t tid)
{
	size_t nr;
	const struct target_thread *threads = target_threads(run->source.look.target, &nr);

	for (size_t i = 0; i < nr; i++) {
		if (threads[i].tid == tid)
			return threads[i].name;
	}
	return "";
}

/* All modules' thread-local variables, which lie directly below a thread's structure. */
static uint64_t local_bytes(const struct refs_run *run)
{
	size_t nr;
	const struct target_module *modules = target_modules(run->source.look.target, &nr);
	uint64_t sum = 0;

	for (size_t i = 0; i < nr; i++)
		sum += (modules[i].tls_bytes + 63) & ~63ull;
	return sum;
}

/* What of a thread an address in its stack's mapping is. */
static const char *part_of_thread(const struct refs_run *run, const struct root_range *range,
				  uint64_t where)
{
	size_t nr;
	const struct target_thread *threads = target_threads(run->source.look.target, &nr);

	for (size_t i = 0; i < nr; i++) {
		uint64_t tp = threads[i].tp;

		if (threads[i].tid != range->tid || tp < range->start || tp >= range->end)
			continue;
		if (where >= tp)
			return "thread's own data";
		if (tp - where <= local_bytes(run))
			return "thread-local storage";
	}
	return root_kind_name(range->kind);
}

static void add_thread(const struct refs_run *run, int32_t tid, struct str *out)
{
	const char *name = thread_name(run, tid);

	str_printf(out, " of thread %d", tid);
	if (*name) {
		str_add(out, " (");
		text_printable(out, name, strlen(name));
		str_add_char(out, ')');
	}
}

/* "global shop_table+0x40", "stack of thread 12 (worker)". */
static void describe_root(const struct refs_run *run, uint64_t where, struct str *out)
{
	const struct root_range *range;

	if (where & REACHABLE_WORD) {
		const struct root_word *word = &run->roots.words[where & ~REACHABLE_WORD];

		str_add(out, word->what);
		if (word->kind == ROOT_REGISTER)
			add_thread(run, word->tid, out);
		return;
	}
	if (where & REACHABLE_OWN) {
		str_add(out, "the C library's own");
		return;
	}
	range = roots_find_range(&run->roots, where);
	if (!range)
		return;
	str_add(out, range->tid ? part_of_thread(run, range, where) : root_kind_name(range->kind));
	if (range->kind == ROOT_GLOBAL) {
		str_add_char(out, ' ');
		variables_name(run->variables, where, out);
	} else if (range->tid) {
		add_thread(run, range->tid, out);
	} else if (*range->path) {
		str_add_char(out, ' ');
		text_printable(out, range->path, strlen(range->path));
	}
}

/* "block of 48 bytes, shop::Order, made at order_new (shop.c:51)" */
static void describe_block(struct refs_run *run, uint32_t id, struct str *out)
{
	struct leak leak = {.members = 1};
	struct block_facts *b = &leak.facts;
	struct str site = STR_INIT;
	const char *class_name;

	b->addr = reach_address(run->reach, id);
	b->size = b->usable = reach_size(run->reach, id);
	b->stack = NO_INDEX;
	b->age_ns = AGE_UNKNOWN;
	blocks_know(&run->source, b);
	class_name = blocks_class_text(&run->source, b->class_id, b->is_array);
	str_printf(out, "block of %s bytes", format_count(b->size).text);
	if (*class_name)
		str_printf(out, ", %s", class_name);
	if (b->stack != NO_INDEX)
		blocks_site_text(&run->source, b->stack, &site);
	if (site.len)
		str_printf(out, ", made at %s", site.data);
	str_release(&site);
}

/* Every word of a block that points into the range of another; false: it cannot be read. */
static void each_pointer(struct refs_run *run, uint32_t from, uint32_t to,
			 void (*found)(struct sheet *s, struct refs_run *run, uint32_t from,
				       uint64_t at, uint64_t word),
			 struct sheet *s)
{
	uint64_t addr = reach_address(run->reach, from), size = reach_size(run->reach, from);
	uint64_t low = reach_address(run->reach, to), width = reach_size(run->reach, to);
	unsigned int step = target_word_bytes(run->source.look.target);
	struct window *w = &run->source.window;
	uint64_t word;

	for (uint64_t at = 0; at + step <= size; at += step) {
		if (window_word(w, addr + at, &word) && word - low < width)
			found(s, run, from, addr + at, word);
	}
}

static void add_pointer(struct sheet *s, struct refs_run *run, uint32_t from, uint64_t at,
			uint64_t word)
{
	struct str what = STR_INIT;

	describe_block(run, from, &what);
	refview_add(s, "block", at, at - reach_address(run->reach, from), true,
		    word - reach_address(run->reach, run->id), what.data);
	str_release(&what);
}

static uint64_t word_at(struct refs_run *run, uint64_t where)
{
	uint64_t word = 0;

	if (where & REACHABLE_WORD)
		return run->roots.words[where & ~REACHABLE_WORD].value;
	if (where & REACHABLE_OWN)
		return where & ~REACHABLE_OWN;
	target_read_word(run->source.look.target, where, &word);
	return word;
}

static void add_root_row(struct refs_run *run, struct sheet *s, const struct root_hit *hit)
{
	uint64_t block = reach_address(run->reach, hit->edge & ~REACH_WEAK);
	struct str what = STR_INIT;

	describe_root(run, hit->where, &what);
	refview_add(s, "root", hit->where & (REACHABLE_WORD | REACHABLE_OWN) ? 0 : hit->where, 0,
		    false, word_at(run, hit->where) - block, what.data);
	str_release(&what);
}

static void add_referrers(struct refs_run *run, struct sheet *s)
{
	uint32_t *ids;
	size_t nr;

	for (size_t i = 0; i < run->hits.nr; i++) {
		if ((run->hits.items[i].edge & ~REACH_WEAK) == run->id)
			add_root_row(run, s, &run->hits.items[i]);
	}
	nr = reach_referrers(run->reach, run->id, &ids);
	for (size_t i = 0; i < nr; i++)
		each_pointer(run, ids[i], run->id, add_pointer, s);
	free(ids);
}

static void add_step(struct refs_run *run, struct sheet *path, uint32_t id)
{
	struct str what = STR_INIT;

	describe_block(run, id, &what);
	refview_path_add(path, "block", reach_address(run->reach, id), what.data);
	str_release(&what);
}

static void add_path(struct refs_run *run, struct sheet *s)
{
	struct sheet *part = refview_path(s);
	struct str what = STR_INIT;
	struct reach_path path;

	reach_path_find(run->reach, &run->hits, run->id, &path);
	if (path.nr) {
		uint64_t where = run->hits.items[path.hit].where;

		describe_root(run, where, &what);
		refview_path_add(part, "root", where & (REACHABLE_WORD | REACHABLE_OWN) ? 0 : where,
				 what.data);
		for (size_t i = 0; i < path.nr; i++)
			add_step(run, part, path.ids[i]);
		if (path.weak)
			sheet_note(s, "A pointer on this way goes to the middle of a block: it may "
				      "be chance.");
	} else {
		sheet_note(s,
			   "Nothing that is used points to it, nor to what does: it has leaked.");
	}
	reach_path_release(&path);
	str_release(&what);
}

static void fill(struct refs_run *run, struct sheet *sheet)
{
	uint64_t begin = reach_address(run->reach, run->id);
	struct str text = STR_INIT;

	refview_init(sheet);
	describe_block(run, run->id, &text);
	sheet_set_heading(sheet, "0x%llx, %s: %s\n", (unsigned long long)begin, text.data,
			  leak_state_name(reach_state(run->reach, run->id)));
	sheet_total_text(sheet, "state", leak_state_name(reach_state(run->reach, run->id)));
	sheet_total(sheet, "address", CELL_ADDRESS, begin);
	sheet_total(sheet, "size", CELL_BYTES, reach_size(run->reach, run->id));
	add_referrers(run, sheet);
	sheet_total(sheet, "referrers", CELL_COUNT, sheet_rows(sheet));
	if (sheet_rows(sheet) == 0)
		sheet_note(sheet, "Nothing points to it.");
	sheet_limit(sheet, run->o->limit);
	add_path(run, sheet);
	str_clear(&text);
	look_done_reading(&run->source.look);
	blocks_how(&run->source, &text);
	if (text.len)
		sheet_note(sheet, "%c%s.", toupper((unsigned char)*text.data), text.data + 1);
	str_release(&text);
}

static int parse_address(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(text, &end, 16);
	if (!isxdigit((unsigned char)*text) || *end || errno)
		return cmd_usage_error("refs", "'%s' is not an address", text);
	return EXIT_DONE;
}

static int answer(struct refs_run *run)
{
	const struct symbolize_options names = {.symbols = run->o->look.symbols,
						.no_debuginfod = run->o->look.no_symbols};
	struct error e = {0};
	struct sheet sheet;
	int status;

	if (search(run, &e) < 0)
		return cmd_fail(&e);
	run->variables = variables_open(&run->source.look.snapshot, &names);
	fill(run, &sheet);
	status = show_sheet(&sheet, (enum show_format)run->o->format, run->o->output);
	sheet_release(&sheet);
	variables_close(run->variables);
	return status;
}

int cmd_refs(int argc, char **argv)
{
	const struct blocks_wants wants = {.memory = true, .stacks = true};
	struct refs_options o = {.limit = 20};
	struct refs_run run = {.o = &o};
	struct error e = {0};
	int first, status = read_options(&o, argc, argv, &first);

	if (status != CMD_GO_ON)
		return status;
	status = parse_address(argv[first + 1], &run.addr);
	if (status != EXIT_DONE)
		return status;
	if (blocks_open(&run.source, argv[first], &o.look, &wants, &e) < 0)
		return cmd_fail(&e);
	status = answer(&run);
	reach_free(run.reach);
	root_hits_release(&run.hits);
	roots_release(&run.roots);
	blocks_close(&run.source);
	return status;
}
