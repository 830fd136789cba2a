/* seep diff: what grew between two snapshots of one process, by the code that allocated it. */
#include <errno.h>
#include <stddef.h>

#include "cmd/cmd.h"
#include "cmd/explain.h"
#include "model/generations.h"

static const char *const usage[] = {"[OPTION...] OLD NEW",
				    "[OPTION...] [--from MARK] [--to MARK] SNAPSHOT", NULL};
static const char *const examples[] = {
	"seep diff one.seep two.seep",
	"which sites grew, and how fast",
	"seep diff --filter 'file~cache and bytes>1M' one.seep two.seep",
	"only stacks through files named like cache that grew by more than 1 MiB",
	"seep diff --exit-code --max 64k --suppressions known.supp one.seep two.seep",
	"in CI: status 1 when something unknown grew by more than 64 KiB",
	"seep diff --from warm --to done one.seep",
	"of what was allocated between two marks, what is still there",
	"seep diff --format umdh -o report.txt one.seep two.seep",
	"the report that UMDH writes, for its viewers",
	NULL,
};
static const char sort_choices[] = "bytes|blocks|rate|site";
static const enum listing_sort sorts[] = {SORT_BYTES, SORT_BLOCKS, SORT_RATE, SORT_SITE};

struct diff {
	struct explain x;
	bool force, exit_code;
	uint64_t max_bytes;
	const char *from, *to; /* marks; NULL: not given */
	struct explain_input before, after;
};

static int read_options(struct diff *d, int argc, char **argv, int *ret_first)
{
	struct opt table[EXPLAIN_OPTIONS_MAX];
	const struct opt own[] = {
		{OPT_GROUP, 0, "Comparing", NULL, NULL, NULL},
		{OPT_TEXT, 0, "from", "MARK",
		 "of one snapshot, what was allocated after this mark (see seep mark)", &d->from},
		{OPT_TEXT, 0, "to", "MARK", "of one snapshot, what was allocated before this mark",
		 &d->to},
		{OPT_FLAG, 0, "grown-only", NULL, "leave out what shrank", &d->x.grown_only},
		{OPT_FLAG, 0, "exit-code", NULL,
		 "end with status 1 when the listed rows grew by more than --max", &d->exit_code},
		{OPT_SIZE, 0, "max", "BYTES", "growth that is allowed (default 0)", &d->max_bytes},
		{OPT_FLAG, 0, "force", NULL,
		 "compare snapshots of different processes or starts all the same", &d->force},
		{0},
	};
	const struct cmd_spec spec = {
		.name = "diff",
		.usage = usage,
		.purpose = "Shows what grew and what shrank between two snapshots of one process, "
			   "by the code that allocated it.",
		.options = table,
		.examples = examples,
		.found = "the listed rows grew by more than --max (with --exit-code)",
		.operands_min = 1,
		.operands_max = 2,
		.operands = "two snapshots, or one and a mark",
	};

	explain_table(&d->x, sort_choices, own, table);
	return cmd_options(&spec, argc, argv, ret_first);
}

/* *ret_forced: why the two should not be compared, if --force lets them. */
static int check_pair(const struct diff *d, struct error *e, const char **ret_forced)
{
	*ret_forced = NULL;
	if (snapshot_same_process(&d->before.snapshot, &d->after.snapshot, e) < 0) {
		if (!d->force)
			return cmd_fail(e);
		cmd_warn("%s", e->message);
		*ret_forced = e->message;
		return EXIT_DONE;
	}
	if (d->before.snapshot.taken_monotonic_ns > d->after.snapshot.taken_monotonic_ns)
		cmd_warn("'%s' was taken after '%s': growth is shown as shrinking", d->before.path,
			 d->after.path);
	return EXIT_DONE;
}

/* The newer one first: names shown are its own. */
static int compare(struct diff *d)
{
	struct error e = {0};
	const char *forced;
	uint64_t grown_bytes;
	int status = check_pair(d, &e, &forced);

	if (status == EXIT_DONE)
		status = explain_names(&d->x, &d->after, NULL);
	if (status == EXIT_DONE)
		status = explain_names(&d->x, &d->before, &d->after);
	if (status == EXIT_DONE)
		status = explain_write(&d->x, &d->before, &d->after, sorts[d->x.sort], forced,
				       &grown_bytes);
	if (status == EXIT_DONE && d->exit_code && grown_bytes > d->max_bytes)
		return EXIT_FOUND;
	return status;
}

/* Of one snapshot: MARK as it was, NULL as `none`. */
static int cut_at(struct explain_input *in, const char *text, size_t none, size_t *ret_mark)
{
	struct error e = {0};

	*ret_mark = none;
	if (text && generations_find_mark(&in->snapshot, text, ret_mark, &e) < 0) {
		struct error whole = {0};

		error_set(&whole, -ENOENT, e.status, "'%s': %s", in->path, e.message);
		error_hint(&whole, "%s", e.hint);
		return cmd_fail(&whole);
	}
	return EXIT_DONE;
}

/* Both sides are the same snapshot, of which each keeps what is older than its mark. */
static int load_between_marks(struct diff *d, const char *path)
{
	size_t from = GENERATIONS_BEGINNING, to = GENERATIONS_END;
	int status = explain_load(path, &d->before);

	if (status == EXIT_DONE)
		status = explain_load(path, &d->after);
	if (status == EXIT_DONE)
		status = cut_at(&d->before, d->from, GENERATIONS_BEGINNING, &from);
	if (status == EXIT_DONE)
		status = cut_at(&d->after, d->to, GENERATIONS_END, &to);
	if (status != EXIT_DONE)
		return status;
	if (from != GENERATIONS_BEGINNING && from >= to)
		return cmd_usage_error("diff", "mark '%s' is not before mark '%s'", d->from, d->to);
	if (!generations_of_resources(&d->after.snapshot))
		cmd_warn("'%s' does not say when resources were acquired: they are left out", path);
	generations_only_until(&d->before.snapshot, from);
	generations_only_until(&d->after.snapshot, to);
	return EXIT_DONE;
}

static int load_pair(struct diff *d, int nr, char **paths)
{
	int status;

	if (d->from || d->to) {
		if (nr != 1)
			return cmd_usage_error("diff", "--from and --to are of one snapshot");
		return load_between_marks(d, paths[0]);
	}
	if (nr != 2)
		return cmd_usage_error("diff", "two snapshots are needed, or one and --from or "
					       "--to");
	status = explain_load(paths[0], &d->before);
	return status == EXIT_DONE ? explain_load(paths[1], &d->after) : status;
}

int cmd_diff(int argc, char **argv)
{
	struct diff d = {0};
	int first, status;

	explain_init(&d.x, "diff");
	status = read_options(&d, argc, argv, &first);
	if (status != CMD_GO_ON)
		goto out;
	if (d.max_bytes && !d.exit_code) {
		status = cmd_usage_error("diff", "--max goes with --exit-code only");
		goto out;
	}
	status = explain_prepare(&d.x);
	if (status == EXIT_DONE)
		status = load_pair(&d, argc - first, argv + first);
	if (status == EXIT_DONE)
		status = compare(&d);
out:
	explain_input_release(&d.before);
	explain_input_release(&d.after);
	explain_release(&d.x);
	return status;
}
