/* seep heaps --watch: look again and again, and say what changed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/str.h"
#include "cmd/heaps.h"
#include "cmd/identity.h"
#include "cmd/show.h"
#include "model/heapdiff.h"
#include "target/process.h"

static volatile sig_atomic_t stop_requested;

static void on_signal(int sig)
{
	(void)sig;
	stop_requested = 1;
}

static bool sleep_until(uint64_t ns)
{
	struct timespec ts = {.tv_sec = (time_t)(ns / 1000000000),
			      .tv_nsec = (long)(ns % 1000000000)};

	while (!stop_requested &&
	       clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
	return !stop_requested;
}

/* What came of it in all, once there were more than two looks. */
static int show_sum(const struct heaps_look *first, const struct heaps_look *last, uint64_t looks,
		    const struct heaps_options *o)
{
	bool sizes = heaps_sizes_compare(first, last);
	struct str out = STR_INIT;
	struct heapdiff d;
	int status;

	if (looks < 3 || o->format != SHOW_TEXT)
		return EXIT_DONE;
	heapdiff_make(&first->look.snapshot, sizes ? &first->sizes : NULL, &last->look.snapshot,
		      sizes ? &last->sizes : NULL, &d);
	str_printf(&out, "\nFrom the first look to the last: ");
	heapdiff_sentence(&d, &out);
	str_add_char(&out, '\n');
	heapdiff_release(&d);
	status = show_text(out.data, out.len, NULL);
	str_release(&out);
	return status;
}

static bool has_ended(const struct snapshot *s)
{
	return process_check(s->identity.pid, s->identity.start_ticks) < 0;
}

/* Another look; EXIT_DONE with *ret_ended: there is nothing left to look at. */
static int look_again(const char *operand, const struct heaps_options *o,
		      const struct snapshot *first, struct heaps_look *ret, bool *ret_ended)
{
	struct error e = {0};

	*ret_ended = false;
	if (heaps_look_at(operand, o, ret, &e) == 0) {
		if (snapshot_same_process(first, &ret->look.snapshot, &e) == 0)
			return EXIT_DONE;
		heaps_look_release(ret);
	} else if (!has_ended(first)) {
		return cmd_fail(&e);
	}
	*ret_ended = true;
	return EXIT_DONE;
}

static bool changes(const struct heaps_look *l)
{
	return l->look.target && target_how(l->look.target)->kind != TARGET_CORE;
}

static void catch_signals(void)
{
	struct sigaction sa = {.sa_handler = on_signal};

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

/* Shows the first look, then changes until something ends it; *last is first, or to be released. */
static int watch(const struct heaps_look *first, const struct heaps_options *o,
		 struct heaps_look *last, uint64_t *ret_looks)
{
	uint64_t begin = clock_monotonic_ns(), looks = 1;
	int status = heaps_show_one(first, o);
	struct heaps_look next;
	bool ended = false;
	char pid[16];

	/* A name may come to mean another process. */
	snprintf(pid, sizeof(pid), "%d", (int)first->look.snapshot.identity.pid);
	while (status == EXIT_DONE && (!o->count || looks < o->count) &&
	       sleep_until(begin + looks * o->watch_ns)) {
		status = look_again(pid, o, &first->look.snapshot, &next, &ended);
		if (status != EXIT_DONE || ended)
			break;
		if (o->format == SHOW_TEXT)
			status = show_text("\n", 1, NULL);
		if (status == EXIT_DONE)
			status = heaps_show_change(last, &next, o);
		if (looks++ > 1)
			heaps_look_release(last);
		*last = next;
	}
	if (ended)
		cmd_note("%s has ended", first->look.label);
	*ret_looks = looks;
	return status;
}

int heaps_watch(const char *operand, const struct heaps_options *o)
{
	struct heaps_look first, last;
	struct error e = {0};
	uint64_t looks = 1;
	int status;

	if (heaps_look_at(operand, o, &first, &e) < 0)
		return cmd_fail(&e);
	if (!changes(&first)) {
		heaps_look_release(&first);
		return cmd_usage_error("heaps", "--watch needs a process: '%s' does not change",
				       operand);
	}
	catch_signals();
	last = first;
	status = watch(&first, o, &last, &looks);
	if (status == EXIT_DONE)
		status = show_sum(&first, &last, looks, o);
	if (looks > 1)
		heaps_look_release(&last);
	heaps_look_release(&first);
	return status;
}
