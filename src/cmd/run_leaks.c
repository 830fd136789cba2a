/* See run_leaks.h. */
#include "cmd/run_leaks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "cmd/cmd.h"

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
		{OPT_CHOICE, 0, "leaks-when", "after|before|both",
		 "with --leaks: look when exit handlers and destructors have run, before they do, "
		 "or both times (default after)",
		 &r->when},
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
		if (o->exit_code || o->output || o->baseline || o->suppressions || r->when)
			return cmd_usage_error("run", "that needs --leaks");
		return CMD_GO_ON;
	}
	if (o->indirect && (!o->list || o->baseline))
		return cmd_usage_error("run",
				       "--indirect goes with --list, and not with --baseline");
	status = leaks_known_read(o, &r->known);
	return status == EXIT_DONE ? CMD_GO_ON : status;
}

unsigned int run_leaks_exits(const struct run_leaks *r)
{
	if (!r->wanted)
		return 0;
	switch ((enum run_leaks_when)r->when) {
	case RUN_LEAKS_AFTER:
		return LAUNCH_EXIT_AFTER;
	case RUN_LEAKS_BEFORE:
		return LAUNCH_EXIT_BEFORE;
	case RUN_LEAKS_BOTH:
		break;
	}
	return LAUNCH_EXIT_BEFORE | LAUNCH_EXIT_AFTER;
}

static void note_status(struct run_leaks *r, int status)
{
	if (status == EXIT_FOUND)
		r->found = true;
	else if (status != EXIT_DONE)
		r->status = status;
}

/* The first of two looks. */
static void keep_before(struct run_leaks *r, const struct launched *p, const char *pid)
{
	struct run_leaks_before before = {.pid = p->pid, .image = p->image};
	struct leaks_look l;
	struct error e = {0};

	if (leaks_look(pid, &r->options, &l, &e) < 0) {
		note_status(r, cmd_fail(&e));
		return;
	}
	before.addresses = leaks_addresses(&l, &before.nr);
	before.totals = l.totals;
	leaks_look_release(&l);
	ARRAY_PUSH(r->before, r->nr_before, r->cap_before, before);
}

static const struct run_leaks_before *find_before(const struct run_leaks *r,
						  const struct launched *p)
{
	for (size_t i = r->nr_before; i-- > 0;) {
		if (r->before[i].pid == p->pid && r->before[i].image == p->image)
			return &r->before[i];
	}
	return NULL;
}

static void answer(struct run_leaks *r, const struct launched *p, const char *pid)
{
	const struct run_leaks_before *before = find_before(r, p);
	struct leaks_options o = r->options;
	char *path = NULL;

	r->known.earlier = before ? before->addresses : NULL;
	r->known.nr_earlier = before ? before->nr : 0;
	r->known.earlier_totals = before ? &before->totals : NULL;
	if (o.output && !p->is_first)
		o.output = path = mem_printf("%s.%d", o.output, p->pid);
	note_status(r, leaks_answer(pid, &o, &r->known));
	if (r->when == RUN_LEAKS_BOTH && !before)
		cmd_warn("%s (%d) was not looked at before its destructors: the C library ended "
			 "it by itself",
			 process_name(&p->info), p->pid);
	free(path);
}

void run_leaks_look(struct run_leaks *r, const struct launched *p, enum launch_exit where)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", p->pid);
	if (r->when == RUN_LEAKS_BOTH && where == LAUNCH_EXIT_BEFORE)
		keep_before(r, p, pid);
	else
		answer(r, p, pid);
}

void run_leaks_ended(struct run_leaks *r, const struct launched *p)
{
	unsigned int last = r->when == RUN_LEAKS_BEFORE ? LAUNCH_EXIT_BEFORE : LAUNCH_EXIT_AFTER;

	if (!r->wanted || !p->is_first || p->seen & last)
		return;
	cmd_warn("%s (%d) was not looked at for leaks: it did not end by exit()",
		 process_name(&p->info), p->pid);
	cmd_hint("seep leaks looks at it while it runs");
	if (r->status == EXIT_DONE)
		r->status = EXIT_TARGET;
}

void run_leaks_release(struct run_leaks *r)
{
	for (size_t i = 0; i < r->nr_before; i++)
		free(r->before[i].addresses);
	free(r->before);
	leaks_known_release(&r->known);
}
