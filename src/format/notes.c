/* One line for everything that was left out or got lost, with its figure. */
#include "format/notes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "base/term.h"
#include "base/text.h"
#include "base/units.h"
#include "format/format.h"
#include "model/gaps.h"
#include "model/lines.h"
#include "model/listing.h"
#include "model/snapshot.h"
#include "model/suppress.h"

#define GAPS_SHOWN 5

struct notes {
	struct str *out;
	const struct palette *palette;
	bool any;
};

static void begin(struct notes *n)
{
	if (!n->any)
		str_add_char(n->out, '\n');
	n->any = true;
}

/* Something chosen: by the limit, the filter, suppressions. */
static void __attribute__((format(printf, 2, 3))) left_out(struct notes *n, const char *format, ...)
{
	char *text;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vasprintf(&text, format, ap);
	va_end(ap);
	if (len < 0)
		return;
	begin(n);
	text_printable(n->out, text, (size_t)len);
	str_add_char(n->out, '\n');
	free(text);
}

/* Something lost: figures that are not the whole truth. */
static void __attribute__((format(printf, 2, 3)))
incomplete(struct notes *n, const char *format, ...)
{
	char *text;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vasprintf(&text, format, ap);
	va_end(ap);
	if (len < 0)
		return;
	begin(n);
	str_printf(n->out, "%sincomplete:%s ", n->palette->notice, n->palette->reset);
	text_printable(n->out, text, (size_t)len);
	str_add_char(n->out, '\n');
	free(text);
}

static void note_limit(struct notes *n, const struct listing *l)
{
	struct counters before = {0}, after = {0};
	size_t nr = l->nr_rows - l->nr_shown;

	if (nr == 0)
		return;
	for (size_t r = l->nr_shown; r < l->nr_rows; r++) {
		counters_add(&before, &l->rows[r].before);
		counters_add(&after, &l->rows[r].after);
	}
	left_out(n, "%s more row%s, %s together (--limit 0 shows all)", format_count(nr).text,
		 nr == 1 ? "" : "s",
		 l->before ? format_bytes_delta(change_bytes(&before, &after)).text
			   : format_bytes(after.live_bytes).text);
}

static void note_choices(struct notes *n, const struct listing *l)
{
	const struct listing_totals *t = &l->totals;

	note_limit(n, l);
	if (t->small_rows)
		left_out(n, "left out by --min or --grown-only: %s row%s",
			 format_count(t->small_rows).text, t->small_rows == 1 ? "" : "s");
	if (t->filtered_stacks)
		left_out(n, "left out by the filter: %s stack%s",
			 format_count(t->filtered_stacks).text, t->filtered_stacks == 1 ? "" : "s");
	if (t->suppressed_stacks)
		left_out(n, "suppressed: %s stack%s, %s in %s blocks",
			 format_count(t->suppressed_stacks).text,
			 t->suppressed_stacks == 1 ? "" : "s",
			 format_bytes(t->suppressed_bytes).text,
			 format_count(t->suppressed_blocks).text);
	for (size_t i = 0; l->options.suppressions && i < l->options.suppressions->nr; i++) {
		const struct suppression *s = &l->options.suppressions->items[i];

		if (s->stacks)
			left_out(n, "  %s by leak:%s (line %u)", format_bytes(s->bytes).text,
				 s->pattern, s->line);
	}
}

