/* seep leaks: blocks that nothing points to any more, in any process, without preparation. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "base/io.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "cmd/leaks.h"
#include "file/seepfile.h"

#define KNOWN_FILE_MAX ((size_t)64 << 20)
#define SECOND_NS 1000000000ull

static const char *const usage[] = {"[OPTION...] TARGET", NULL};
static const char *const examples[] = {
	"seep leaks ./program",
	"what it has lost, by the line of code, the class or the size",
	"seep leaks --list --limit 5 4242",
	"the five largest leaks, each with its address",
	"seep leaks --repeat 3 redis-server",
	"only what three looks, a second apart, find lost: for busy servers",
	"seep leaks --exit-code --baseline known.txt core.4242",
	"status 1 when there is any that is not known: for scripts",
	NULL,
};

static int read_options(struct leaks_options *o, int argc, char **argv, int *ret_first)
{
	struct opt look[LOOK_OPTIONS];
	struct opt table[] = {
		{OPT_GROUP, 0, "How it is looked at", NULL, NULL, NULL},
		{0},
		{0},
		{OPT_FLAG, 0, "no-other-roots", NULL,
		 "memory whose use is not known keeps nothing alive", &o->no_other_roots},
		{OPT_COUNT, 'r', "repeat", "N",
		 "look N times; only what every look finds lost counts", &o->repeat},
		{OPT_DURATION, 0, "interval", "TIME", "between two looks (default 1s)",
		 &o->interval_ns},
		{OPT_GROUP, 0, "What is shown", NULL, NULL, NULL},
		{OPT_CHOICE, 'g', "group-by", "best|site|class|size",
		 "put leaks together that were made at one site, are of one class, or of one size; "
		 "best: the first of these that is known (default best)",
		 &o->group},
		{OPT_FLAG, 'l', "list", NULL, "a row a leak", &o->list},
		{OPT_FLAG, 0, "indirect", NULL,
		 "with --list: a row for each block that hangs on a leak, too", &o->indirect},
		{OPT_FLAG, 't', "tree", NULL, "what hangs on the largest leaks", &o->tree},
		{OPT_FLAG, 'p', "possible", NULL,
		 "blocks too that only a pointer into their middle holds", &o->possible},
		{OPT_FLAG, 0, "content", NULL, "with --list: what is in them (may hold secrets)",
		 &o->content},
		{OPT_COUNT, 'n', "limit", "N", "rows to list, 0: all (default 20)", &o->limit},
		{OPT_GROUP, 0, "What is left out", NULL, NULL, NULL},
		{OPT_SIZE, 0, "min-bytes", "SIZE", "leaks that hold less", &o->min_bytes},
		{OPT_DURATION, 0, "age", "TIME",
		 "blocks younger than that, or of unknown age (recorder needed)", &o->min_age_ns},
		{OPT_TEXT, 0, "since", "SNAPSHOT", "blocks that were there in an earlier snapshot",
		 &o->since},
		{OPT_TEXT, 0, "suppressions", "FILE",
		 "known stacks, in LeakSanitizer's or Valgrind's syntax (recorder needed)",
		 &o->suppressions},
		{OPT_TEXT, 0, "baseline", "FILE", "leaks of known kinds, no more than were known",
		 &o->baseline},
		{OPT_TEXT, 0, "write-baseline", "FILE", "write what was found as a baseline",
		 &o->write_baseline},
		{OPT_FLAG, 0, "exit-code", NULL, "status 1 when a leak is left", &o->exit_code},
		{OPT_GROUP, 0, "How it is shown", NULL, NULL, NULL},
		{OPT_CHOICE, 0, "format", "text|json|csv|sarif|junit",
		 "text for people, the others for programs (default text)", &o->format},
		{OPT_TEXT, 'o', "output", "FILE", "write to FILE instead of standard output",
		 &o->output},
		{OPT_TEXT, 0, "symbols", "PATHS", "colon-separated folders of debug files",
		 &o->look.symbols},
		{OPT_FLAG, 0, "no-symbols", NULL, "do not look names of sites up",
		 &o->look.no_symbols},
		{OPT_END, 0, NULL, NULL, NULL, NULL},
	};
	const struct cmd_spec spec = {
		.name = "leaks",
		.usage = usage,
		.purpose =
			"Finds blocks that a process can never free again, because nothing points "
			"to them any more. The process needs no preparation; where the recorder "
			"is in it, every leak has its line of code.",
		.options = table,
		.examples = examples,
		.found = "a leak is left (with --exit-code)",
		.operands_min = 1,
		.operands_max = 1,
		.operands = "a process, core or snapshot",
	};

	look_options_table(&o->look, look);
	memcpy(&table[1], look, sizeof(look));
	return cmd_options(&spec, argc, argv, ret_first);
}

static int read_file(const char *path, const char *what, struct str *out)
{
	struct error e = {0};
	int err = io_read_file(path, KNOWN_FILE_MAX, out);

	if (err == 0)
		return EXIT_DONE;
	error_set(&e, err, EXIT_FILE, "cannot read %s '%s': %s", what, path, error_strerror(err));
	return cmd_fail(&e);
}

/* The earlier snapshot of --since: what was there then is no new leak. */
static int read_since(const struct leaks_options *o, struct leaks_known *k)
{
	struct error e = {0};

	if (seepfile_read(o->since, &k->since, NULL, &e) < 0)
		return cmd_fail(&e);
	k->has_since = true;
	if (k->since.has_blocks)
		return EXIT_DONE;
	error_set(&e, -ENODATA, EXIT_FILE, "snapshot '%s' was taken without blocks", o->since);
	error_hint(&e, "seep snap without --no-blocks keeps them");
	return cmd_fail(&e);
}

