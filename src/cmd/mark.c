/* seep mark: names this instant in the recording of a process. */
#include <string.h>

#include "base/error.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "target/process.h"
#include "target/table.h"
#include "target/table_mark.h"

static const char *const usage[] = {"[OPTION...] TARGET NAME", NULL};
static const char *const examples[] = {
	"seep mark redis-server warm",
	"names this instant 'warm' in what is recorded of redis-server",
	"seep diff --from warm one.seep",
	"afterwards, of a snapshot: what was allocated since, and is still there",
	NULL,
};

static int mark(const char *operand, const char *name, bool quiet)
{
	struct table_mark made;
	struct error e = {0};
	struct table t;
	int pid, r = process_find_one(operand, &pid, &e);

	if (r == 0)
		r = table_open_pid(pid, &t, &e);
	if (r < 0)
		return cmd_fail(&e);
	r = table_mark(&t, name, &made, &e);
	table_close(&t);
	if (r < 0)
		return cmd_fail(&e);
	if (!quiet)
		cmd_note("process %d: mark '%s' (#%u), %s after recording began", pid, name,
			 made.number, format_duration(made.since_began_ns).text);
	return EXIT_DONE;
}

int cmd_mark(int argc, char **argv)
{
	bool quiet = false;
	const struct opt table[] = {
		{OPT_FLAG, 'q', "quiet", NULL, "do not say that it was made", &quiet},
		{0},
	};
	const struct cmd_spec spec = {
		.name = "mark",
		.usage = usage,
		.purpose = "Names this instant in the recording of a process, so that what is "
			   "allocated before and after it can be told apart.",
		.options = table,
		.examples = examples,
		.operands_min = 2,
		.operands_max = 2,
		.operands = "a process and a name",
	};
	int first, status = cmd_options(&spec, argc, argv, &first);

	if (status != CMD_GO_ON)
		return status;
	if (!argv[first + 1][0])
		return cmd_usage_error("mark", "the name is empty");
	if (strlen(argv[first + 1]) >= TABLE_MARK_NAME_MAX)
		return cmd_usage_error("mark", "the name is longer than %d bytes",
				       TABLE_MARK_NAME_MAX - 1);
	return mark(argv[first], argv[first + 1], quiet);
}
