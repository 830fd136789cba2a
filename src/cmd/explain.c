/* The common part of diff and report; see explain.h. */
#include "cmd/explain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/str.h"
#include "format/format.h"
#include "model/filter.h"
#include "model/resources.h"
#include "model/share_names.h"

#define LIMIT_TEXT 20
#define STACKS_TEXT 3
#define SUPPRESSIONS_MAX ((size_t)16 << 20)

void explain_init(struct explain *x, const char *command)
{
	*x = (struct explain){
		.command = command,
		.limit = UINT64_MAX,
		.stacks = STACKS_TEXT,
	};
}

void explain_release(struct explain *x)
{
	filter_free(x->filter);
	suppressions_release(&x->suppressions);
	opt_list_release(&x->wrappers);
}

void explain_table(struct explain *x, const char *sort_choices, const struct opt *own,
		   struct opt table[EXPLAIN_OPTIONS_MAX])
{
	const struct opt shared[] = {
		{OPT_GROUP, 0, "What is listed", NULL, NULL, NULL},
		{OPT_CHOICE, 'g', "group-by", "site|stack|module|function|tag",
		 "what makes one row (default site)", &x->group},
		{OPT_CHOICE, 's', "sort", sort_choices, "order of the rows (default bytes)",
		 &x->sort},
		{OPT_COUNT, 'n', "limit", "N",
		 "rows to list, 0 for all (default 20; all in formats for machines)", &x->limit},
		{OPT_TEXT, 'f', "filter", "EXPR",
		 "only stacks that match, e.g. 'func~^parse and not mod=libc.so.6 and bytes>10k'",
		 &x->filter_text},
		{OPT_SIZE, 0, "min", "BYTES", "leave out rows with less", &x->min_bytes},
		{OPT_TEXT, 0, "suppressions", "FILE",
		 "leave out stacks that a file in LeakSanitizer's syntax names",
		 &x->suppressions_path},
		{OPT_LIST, 0, "wrapper", "NAME",
		 "take function NAME (with * for any text) for an allocator function; "
		 "may be given again",
		 &x->wrappers},
		{OPT_GROUP, 0, "How it is shown", NULL, NULL, NULL},
		{OPT_CHOICE, 0, "format", "text|json|csv|umdh",
		 "text for people, the others for programs (default text)", &x->format},
		{OPT_TEXT, 'o', "output", "FILE", "write to FILE instead of standard output",
		 &x->output},
		{OPT_COUNT, 0, "stacks", "N", "show the stacks of the first N rows (default 3)",
		 &x->stacks},
		{OPT_FLAG, 0, "full", NULL,
		 "show every stack of those rows, with allocator and start-up functions and whole "
		 "paths",
		 &x->full},
		{OPT_FLAG, 0, "decimal", NULL, "with --format umdh: decimal figures", &x->decimal},
		{OPT_GROUP, 0, "Symbols", NULL, NULL, NULL},
		{OPT_TEXT, 0, "symbols", "PATHS",
		 "look for symbols in these files and folders first, separated by colons",
		 &x->symbols},
		{OPT_FLAG, 0, "no-symbols", NULL, "do not look up names", &x->no_symbols},
	};
	size_t nr = sizeof(shared) / sizeof(shared[0]);

	memset(table, 0, EXPLAIN_OPTIONS_MAX * sizeof(*table));
	memcpy(table, shared, sizeof(shared));
	while (own && own->kind != OPT_END && nr + 1 < EXPLAIN_OPTIONS_MAX)
		table[nr++] = *own++;
}

static int read_suppressions(struct explain *x)
{
	struct str text = STR_INIT;
	struct error e = {0};
	int rc = io_read_file(x->suppressions_path, SUPPRESSIONS_MAX, &text);

	if (rc < 0)
		error_set(&e, rc, EXIT_FILE, "cannot read suppressions '%s': %s",
			  x->suppressions_path, error_strerror(rc));
	else
		rc = suppressions_parse(text.data, x->suppressions_path, &x->suppressions, &e);
	str_release(&text);
	return rc < 0 ? cmd_fail(&e) : EXIT_DONE;
}

int explain_prepare(struct explain *x)
{
	struct error e = {0};

	if (x->decimal && strcmp(formats[x->format].name, "umdh") != 0)
		return cmd_usage_error(x->command, "--decimal goes with --format umdh only");
	if (x->no_symbols && x->symbols)
		return cmd_usage_error(x->command, "--symbols and --no-symbols exclude each other");
	if (x->filter_text && filter_parse(x->filter_text, &x->filter, &e) < 0)
		return cmd_fail(&e);
	return x->suppressions_path ? read_suppressions(x) : EXIT_DONE;
}

static int look_up_names(const struct explain *x, struct explain_input *in)
{
	struct progress progress;
	const struct symbolize_options options = {
		.symbols = x->symbols,
		.again = x->symbols != NULL,
		.progress = &progress,
	};
	struct error e = {0};
	int rc;

	progress_start(&progress, STDERR_FILENO, "looking up names", in->snapshot.nr_frames);
	rc = symbolize_snapshot(&in->snapshot, &options, &in->names);
	progress_end(&progress);
	if (rc == 0)
		return EXIT_DONE;
	error_set(&e, rc, EXIT_FILE, "cannot look up the names in '%s': %s", in->path,
		  error_strerror(rc));
	return cmd_fail(&e);
}