static void note_losses(struct notes *n, const struct snapshot *s)
{
	const struct losses *l = &s->losses;
	const struct {
		uint64_t nr;
		const char *what;
	} items[] = {
		{l->missing_stacks, "allocations without a stack, the table of stacks being full"},
		{l->cut_stacks, "stacks cut off at the depth limit"},
		{l->stopped_stacks, "stacks that end early, at code without unwind information"},
		{l->lost_frees, "frees not seen, their addresses having been given out again"},
		{l->unknown_frees, s->mode_changes || s->totals.total_samples
					   ? "frees of blocks that were not recorded"
					   : "frees of blocks older than the recording"},
		{l->lost_marks, "marks not made, there being too many"},
		{l->lost_tags, "scopes without their tag, there being too many names or levels"},
		{l->partial_functions,
		 "functions of the allocator of which not all calls are seen, so that blocks may "
		 "be missing, or freed and shown as live"},
	};

	if (l->dropped_blocks)
		incomplete(n, "blocks not recorded, a table being full: %s (%s)",
			   format_count(l->dropped_blocks).text,
			   format_bytes(l->dropped_bytes).text);
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
		if (items[i].nr)
			incomplete(n, "%s: %s", items[i].what, format_count(items[i].nr).text);
	}
}

static void note_samples(struct notes *n, const char *name, const struct snapshot *s)
{
	const struct totals *t = &s->totals;

	if (!t->total_samples)
		return;
	incomplete(n,
		   "'%s' holds samples of what was allocated in %s: %s samples, %s of them live; "
		   "figures with samples are estimates",
		   name, format_duration(s->sampled_ns).text, format_count(t->total_samples).text,
		   format_count(t->live_samples).text);
	left_out(n, "  the standard error of bytes that N samples stand for is at most 1/sqrt(N): "
		    "10 %% for 100 samples");
}

static void note_off(struct notes *n, const char *name, const struct snapshot *s)
{
	const struct unrecorded *u = &s->unrecorded;
	bool now = s->nr_modes && s->modes[s->nr_modes - 1].mode == MODE_OFF;

	if (!u->ns && !now)
		return;
	incomplete(n,
		   "in '%s' the recording was off for %s%s: %s block%s (%s) allocated meanwhile "
		   "%s not in it",
		   name, format_duration(u->ns).text, now ? ", and still was" : "",
		   format_count(u->blocks).text, u->blocks == 1 ? "" : "s",
		   format_bytes(u->bytes).text, u->blocks == 1 ? "is" : "are");
}

static void note_file(struct notes *n, const char *name, const struct snapshot *s,
		      const char *damage)
{
	if (damage)
		incomplete(n, "'%s' is damaged: %s", name, damage);
	if (s->losses.torn)
		incomplete(n,
			   "'%s' is no consistent instant: counts may be off by what the "
			   "process did meanwhile",
			   name);
	if (!s->has_recorder)
		incomplete(n, "'%s' was taken without the recorder: it names no allocations", name);
	note_samples(n, name, s);
	note_off(n, name, s);
}

static void note_gaps(struct notes *n, const struct view *v, const struct snapshot *s)
{
	struct gaps gaps;

	gaps_of(s, &gaps);
	for (size_t i = 0; i < gaps.nr && i < GAPS_SHOWN; i++) {
		const struct gap *gap = &gaps.items[i];
		const char *why = v->why_nameless ? v->why_nameless[gap->index] : NULL;

		if (!why && gap->flags & MODULE_REPLACED)
			why = "the file was replaced since";
		incomplete(n, "no symbols for %s (%s frame%s)%s%s", gap->module,
			   format_count(gap->frames).text, gap->frames == 1 ? "" : "s",
			   why ? ": " : "", why ? why : "");
	}
	if (gaps.nr > GAPS_SHOWN)
		incomplete(n, "no symbols for %s more modules",
			   format_count(gaps.nr - GAPS_SHOWN).text);
	gaps_release(&gaps);
}

void notes_write(struct str *out, const struct view *v, const struct palette *palette)
{
	struct notes n = {.out = out, .palette = palette};
	const struct listing *l = v->listing;

	note_choices(&n, l);
	if (v->forced)
		incomplete(&n, "compared by --force although %s", v->forced);
	if (l->before)
		note_file(&n, v->before_name, l->before, v->before_damage);
	note_file(&n, v->after_name, l->after, v->after_damage);
	note_losses(&n, l->after);
	if (v->no_symbols && !l->after->symbols_resolved)
		left_out(&n, "names were not looked up (--no-symbols)");
	else
		note_gaps(&n, v, l->after);
}
