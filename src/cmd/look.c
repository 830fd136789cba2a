/* One look at a TARGET; see look.h. */
#include "cmd/look.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "base/units.h"
#include "cmd/identity.h"
#include "cmd/look_fill.h"
#include "cmd/take.h"
#include "file/seepfile.h"
#include "model/regions.h"
#include "model/sheet.h"
#include "target/maps.h"
#include "target/process.h"

static const char method_choices[] = "auto|clone|stop|live";

void look_options_table(struct look_options *o, struct opt table[LOOK_OPTIONS])
{
	table[0] = (struct opt){
		OPT_CHOICE,
		0,
		"method",
		method_choices,
		"how a process is read: from a frozen clone, while it stands still, as it runs, or "
		"the first of these that is safe",
		&o->method};
	table[1] = (struct opt){OPT_TEXT,
				0,
				"files",
				"PATHS",
				"colon-separated folders with the programs and libraries of a core",
				&o->files};
}

static bool is_number(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text))
			return false;
	}
	return true;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), tail = strlen(end);

	return len >= tail && strcmp(text + len - tail, end) == 0;
}

enum operand { OPERAND_PROCESS, OPERAND_CORE, OPERAND_SNAPSHOT };

/* A name may be a process's and a file's; a file counts when it can be nothing else, or is one. */
static enum operand classify(const char *operand)
{
	struct stat st;

	if (strcmp(operand, "-") == 0)
		return OPERAND_SNAPSHOT;
	if (is_number(operand))
		return OPERAND_PROCESS;
	if (target_is_core(operand))
		return OPERAND_CORE;
	if (strchr(operand, '/') || ends_with(operand, ".seep"))
		return OPERAND_SNAPSHOT;
	if (stat(operand, &st) == 0 && S_ISREG(st.st_mode)) {
		int pid;

		return process_find_one(operand, &pid, NULL) == 0 ? OPERAND_PROCESS
								  : OPERAND_SNAPSHOT;
	}
	return OPERAND_PROCESS;
}

static int need_references(const struct look *l, struct error *e)
{
	if (l->snapshot.has_references)
		return 0;
	if (l->references_lost) {
		error_set(e, -ENODATA, EXIT_FILE,
			  "the references in snapshot '%s' are not whole, and of no use: %s",
			  l->operand, l->damage);
		return -ENODATA;
	}
	error_set(e, -ENODATA, EXIT_FILE,
		  "snapshot '%s' holds no contents of memory, and was taken without references",
		  l->operand);
	error_hint(e, "seep snap --references keeps them; or look at the process itself, or at a "
		      "core of it (seep core)");
	return -ENODATA;
}

static int need_heaps(const struct look *l, unsigned int wanted, struct error *e)
{
	if (wanted & LOOK_MEMORY) {
		error_set(e, -ENODATA, EXIT_FILE, "snapshot '%s' holds no contents of memory",
			  l->operand);
		error_hint(e, "look at the process itself, or at a core of it (seep core)");
		return -ENODATA;
	}
	if (wanted & LOOK_REFERENCES)
		return need_references(l, e);
	if ((wanted & LOOK_HEAPS) && !l->snapshot.has_heaps) {
		error_set(e, -ENODATA, EXIT_FILE, "snapshot '%s' has no heaps in it", l->operand);
		error_hint(e, "take it again with this version of seep");
		return -ENODATA;
	}
	if ((wanted & (LOOK_BLOCKS | LOOK_FIND_HEAPS)) && !l->snapshot.has_blocks) {
		error_set(e, -ENODATA, EXIT_FILE, "snapshot '%s' was taken without blocks",
			  l->operand);
		error_hint(e, "seep snap without --no-blocks keeps them");
		return -ENODATA;
	}
	return 0;
}

static int look_at_file(struct look *l, const struct look_options *o, struct error *e)
{
	struct seepfile_damage damage = {.damaged = false};
	struct snapshot s;
	int err = seepfile_read(l->operand, &s, &damage, e);

	if (err < 0)
		return err;
	snapshot_release(&l->snapshot);
	l->snapshot = s;
	l->label = mem_printf("%s", l->operand);
	if (damage.damaged)
		l->damage = mem_strdup(damage.what);
	l->references_lost = damage.references_lost;
	return need_heaps(l, o->wanted, e);
}

