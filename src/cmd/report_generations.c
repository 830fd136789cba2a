/* See report_generations.h. */
#include "cmd/report_generations.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/explain.h"
#include "cmd/show.h"
#include "format/format.h"
#include "format/words.h"
#include "model/generations.h"
#include "model/sheet.h"

#define SITES_TEXT 3
#define EVERYWHERE_MAX 5

static const struct sheet_column columns[] = {
	{"generation", "#", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"since", "SINCE", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"at", "AT", CELL_TEXT, COLUMN_ALWAYS, 2},
	{"at_ns", "", CELL_COUNT, COLUMN_MACHINE, 0},
	{"live_bytes", "STILL THERE", CELL_BYTES, COLUMN_ALWAYS, 0},
	{"live_blocks", "BLOCKS", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"allocated_bytes", "ALLOCATED", CELL_BYTES, COLUMN_IF_ANY, 1},
	{"allocated_blocks", "BLOCKS", CELL_COUNT, COLUMN_IF_ANY, 3},
	{"freed_blocks", "FREED", CELL_COUNT, COLUMN_IF_ANY, 3},
	{"site", "SITE", CELL_TEXT, COLUMN_IF_ANY, 0},
};

struct view_state {
	const struct explain *x;
	struct snapshot *s;
	struct sheet *sheet;
	uint64_t limit; /* sites a generation, 0: all */
	/* Sites by name, and in how many generations after the first mark each has something. */
	struct strings names;
	uint32_t *seen;
	size_t nr_seen, cap_seen;
};

static void add_head(const struct view_state *v, size_t g, const struct listing_totals *t)
{
	const struct snapshot *s = v->s;
	struct generation_traffic traffic = generations_traffic(s, g);
	struct sheet *sheet = v->sheet;

	sheet_number(sheet, g);
	sheet_text(sheet, g ? strings_get(&s->strings, s->marks[g - 1].name) : "the beginning");
	if (g && s->marks[g - 1].monotonic_ns >= s->recording_since_ns) {
		uint64_t at = s->marks[g - 1].monotonic_ns - s->recording_since_ns;

		sheet_text(sheet, format_duration(at).text);
		sheet_number(sheet, at);
	} else {
		sheet_text(sheet, "");
		sheet_number(sheet, 0);
	}
	sheet_number(sheet, t->after.live_bytes);
	sheet_number(sheet, t->after.live_blocks);
	if (traffic.known) {
		sheet_number(sheet, traffic.bytes);
		sheet_number(sheet, traffic.blocks);
		sheet_number(sheet, traffic.frees);
	} else {
		for (int i = 0; i < 3; i++)
			sheet_unknown(sheet);
	}
	sheet_text(sheet, "");
}

static void add_site(const struct view_state *v, size_t g, const struct listing_row *row,
		     const char *name)
{
	struct sheet *sheet = v->sheet;

	sheet_number(sheet, g);
	sheet_text(sheet, "");
	sheet_text(sheet, "");
	sheet_unknown(sheet);
	sheet_number(sheet, row->after.live_bytes);
	sheet_number(sheet, row->after.live_blocks);
	for (int i = 0; i < 3; i++)
		sheet_unknown(sheet);
	sheet_text(sheet, name);
}

static void see(struct view_state *v, const char *name)
{
	uint32_t id = strings_add(&v->names, name);

	while (v->nr_seen <= id)
		ARRAY_PUSH(v->seen, v->nr_seen, v->cap_seen, 0);
	v->seen[id]++;
}

static void add_generation(struct view_state *v, size_t g)
{
	struct listing_options options = explain_listing(v->x, SORT_BYTES);
	struct suppressions suppressions = v->x->suppressions;
	struct str name = STR_INIT;
	struct listing l;
	struct lines lines;

	options.suppressions = suppressions.nr ? &suppressions : NULL;
	generations_only(v->s, g);
	listing_make(&l, NULL, v->s, &options);
	add_head(v, g, &l.totals);
	lines_init(&lines);
	for (size_t r = 0; r < l.nr_rows; r++) {
		listing_lines(&l, l.rows[r].first, &lines);
		str_clear(&name);
		words_face(&name, options.group, &lines, v->x->full);
		if (!v->limit || r < v->limit)
			add_site(v, g, &l.rows[r], name.data);
		if (g)
			see(v, name.data);
	}
	lines_release(&lines);
	listing_release(&l);
	str_release(&name);
}

/* The classic sign of a leak: a site of which something stays each time. */
static void note_everywhere(const struct view_state *v)
{
	struct str names = STR_INIT;
	size_t nr = 0;

	for (size_t i = 0; i < v->nr_seen; i++) {
		if (v->seen[i] != v->s->nr_marks)
			continue;
		if (nr++ < EVERYWHERE_MAX)
			str_printf(&names, "%s%s", nr > 1 ? "; " : "",
				   strings_get(&v->names, (uint32_t)i));
	}
	if (nr > EVERYWHERE_MAX)
		str_printf(&names, "; and %zu more", nr - EVERYWHERE_MAX);
	if (nr && v->s->nr_marks > 1)
		sheet_note(v->sheet, "something stays of every generation after the first mark: %s",
			   names.data);
	str_release(&names);
}

static void note_losses(const struct view_state *v, const struct explain_input *in)
{
	const struct losses *l = &v->s->losses;

	if (in->damage.damaged)
		sheet_note(v->sheet, "incomplete: '%s' is damaged: %s", in->path, in->damage.what);
	if (l->torn)
		sheet_note(v->sheet, "incomplete: '%s' is no consistent instant", in->path);
	if (l->lost_marks)
		sheet_note(v->sheet, "incomplete: %s marks were not made, there being too many",
			   format_count(l->lost_marks).text);
	if (l->dropped_blocks)
		sheet_note(v->sheet, "incomplete: %s blocks were not recorded, a table being full",
			   format_count(l->dropped_blocks).text);
}

int report_generations(const struct explain *x, struct explain_input *in)
{
	static const enum show_format as[] = {SHOW_TEXT, SHOW_JSON, SHOW_CSV};
	struct view_state v = {.x = x, .s = &in->snapshot};
	struct sheet sheet;
	int status;

	if (!in->snapshot.nr_marks) {
		struct error e = {0};

		error_set(&e, -1, EXIT_FILE, "snapshot '%s' has no marks", in->path);
		error_hint(&e, "'seep mark TARGET NAME' makes one in a process that is being "
			       "recorded, before the snapshot");
		return cmd_fail(&e);
	}
	v.limit = x->limit != UINT64_MAX ? x->limit : x->format ? 0 : SITES_TEXT;
	v.sheet = &sheet;
	strings_init(&v.names);
	sheet_init(&sheet, "seep-generations-1", columns, sizeof(columns) / sizeof(columns[0]));
	sheet_set_heading(&sheet,
			  "%s (pid %d): what is still there of what was allocated after each mark",
			  strings_get(&v.s->strings, v.s->identity.name), v.s->identity.pid);
	for (size_t g = 0; g <= v.s->nr_marks; g++)
		add_generation(&v, g);
	note_everywhere(&v);
	note_losses(&v, in);
	sheet_total(&sheet, "marks", CELL_COUNT, v.s->nr_marks);
	status = show_sheet(&sheet, as[x->format], x->output);
	sheet_release(&sheet);
	strings_release(&v.names);
	free(v.seen);
	return status;
}
