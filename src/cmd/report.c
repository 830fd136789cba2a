/* seep report: what one snapshot holds, by the code that allocated it. */
#include <stddef.h>

#include "cmd/cmd.h"
#include "cmd/explain.h"

static const char *const usage[] = {"[OPTION...] SNAPSHOT", NULL};
static const char *const examples[] = {
	"seep report one.seep",
	"the sites that hold most bytes",
	"seep report --sort temporary --limit 5 one.seep",
	"sites whose blocks are freed at once: work for nothing",
	"seep report --group-by module --format csv one.seep",
	"a table for spreadsheets, one row a module",
	"seep report --format umdh -o dump1.txt one.seep",
	"the log that UMDH writes, one line a block",
	NULL,
};
static const char sort_choices[] = "bytes|blocks|total_bytes|temporary|site";
static const enum listing_sort sorts[] = {SORT_BYTES, SORT_BLOCKS, SORT_TOTAL_BYTES, SORT_TEMPORARY,
					  SORT_SITE};

static int read_options(struct explain *x, int argc, char **argv, int *ret_first)
{
	struct opt table[EXPLAIN_OPTIONS_MAX];
	const struct cmd_spec spec = {
		.name = "report",
		.usage = usage,
		.purpose = "Shows what the process held when the snapshot was taken, by the code "
			   "that allocated it.",
		.options = table,
		.examples = examples,
		.operands_min = 1,
		.operands_max = 1,
		.operands = "a snapshot",
	};

	explain_table(x, sort_choices, NULL, table);
	return cmd_options(&spec, argc, argv, ret_first);
}

int cmd_report(int argc, char **argv)
{
	struct explain_input input = {0};
	struct explain x;
	int first, status;

	explain_init(&x, "report");
	status = read_options(&x, argc, argv, &first);
	if (status != CMD_GO_ON)
		goto out;
	status = explain_prepare(&x);
	if (status == EXIT_DONE)
		status = explain_load(argv[first], &input);
	if (status == EXIT_DONE)
		status = explain_names(&x, &input, NULL);
	if (status == EXIT_DONE)
		status = explain_write(&x, NULL, &input, sorts[x.sort], NULL, NULL);
out:
	explain_input_release(&input);
	explain_release(&x);
	return status;
}
