/* "meter (pid 7) grew by 7.3 MiB in 12.0 s: +2,000 blocks, 622 KiB/s; 2 sites make 99.8 % of it" */
#include "format/headline.h"

#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "base/term.h"
#include "base/text.h"
#include "base/units.h"
#include "model/snapshot.h"

const char *listing_noun(enum listing_group group, uint64_t nr)
{
	static const char *const one[] = {"site", "stack", "module", "function", "tag"};
	static const char *const many[] = {"sites", "stacks", "modules", "functions", "tags"};

	return nr == 1 ? one[group] : many[group];
}

static const char *plural(uint64_t nr)
{
	return nr == 1 ? "" : "s";
}

static uint64_t magnitude(int64_t n)
{
	return n < 0 ? (uint64_t)-n : (uint64_t)n;
}

static void add_who(struct str *out, const struct snapshot *s)
{
	const char *name = strings_get(&s->strings, s->identity.name);

	if (name[0] == 0)
		name = "process";
	text_printable(out, name, strlen(name));
	str_printf(out, " (pid %" PRId32 ")", s->identity.pid);
}

static void add_leaders(struct str *out, const struct listing *l)
{
	const struct listing_totals *t = &l->totals;

	str_printf(out, "; %s %s make%s %.1f %% of %s", format_count(t->lead_rows).text,
		   listing_noun(l->options.group, t->lead_rows), t->lead_rows == 1 ? "s" : "",
		   100.0 * (double)t->lead_bytes / (double)t->grown_bytes,
		   t->shrunk_bytes ? "the growth" : "it");
}

static void add_change(struct str *out, const struct listing *l)
{
	const struct listing_totals *t = &l->totals;
	int64_t bytes = delta_of(t->shrunk_bytes, t->grown_bytes);
	int64_t blocks = delta_of(t->shrunk_blocks, t->grown_blocks);

	if (l->nr_rows)
		str_printf(out, " %s by %s%s", bytes < 0 ? "shrank" : "grew",
			   t->before.live_samples || t->after.live_samples ? "about " : "",
			   format_bytes(magnitude(bytes)).text);
	else
		str_add(out, " did not change");
	if (t->elapsed_ns)
		str_printf(out, " in %s", format_duration(t->elapsed_ns).text);
	if (l->nr_rows == 0)
		return;
	str_printf(out, ": %s block%s", format_count_delta(blocks).text, plural(magnitude(blocks)));
	if (t->elapsed_ns)
		str_printf(out, ", %s", format_rate(rate_of(bytes, t->elapsed_ns)).text);
	if (bytes > 0)
		add_leaders(out, l);
}

static void add_both_ways(struct str *out, const struct listing *l)
{
	const struct listing_totals *t = &l->totals;

	if (t->shrunk_bytes == 0 || t->grown_bytes == 0)
		return;
	str_printf(out, "%s more in %s %s, %s less in %s %s\n", format_bytes(t->grown_bytes).text,
		   format_count(t->grown_rows).text, listing_noun(l->options.group, t->grown_rows),
		   format_bytes(t->shrunk_bytes).text, format_count(t->shrunk_rows).text,
		   listing_noun(l->options.group, t->shrunk_rows));
}

static void add_instants(struct str *out, const struct listing *l)
{
	const char *from = strings_get(&l->before->strings, l->before->instant);
	const char *to = strings_get(&l->after->strings, l->after->instant);

	str_add(out, "from ");
	text_printable(out, from, strlen(from));
	str_add(out, " to ");
	text_printable(out, to, strlen(to));
	str_add(out, ": what was allocated then and is still there in the snapshot\n");
}

static void add_holdings(struct str *out, const struct snapshot *s)
{
	uint64_t since = s->recording_since_ns;

	str_printf(out, " held %s%s in %s block%s", s->totals.live_samples ? "about " : "",
		   format_bytes(s->totals.live_bytes).text,
		   format_count(s->totals.live_blocks).text, plural(s->totals.live_blocks));
	if (s->at_exit)
		str_add(out, " when it ended");
	if (since && s->taken_monotonic_ns > since)
		str_printf(out, ", %s after recording began",
			   format_duration(s->taken_monotonic_ns - since).text);
}

static void add_history(struct str *out, const struct totals *t)
{
	str_printf(out, "ever allocated: %s in %s block%s; freed: %s in %s; temporary: %s\n",
		   format_bytes(t->total_bytes).text, format_count(t->total_blocks).text,
		   plural(t->total_blocks), format_bytes(t->freed_bytes).text,
		   format_count(t->freed_blocks).text, format_count(t->temporary_blocks).text);
}

void headline_write(struct str *out, const struct listing *l, const struct palette *palette)
{
	str_add(out, palette->bold);
	add_who(out, l->after);
	if (l->before)
		add_change(out, l);
	else
		add_holdings(out, l->after);
	str_printf(out, "%s\n", palette->reset);
	if (l->before && l->after->survivors)
		add_instants(out, l);
	if (l->before)
		add_both_ways(out, l);
	else
		add_history(out, &l->after->totals);
}
