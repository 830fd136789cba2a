/*
 * Runs a program as `seep run` does, and writes what the recorder says of itself at the end: one
 * line of JSON for each process. The check build counts there the stacks that it compared with
 * another unwinder's, and those that differed; snapshots do not carry that.
 *
 * run_status RECORDER OUTPUT [--follow] -- COMMAND [ARGUMENT...]
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "target/launch.h"
#include "wire/wire.h"

static void print_status(const struct launched *p, void *context)
{
	const struct wire_header *h = p->table.header;
	FILE *out = context;

	fprintf(out,
		"{\"pid\":%" PRId32 ",\"first\":%s,\"image\":%" PRIu32 ",\"state\":%" PRIu32 ",",
		p->pid, p->is_first ? "true" : "false", p->image, h->state);
	fprintf(out, "\"checked_stacks\":%" PRIu64 ",\"differing_stacks\":%" PRIu64 ",",
		h->checked_stacks, h->differing_stacks);
	fprintf(out, "\"cut_stacks\":%" PRIu64 ",\"stopped_stacks\":%" PRIu64 ",", h->cut_stacks,
		h->stopped_stacks);
	fprintf(out, "\"missing_stacks\":%" PRIu64 ",\"captures\":%" PRIu64 "}\n",
		h->missing_stacks, h->captures);
}

/* What the recorder could not do shows in the state, printed at the end. */
static void note_failure(const struct launched *p, void *context)
{
	(void)p;
	(void)context;
}

static int run(const struct launch_options *options, FILE *out)
{
	const struct launch_events events = {
		.ended = print_status,
		.failed = note_failure,
		.context = out,
	};
	struct launch *l;
	struct error e = {0};
	int wait_status = 0, err = launch_start(options, &l, &e);

	if (err == 0) {
		err = launch_wait(l, &events, &wait_status, &e);
		launch_free(l);
	}
	if (err < 0) {
		fprintf(stderr, "run_status: %s\n", e.message);
		return 99;
	}
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

int main(int argc, char **argv)
{
	struct launch_options options = {0};
	int first = 3, status;
	FILE *out;

	if (argc > first && strcmp(argv[first], "--follow") == 0) {
		options.follow = true;
		first++;
	}
	if (argc < first + 2 || strcmp(argv[first], "--") != 0) {
		fprintf(stderr, "usage: run_status RECORDER OUTPUT [--follow] -- COMMAND...\n");
		return 98;
	}
	out = fopen(argv[2], "we");
	if (!out) {
		perror(argv[2]);
		return 99;
	}
	options.recorder = argv[1];
	options.argv = argv + first + 1;
	status = run(&options, out);
	if (fclose(out) != 0)
		return 99;
	return status;
}