/* The recorder's rows first, as near to the instant of the look as can be. */
static int begin_snapshot(struct look *l, const struct look_options *o, struct error *e)
{
	const struct process_info *who = target_process(l->target);

	if ((o->wanted & LOOK_RECORDER) && target_how(l->target)->kind != TARGET_CORE &&
	    maps_find_recorder(target_maps(l->target))) {
		const unsigned int blocks = LOOK_BLOCKS | LOOK_RECORDED_BLOCKS;
		struct take_options take = {.no_blocks = !(o->wanted & blocks),
					    .no_symbols = o->no_symbols,
					    .symbols = o->symbols,
					    .progress = o->progress};
		struct snapshot s;
		int err = take_from_pid(who->pid, &take, &s, e);

		if (err < 0)
			return err;
		snapshot_release(&l->snapshot);
		l->snapshot = s;
		return 0;
	}
	identity_fill(&l->snapshot, who, 0);
	l->snapshot.taken_realtime_ns = clock_realtime_ns();
	l->snapshot.taken_monotonic_ns = clock_monotonic_ns();
	return 0;
}

static int look_into(struct look *l, const struct look_options *o, const struct look_use *use,
		     struct error *e)
{
	int err = begin_snapshot(l, o, e);

	if (err < 0)
		return err;
	look_fill_process(&l->snapshot, l->target, use);
	if (o->wanted & LOOK_LET_GO && target_how(l->target)->kind == TARGET_STOPPED)
		look_done_reading(l);
	if (o->wanted & (LOOK_HEAPS | LOOK_BLOCKS | LOOK_FIND_HEAPS | LOOK_SPANS)) {
		err = heaps_find(l->target, &l->heaps, e);
		if (err == 0 && o->wanted & (LOOK_HEAPS | LOOK_BLOCKS))
			err = look_fill_heaps(&l->snapshot, l->heaps, o->wanted & LOOK_BLOCKS,
					      o->sizes, e);
		else if (err == 0 && o->wanted & LOOK_SPANS)
			look_fill_spans(&l->snapshot, l->heaps);
	}
	/* What was read last is then nothing, and would look like an answer. */
	if (err == 0 && target_has_ended(l->target))
		err = error_set(e, -ESRCH, EXIT_TARGET, "process %d ended while it was looked at",
				target_process(l->target)->pid);
	if (err == 0)
		regions_classify(&l->snapshot);
	return err;
}

/* A process in a container has another pid there. */
static char *label_of(const struct process_info *who)
{
	if (who->ns_pid && who->ns_pid != who->pid)
		return mem_printf("%s (pid %d, %d in its container)", process_name(who), who->pid,
				  who->ns_pid);
	return mem_printf("%s (pid %d)", process_name(who), who->pid);
}

static int look_at_process(struct look *l, const struct look_options *o, struct error *e)
{
	struct target_options options = {.wish = (enum target_wish)o->method, .files = o->files};
	bool clone = o->method == TARGET_WISH_AUTO || o->method == TARGET_WISH_CLONE;
	struct look_use use = {.dir = -1};
	int pid, err = process_find_one(l->operand, &pid, e);

	if (err < 0)
		return err;
	if (clone && o->wanted & LOOK_REGION_USE)
		look_use_read(&use, pid);
	else if (o->wanted & LOOK_REGION_USE)
		options.use = &use.smaps;
	err = target_open_pid(pid, &options, &l->target, e);
	if (err == 0) {
		/* Of the same instant, where there is no clone. */
		if (target_how(l->target)->kind != TARGET_CLONE && o->wanted & LOOK_REGION_USE) {
			if (clone)
				look_use_release(&use);
			look_use_read(&use, pid);
		}
		l->label = label_of(target_process(l->target));
		err = look_into(l, o, &use, e);
	}
	look_use_release(&use);
	return err;
}

static int look_at_core(struct look *l, const struct look_options *o, struct error *e)
{
	struct target_options options = {.files = o->files};
	const struct process_info *who;
	int err = target_open_core(l->operand, &options, &l->target, e);

	if (err < 0)
		return err;
	who = target_process(l->target);
	l->label = mem_printf("core of %s (pid %d)", process_name(who), who->pid);
	return look_into(l, o, NULL, e);
}