int leaks_known_read(const struct leaks_options *o, struct leaks_known *k)
{
	struct str text = STR_INIT;
	struct error e = {0};
	int status = EXIT_DONE;

	memset(k, 0, sizeof(*k));
	if (o->suppressions) {
		status = read_file(o->suppressions, "suppressions", &text);
		if (status == EXIT_DONE &&
		    suppressions_parse(text.data, o->suppressions, &k->suppressions, &e) < 0)
			status = cmd_fail(&e);
	}
	str_clear(&text);
	if (status == EXIT_DONE && o->baseline) {
		status = read_file(o->baseline, "baseline", &text);
		if (status == EXIT_DONE &&
		    leak_baseline_parse(text.data, o->baseline, &k->baseline, &e) < 0)
			status = cmd_fail(&e);
	}
	str_release(&text);
	k->has_suppressions = o->suppressions;
	k->has_baseline = o->baseline;
	if (status == EXIT_DONE && o->since)
		status = read_since(o, k);
	return status;
}

void leaks_known_release(struct leaks_known *k)
{
	suppressions_release(&k->suppressions);
	leak_baseline_release(&k->baseline);
	if (k->has_since)
		snapshot_release(&k->since);
}

static void wait_ns(uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / SECOND_NS),
			      .tv_nsec = (long)(ns % SECOND_NS)};

	nanosleep(&ts, NULL);
}

/* What all earlier looks found lost, ascending. */
struct lost {
	uint64_t *addresses;
	size_t nr;
};

static void keep_common(struct lost *lost, uint64_t *addresses, size_t nr)
{
	size_t kept = 0;

	for (size_t i = 0, k = 0; i < lost->nr && k < nr;) {
		if (lost->addresses[i] == addresses[k]) {
			lost->addresses[kept++] = addresses[k++];
			i++;
		} else if (lost->addresses[i] < addresses[k]) {
			i++;
		} else {
			k++;
		}
	}
	lost->nr = kept;
}

/* The last look is what is shown, of it only what the earlier ones found too. */
static int look_repeatedly(const char *target, const struct leaks_options *o, struct leaks_look *l,
			   struct error *e)
{
	struct lost lost = {.addresses = NULL};
	uint64_t nr_looks;
	int err;

	for (uint64_t i = 1;; i++) {
		uint64_t *addresses;
		size_t nr;

		err = leaks_look(target, o, l, e);
		/* A snapshot says the same each time. */
		if (err < 0 || i >= o->repeat || !graph_has_memory(&l->graph)) {
			nr_looks = i;
			break;
		}
		addresses = leaks_addresses(l, &nr);
		if (i == 1) {
			lost = (struct lost){addresses, nr};
		} else {
			keep_common(&lost, addresses, nr);
			free(addresses);
		}
		leaks_look_release(l);
		wait_ns(o->interval_ns);
	}
	/* A pointer that is on its way in one look has arrived in the next. */
	if (err == 0 && nr_looks > 1)
		leaks_keep_repeated(l, lost.addresses, lost.nr);
	else if (err == 0 && !graph_is_consistent(&l->graph))
		leaks_weaken(l);
	free(lost.addresses);
	return err;
}

int leaks_answer(const char *target, const struct leaks_options *o, struct leaks_known *k)
{
	struct error e = {0};
	struct leaks_look l;
	int status;

	if (look_repeatedly(target, o, &l, &e) < 0)
		return cmd_fail(&e);
	leaks_mark_late(&l, k);
	if (leaks_leave_out(&l, k, &e) < 0)
		status = cmd_fail(&e);
	else
		status = leaks_show(&l);
	for (size_t i = 0; o->exit_code && status == EXIT_DONE && i < l.leaks.nr; i++) {
		if (l.leaks.items[i].state == REACH_LEAKED)
			status = EXIT_FOUND;
	}
	leaks_look_release(&l);
	return status;
}

int cmd_leaks(int argc, char **argv)
{
	struct leaks_options o = {.limit = 20, .repeat = 1, .interval_ns = SECOND_NS};
	struct leaks_known known;
	int first, status = read_options(&o, argc, argv, &first);

	if (status != CMD_GO_ON)
		return status;
	if (!o.repeat)
		return cmd_usage_error("leaks", "--repeat: to look 0 times answers nothing");
	if (o.indirect && (!o.list || o.repeat > 1 || o.baseline || o.write_baseline))
		return cmd_usage_error("leaks", "--indirect goes with --list, and not with "
						"--repeat or baselines");
	status = leaks_known_read(&o, &known);
	if (status == EXIT_DONE)
		status = leaks_answer(argv[first], &o, &known);
	leaks_known_release(&known);
	return status;
}
