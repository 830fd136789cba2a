/* See run_leaks.h. */
#include "cmd/run_leaks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/cmd.h"
#include "target/launch.h"

void run_leaks_init(struct run_leaks *r)
{
	*r = (struct run_leaks){.options = {.limit = 20}, .status = EXIT_DONE};
}

void run_leaks_table(struct run_leaks *r, struct opt table[RUN_LEAKS_OPTIONS])
{
	struct leaks_options *o = &r->options;
	const struct opt options[RUN_LEAKS_OPTIONS] = {
		{OPT_GROUP, 0, "Leaks", NULL, NULL, NULL},
		{OPT_FLAG, 'l', "leaks", NULL,
		 "look for leaks when the program is about to end; the answer goes to standard "
		 "error",
		 &r->wanted},
		{OPT_CHOICE, 'g', "group-by", "best|site|class|size",
		 "with --leaks: what is put together (default best)", &o->group},
		{OPT_FLAG, 0, "list", NULL, "with --leaks: a row a leak", &o->list},
		{OPT_FLAG, 0, "indirect", NULL,
		 "with --leaks --list: a row for each block that hangs on a leak, too",
		 &o->indirect},
		{OPT_FLAG, 0, "possible", NULL,
		 "with --leaks: blocks too that only a pointer into their middle holds",
		 &o->possible},
		{OPT_COUNT, 'n', "limit", "N", "with --leaks: rows to list, 0: all (default 20)",
		 &o->limit},
		{OPT_TEXT, 0, "suppressions", "FILE", "with --leaks: leave known stacks out",
		 &o->suppressions},
		{OPT_TEXT, 0, "baseline", "FILE", "with --leaks: leave known leaks out",
		 &o->baseline},
		{OPT_FLAG, 0, "exit-code", NULL, "with --leaks: status 1 when a leak is left",
		 &o->exit_code},
		{OPT_CHOICE, 0, "format", "text|json|csv|sarif|junit",
		 "with --leaks: text for people, the others for programs (default text)",
		 &o->format},
		{OPT_TEXT, 'o', "output", "FILE",
		 "with --leaks: write to FILE; to FILE.PID for children", &o->output},
	};

	memcpy(table, options, sizeof(options));
}

int run_leaks_prepare(struct run_leaks *r)
{
	const struct leaks_options *o = &r->options;
	int status;

	if (!r->wanted) {
		if (o->exit_code || o->output || o->baseline || o->suppressions)
			return cmd_usage_error("run", "that needs --leaks");
		return CMD_GO_ON;
	}
	if (o->indirect && (!o->list || o->baseline))
		return cmd_usage_error("run",
				       "--indirect goes with --list, and not with --baseline");
	status = leaks_known_read(o, &r->known);
	return status == EXIT_DONE ? CMD_GO_ON : status;
}

void run_leaks_look(struct run_leaks *r, const struct launched *p)
{
	struct leaks_options o = r->options;
	char pid[16], *path = NULL;
	int status;

	if (o.output && !p->is_first)
		o.output = path = mem_printf("%s.%d", o.output, p->pid);
	snprintf(pid, sizeof(pid), "%d", p->pid);
	status = leaks_answer(pid, &o, &r->known);
	if (status == EXIT_FOUND)
		r->found = true;
	else if (status != EXIT_DONE)
		r->status = status;
	free(path);
}

void run_leaks_ended(struct run_leaks *r, const struct launched *p)
{
	if (!r->wanted || !p->is_first || p->seen_at_exit)
		return;
	cmd_warn("%s (%d) was not looked at for leaks: it did not end by exit()",
		 process_name(&p->info), p->pid);
	cmd_hint("seep leaks looks at it while it runs");
	if (r->status == EXIT_DONE)
		r->status = EXIT_TARGET;
}

void run_leaks_release(struct run_leaks *r)
{
	leaks_known_release(&r->known);
}