/* Without the recorder nobody knows who allocated: an empty listing would look like an answer. */
static int need_stacks(const struct explain_input *in)
{
	struct error e = {0};

	if (in->snapshot.has_recorder || in->snapshot.nr_stacks || !in->snapshot.has_heaps)
		return EXIT_DONE;
	error_set(&e, -ENODATA, EXIT_FILE,
		  "snapshot '%s' does not say who allocated: the process was not recorded",
		  in->path);
	error_hint(&e, "seep heaps and seep blocks show what is in it; for stacks, record it: "
		       "seep attach from now on, seep run from its start");
	return cmd_fail(&e);
}

int explain_load(const char *path, struct explain_input *in)
{
	struct error e = {0};

	*in = (struct explain_input){.path = path};
	if (seepfile_read(path, &in->snapshot, &in->damage, &e) < 0)
		return cmd_fail(&e);
	in->loaded = true;
	if (in->damage.damaged)
		cmd_warn("'%s' is damaged: %s", path, in->damage.what);
	return need_stacks(in);
}

int explain_names(const struct explain *x, struct explain_input *in,
		  const struct explain_input *known)
{
	if (x->no_symbols || (in->snapshot.symbols_resolved && !x->symbols))
		return EXIT_DONE;
	if (known)
		share_names(&known->snapshot, &in->snapshot);
	return look_up_names(x, in);
}

void explain_input_release(struct explain_input *in)
{
	symbolize_summary_release(&in->names);
	if (in->loaded)
		snapshot_release(&in->snapshot);
	in->loaded = false;
}

/* By module: why it has no symbols, NULL where nobody said. Freed by the caller, the texts not. */
static const char **reasons(const struct explain_input *in)
{
	const char **why = mem_alloc_array(in->snapshot.nr_modules, sizeof(const char *));

	for (size_t m = 0; m < in->names.nr_modules && m < in->snapshot.nr_modules; m++) {
		if (in->names.modules[m].why && in->names.modules[m].why[0])
			why[m] = in->names.modules[m].why;
	}
	return why;
}

/* Where the text goes. A reader of standard output that went away is no failure. */
struct target {
	struct replace file;
	bool to_file;
	struct error e;
};

static int to_target(void *context, const void *data, size_t len)
{
	struct target *t = context;
	int rc;

	if (t->to_file)
		return replace_write(&t->file, data, len, &t->e);
	rc = io_write_all(STDOUT_FILENO, data, len);
	if (rc < 0 && rc != -EPIPE)
		error_set(&t->e, rc, EXIT_FILE, "cannot write to standard output: %s",
			  error_strerror(rc));
	return rc;
}

static int open_target(struct target *t, const char *path)
{
	memset(t, 0, sizeof(*t));
	t->to_file = path && strcmp(path, "-") != 0;
	return t->to_file ? replace_open(&t->file, path, &t->e) : 0;
}

static int write_view(const struct explain *x, const struct view *v)
{
	const struct format_options options = {
		.palette = x->output ? term_palette(-1, COLOUR_NEVER) : cmd_palette(),
		.stacks = x->stacks,
		.full = x->full,
		.decimal = x->decimal,
		.version = SEEP_VERSION,
	};
	struct target target;
	struct out out;
	int rc = open_target(&target, x->output);

	if (rc < 0)
		return cmd_fail(&target.e);
	out_init(&out, to_target, &target);
	rc = formats[x->format].write(&out, v, &options, &target.e);
	if (rc == 0)
		rc = out_finish(&out);
	if (rc == 0 && target.to_file)
		rc = replace_commit(&target.file, &target.e);
	if (target.to_file)
		replace_close(&target.file);
	out_release(&out);
	return rc < 0 && rc != -EPIPE ? cmd_fail(&target.e) : EXIT_DONE;
}

struct listing_options explain_listing(const struct explain *x, enum listing_sort sort)
{
	return (struct listing_options){
		.group = (enum listing_group)x->group,
		.sort = sort,
		.min_bytes = x->min_bytes,
		.grown_only = x->grown_only,
		.filter = x->filter,
		.wrappers = {.patterns = x->wrappers.items, .nr = x->wrappers.nr},
	};
}

int explain_write(const struct explain *x, const struct explain_input *before,
		  const struct explain_input *after, enum listing_sort sort, const char *forced,
		  uint64_t *ret_grown_bytes)
{
	const struct format *format = &formats[x->format];
	struct suppressions suppressions = x->suppressions;
	struct listing_options options = explain_listing(x, sort);
	struct resource_listings resources;
	struct listing listing;
	struct view v = {
		.listing = &listing,
		.before_name = before ? before->path : NULL,
		.before_damage = before && before->damage.damaged ? before->damage.what : NULL,
		.after_name = after->path,
		.after_damage = after->damage.damaged ? after->damage.what : NULL,
		.forced = forced,
		.why_nameless = reasons(after),
		.no_symbols = x->no_symbols,
	};
	int status;

	if (format->by_stack)
		options.group = GROUP_STACK;
	options.limit = x->limit != UINT64_MAX	   ? x->limit
			: format->shows_everything ? 0
						   : LIMIT_TEXT;
	options.suppressions = suppressions.nr ? &suppressions : NULL;
	listing_make(&listing, before ? &before->snapshot : NULL, &after->snapshot, &options);
	resource_listings_make(&resources, before ? &before->snapshot : NULL, &after->snapshot,
			       &options);
	v.resources = resources.listings;
	v.kinds = resources.kinds;
	v.nr_resources = resources.nr;
	if (ret_grown_bytes)
		*ret_grown_bytes = listing.totals.grown_bytes;
	status = write_view(x, &v);
	listing_release(&listing);
	resource_listings_release(&resources);
	free(v.why_nameless);
	return status;
}