int look_at(const char *operand, const struct look_options *o, struct look *ret, struct error *e)
{
	struct look l = {.operand = operand};
	int err = -EINVAL;

	snapshot_init(&l.snapshot);
	switch (classify(operand)) {
	case OPERAND_SNAPSHOT:
		err = look_at_file(&l, o, e);
		break;
	case OPERAND_CORE:
		err = look_at_core(&l, o, e);
		break;
	case OPERAND_PROCESS:
		err = look_at_process(&l, o, e);
		break;
	}
	if (err < 0) {
		look_release(&l);
		return err;
	}
	*ret = l;
	return 0;
}

void look_release(struct look *l)
{
	heaps_free(l->heaps);
	target_close(l->target);
	snapshot_release(&l->snapshot);
	free(l->label);
	free(l->damage);
	*l = (struct look){.operand = NULL};
}

void look_done_reading(struct look *l)
{
	if (!l->target)
		return;
	target_thaw(l->target);
	l->snapshot.pause_ns = target_how(l->target)->pause_ns;
}

void look_totals(const struct look *l, struct sheet *sheet)
{
	const struct snapshot *s = &l->snapshot;
	const char *method = strings_get(&s->strings, s->method);
	bool stood_still = strcmp(method, target_kind_name(TARGET_CORE)) != 0;

	if (s->identity.pid > 0)
		sheet_total(sheet, "pid", CELL_COUNT, (uint64_t)s->identity.pid);
	else
		sheet_total_unknown(sheet, "pid");
	sheet_total_text(sheet, "process", strings_get(&s->strings, s->identity.name));
	sheet_total_text(sheet, "method", method);
	if (stood_still)
		sheet_total(sheet, "pause_ns", CELL_COUNT, s->pause_ns);
	else
		sheet_total_unknown(sheet, "pause_ns");
}

void look_note_modes(const struct look *l, struct sheet *sheet)
{
	const struct snapshot *s = &l->snapshot;
	const struct totals *t = &s->totals;

	if (t->live_samples)
		sheet_note(sheet,
			   "the recorder took samples (seep mode): %s block%s of it, standing for "
			   "about %s blocks of %s; others were not recorded",
			   format_count(t->live_samples).text, t->live_samples == 1 ? "" : "s",
			   format_count(t->live_blocks).text, format_bytes(t->live_bytes).text);
	if (s->unrecorded.ns)
		sheet_note(sheet,
			   "the recording was off for %s (seep mode): %s block%s allocated then "
			   "%s not recorded",
			   format_duration(s->unrecorded.ns).text,
			   format_count(s->unrecorded.blocks).text,
			   s->unrecorded.blocks == 1 ? "" : "s",
			   s->unrecorded.blocks == 1 ? "was" : "were");
}

/* "read from a frozen clone; the process stood still for 1.3 ms"; "": nothing was looked at. */
static char *look_how(const struct look *l)
{
	const struct target_how *how;
	struct target_gaps gaps;
	struct str out = STR_INIT;

	if (!l->target)
		return str_detach(&out);
	how = target_how(l->target);
	switch (how->kind) {
	case TARGET_CLONE:
		str_printf(&out, "read from a frozen clone; the process stood still for %s",
			   format_duration(how->pause_ns).text);
		break;
	case TARGET_STOPPED:
		str_printf(&out, "read while the process stood still, for %s",
			   format_duration(how->pause_ns).text);
		break;
	case TARGET_LIVE:
		str_add(&out, "read while the process went on: not one instant");
		break;
	case TARGET_CORE:
		str_add(&out, "read from a core file");
		if (!how->consistent)
			str_add(&out, ", written while the process went on: not one instant");
		if (target_gaps(l->target, &gaps)) {
			str_add(&out, ": ");
			target_gaps_describe(&gaps, &out);
		}
		break;
	}
	if (*how->why) {
		str_add(&out, " (");
		text_printable(&out, how->why, strlen(how->why));
		str_add_char(&out, ')');
	}
	return str_detach(&out);
}

void look_note_how(const struct look *l, struct sheet *sheet)
{
	char *how = look_how(l);

	if (*how)
		sheet_note(sheet, "%s", how);
	free(how);
}
