/* seep diff: what grew between two snapshots of one process, by the code that allocated it. */
#include <stddef.h>

#include "cmd/cmd.h"
#include "cmd/explain.h"

static const char *const usage[] = {"[OPTION...] OLD NEW", NULL};
static const char *const examples[] = {
	"seep diff one.seep two.seep",
	"which sites grew, and how fast",
	"seep diff --filter 'file~cache and bytes>1M' one.seep two.seep",
	"only stacks through files named like cache that grew by more than 1 MiB",
	"seep diff --exit-code --max 64k --suppressions known.supp one.seep two.seep",
	"in CI: status 1 when something unknown grew by more than 64 KiB",
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
	struct explain_input before, after;
};

static int read_options(struct diff *d, int argc, char **argv, int *ret_first)
{
	struct opt table[EXPLAIN_OPTIONS_MAX];
	const struct opt own[] = {
		{OPT_GROUP, 0, "Comparing", NULL, NULL, NULL},
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
		.operands_min = 2,
		.operands_max = 2,
		.operands = "two snapshots",
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
		status = explain_load(argv[first], &d.before);
	if (status == EXIT_DONE)
		status = explain_load(argv[first + 1], &d.after);
	if (status == EXIT_DONE)
		status = compare(&d);
out:
	explain_input_release(&d.before);
	explain_input_release(&d.after);
	explain_release(&d.x);
	return status;
}
