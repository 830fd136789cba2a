/* seep heaps --watch: look again and again, and say what changed. */
#include <stdio.h>

#include "base/str.h"
#include "cmd/again.h"
#include "cmd/heaps.h"
#include "cmd/show.h"
#include "model/heapdiff.h"
#include "target/process.h"

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

/* Shows the first look, then changes until something ends it; *last is first, or to be released. */
static int watch(const struct heaps_look *first, const struct heaps_options *o, struct again *again,
		 struct heaps_look *last, uint64_t *ret_looks)
{
	uint64_t looks = 1;
	int status = heaps_show_one(first, o);
	struct heaps_look next;
	bool ended = false;
	char pid[16];

	/* A name may come to mean another process. */
	snprintf(pid, sizeof(pid), "%d", (int)first->look.snapshot.identity.pid);
	while (status == EXIT_DONE && (!o->count || looks < o->count) && again_wait(again)) {
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
	struct again again;
	struct error e = {0};
	uint64_t looks = 1;
	int status;

	again_begin(&again, o->watch_ns);
	if (heaps_look_at(operand, o, &first, &e) < 0)
		return cmd_fail(&e);
	if (!changes(&first)) {
		heaps_look_release(&first);
		return cmd_usage_error("heaps", "--watch needs a process: '%s' does not change",
				       operand);
	}
	last = first;
	status = watch(&first, o, &again, &last, &looks);
	if (status == EXIT_DONE)
		status = show_sum(&first, &last, looks, o);
	if (looks > 1)
		heaps_look_release(&last);
	heaps_look_release(&first);
	return status;
}
