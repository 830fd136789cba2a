/* seep report: what one snapshot holds, by the code that allocated it. */
#include <stddef.h>

#include "cmd/cmd.h"
#include "cmd/explain.h"
#include "cmd/report_generations.h"

static const char *const usage[] = {"[OPTION...] SNAPSHOT", NULL};
static const char *const examples[] = {
	"seep report one.seep",
	"the sites that hold most bytes",
	"seep report --sort temporary --limit 5 one.seep",
	"sites whose blocks are freed at once: work for nothing",
	"seep report --group-by module --format csv one.seep",
	"a table for spreadsheets, one row a module",
	"seep report --generations one.seep",
	"what is still there of what was allocated after each mark",
	"seep report --format umdh -o dump1.txt one.seep",
	"the log that UMDH writes, one line a block",
	NULL,
};
#define UMDH 3 /* among the formats */

static const char sort_choices[] = "bytes|blocks|total_bytes|temporary|site";
static const enum listing_sort sorts[] = {SORT_BYTES, SORT_BLOCKS, SORT_TOTAL_BYTES, SORT_TEMPORARY,
					  SORT_SITE};

static int read_options(struct explain *x, bool *generations, int argc, char **argv, int *ret_first)
{
	struct opt table[EXPLAIN_OPTIONS_MAX];
	const struct opt own[] = {
		{OPT_GROUP, 0, "Marks", NULL, NULL, NULL},
		{OPT_FLAG, 0, "generations", NULL,
		 "what is live, by the marks between which it was allocated (see seep mark); "
		 "--limit: sites of each",
		 generations},
		{0},
	};
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

	explain_table(x, sort_choices, own, table);
	return cmd_options(&spec, argc, argv, ret_first);
}

int cmd_report(int argc, char **argv)
{
	struct explain_input input = {0};
	struct explain x;
	bool generations = false;
	int first, status;

	explain_init(&x, "report");
	status = read_options(&x, &generations, argc, argv, &first);
	if (status != CMD_GO_ON)
		goto out;
	if (generations && x.format == UMDH) {
		status = cmd_usage_error("report", "--generations has no format umdh");
		goto out;
	}
	status = explain_prepare(&x);
	if (status == EXIT_DONE)
		status = explain_load(argv[first], &input);
	if (status == EXIT_DONE)
		status = explain_names(&x, &input, NULL);
	if (status == EXIT_DONE)
		status = generations ? report_generations(&x, &input)
				     : explain_write(&x, NULL, &input, sorts[x.sort], NULL, NULL);
out:
	explain_input_release(&input);
	explain_release(&x);
	return status;
}
