/* UMDH's report: two lines and a stack for every stack that changed, then the total. */
#include <inttypes.h>

#include "base/str.h"
#include "format/format.h"
#include "format/umdh.h"
#include "model/lines.h"
#include "model/listing.h"
#include "model/snapshot.h"

/* Part of the format: readers skip to the end of this block. Every line is padded to 76 columns. */
static const char *const legend[] = {
	"",
	"Each log entry has the following syntax:",
	"",
	"+ BYTES_DELTA (NEW_BYTES - OLD_BYTES) NEW_COUNT allocs BackTrace TRACEID",
	"+ COUNT_DELTA (NEW_COUNT - OLD_COUNT) BackTrace TRACEID allocations",
	"    ... stack trace ...",
	"",
	"where:",
	"",
	"    BYTES_DELTA - increase in bytes between before and after log",
	"    NEW_BYTES - bytes in after log",
	"    OLD_BYTES - bytes in before log",
	"    COUNT_DELTA - increase in allocations between before and after log",
	"    NEW_COUNT - number of allocations in after log",
	"    OLD_COUNT - number of allocations in before log",
	"    TRACEID - decimal index of the stack trace in the trace database",
	"        (can be used to search for allocation instances in the original",
	"        UMDH logs).",
	"",
};

static void add_legend(struct str *out)
{
	for (size_t i = 0; i < sizeof(legend) / sizeof(legend[0]); i++)
		str_printf(out, "// %-73s\r\n", legend[i]);
	str_add(out, "\r\n\r\n");
}

static uint64_t magnitude(int64_t n)
{
	return n < 0 ? (uint64_t)-n : (uint64_t)n;
}

static void add_entry(struct str *out, const struct change *c, bool decimal)
{
	int64_t bytes = change_bytes(&c->before, &c->after);
	int64_t blocks = change_blocks(&c->before, &c->after);
	uint32_t id = umdh_id(c->snapshot, c->id, c->node);

	str_printf(out,
		   decimal ? "%c%8" PRIu64 " ( %6" PRIu64 " - %6" PRIu64 ") %6" PRIu64
			     " allocs\tBackTrace%" PRIX32 "\r\n"
			   : "%c%8" PRIx64 " ( %5" PRIx64 " - %5" PRIx64 ") %6" PRIx64
			     " allocs\tBackTrace%" PRIX32 "\r\n",
		   bytes < 0 ? '-' : '+', magnitude(bytes), c->after.live_bytes,
		   c->before.live_bytes, c->after.live_blocks, id);
	str_printf(out,
		   decimal ? "%c%8" PRIu64 " ( %6" PRIu64 " - %6" PRIu64 ")\tBackTrace%" PRIX32
			     "\tallocations\r\n"
			   : "%c%8" PRIx64 " ( %5" PRIx64 " - %5" PRIx64 ")\tBackTrace%" PRIX32
			     "\tallocations\r\n",
		   blocks < 0 ? '-' : '+', magnitude(blocks), c->after.live_blocks,
		   c->before.live_blocks, id);
}

/* A stack's blocks are taken to be of one size, which they nearly always are. */
static uint64_t overhead(const struct snapshot *s, const struct counters *c)
{
	return c->live_blocks ? c->live_blocks * umdh_overhead(s, c->live_bytes / c->live_blocks)
			      : 0;
}

static void add_total(struct str *out, int64_t requested, int64_t extra, bool decimal)
{
	const char *word = requested > 0 ? "increase" : "decrease";

	str_printf(out,
		   decimal ? "\r\nTotal %s == %6" PRIu64 " requested + %6" PRIu64
			     " overhead = %6" PRIu64 "\r\n"
			   : "\r\nTotal %s == %6" PRIx64 " requested + %6" PRIx64
			     " overhead = %6" PRIx64 "\r\n",
		   word, magnitude(requested), magnitude(extra), magnitude(requested + extra));
}

void umdh_report(struct out *o, const struct view *v, const struct format_options *options)
{
	const struct listing *l = v->listing;
	struct lines lines;
	int64_t requested = 0, extra = 0;

	lines_init(&lines);
	str_add(&o->text, "// Debug library initialized ...\r\n");
	umdh_modules(&o->text, l->after);
	add_legend(&o->text);
	for (size_t r = 0; r < l->nr_shown; r++) {
		const struct change *c = listing_change(l, l->rows[r].first);

		requested += change_bytes(&c->before, &c->after);
		extra += delta_of(overhead(l->before, &c->before), overhead(l->after, &c->after));
		add_entry(&o->text, c, options->decimal);
		str_add(&o->text, "\r\n");
		listing_lines(l, l->rows[r].first, &lines);
		umdh_stack(&o->text, &lines);
		str_add(&o->text, "\r\n");
		out_step(o);
	}
	add_total(&o->text, requested, extra, options->decimal);
	lines_release(&lines);
}
