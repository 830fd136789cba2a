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
#include "model/resources.h"
#include "model/sheet.h"

#define SITES_TEXT 3
#define EVERYWHERE_MAX 5

#define MEMORY_COLUMNS 10
#define COLUMNS (MEMORY_COLUMNS + 1)

static const struct sheet_column columns[COLUMNS] = {
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
	/* One table has all kinds, of resources, too, in csv only. */
	{"kind", "", CELL_TEXT, COLUMN_MACHINE, 0},
};

/* Of a kind of resources, in tables of their own. */
static const struct sheet_column handle_columns[] = {
	{"generation", "#", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"since", "SINCE", CELL_TEXT, COLUMN_ALWAYS, 0},
	{"at", "AT", CELL_TEXT, COLUMN_ALWAYS, 2},
	{"at_ns", "", CELL_COUNT, COLUMN_MACHINE, 0},
	{"live_blocks", "STILL HELD", CELL_COUNT, COLUMN_ALWAYS, 0},
	{"allocated_blocks", "ACQUIRED", CELL_COUNT, COLUMN_IF_ANY, 1},
	{"freed_blocks", "RELEASED", CELL_COUNT, COLUMN_IF_ANY, 3},
	{"site", "SITE", CELL_TEXT, COLUMN_IF_ANY, 0},
	{"kind", "", CELL_TEXT, COLUMN_MACHINE, 0},
};
#define HANDLE_COLUMNS (sizeof(handle_columns) / sizeof(handle_columns[0]))

struct view_state {
	const struct explain *x;
	struct snapshot *s;
	struct sheet *sheet;
	uint64_t limit; /* sites a generation, 0: all */
};

/* All generations of memory, or of a kind of resources. */
struct section {
	const struct view_state *v;
	struct sheet *sheet; /* where its rows go */
	const char *kind;    /* NULL: memory */
	/* Sites by name, and in how many generations after the first mark each has something. */
	struct strings names;
	uint32_t *seen;
	size_t nr_seen, cap_seen;
};

static void add_if(struct sheet *sheet, bool known, uint64_t figure)
{
	if (known)
		sheet_number(sheet, figure);
	else
		sheet_unknown(sheet);
}

/* What follows the name of the generation. */
static void add_figures(const struct section *c, const struct counters *held,
			const struct generation_traffic *traffic, const char *site)
{
	bool with_bytes = c->sheet->columns != handle_columns;
	struct sheet *sheet = c->sheet;

	if (with_bytes)
		sheet_number(sheet, held->live_bytes);
	sheet_number(sheet, held->live_blocks);
	if (with_bytes)
		add_if(sheet, traffic->known && !c->kind, traffic->bytes);
	add_if(sheet, traffic->known, traffic->blocks);
	add_if(sheet, traffic->known, traffic->frees);
	sheet_text(sheet, site);
	if (sheet->nr_columns != MEMORY_COLUMNS)
		sheet_text(sheet, c->kind ? c->kind : "memory");
}

static void add_head(const struct section *c, size_t g, const struct counters *held)
{
	const struct snapshot *s = c->v->s;
	struct generation_traffic traffic =
		c->kind ? generations_traffic_of(s, c->kind, g) : generations_traffic(s, g);
	struct sheet *sheet = c->sheet;

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
	add_figures(c, held, &traffic, "");
}

static void add_site(const struct section *c, size_t g, const struct counters *held,
		     const char *name)
{
	const struct generation_traffic unknown = {.known = false};

	sheet_number(c->sheet, g);
	sheet_text(c->sheet, "");
	sheet_text(c->sheet, "");
	sheet_unknown(c->sheet);
	add_figures(c, held, &unknown, name);
}

static void see(struct section *c, const char *name)
{
	uint32_t id = strings_add(&c->names, name);

	while (c->nr_seen <= id)
		ARRAY_PUSH(c->seen, c->nr_seen, c->cap_seen, 0);
	c->seen[id]++;
}

static void add_rows(struct section *c, size_t g, const struct listing *l)
{
	const struct view_state *v = c->v;
	struct str name = STR_INIT;
	struct lines lines;

	add_head(c, g, &l->totals.after);
	lines_init(&lines);
	for (size_t r = 0; r < l->nr_rows; r++) {
		listing_lines(l, l->rows[r].first, &lines);
		str_clear(&name);
		words_face(&name, l->options.group, &lines, v->x->full);
		if (!v->limit || r < v->limit)
			add_site(c, g, &l->rows[r].after, name.data);
		if (g)
			see(c, name.data);
	}
	lines_release(&lines);
	str_release(&name);
}

static void add_generation(struct section *c, size_t g)
{
	struct listing_options options = explain_listing(c->v->x, SORT_BYTES);
	struct suppressions suppressions = c->v->x->suppressions;
	struct snapshot handles;
	struct listing l;

	generations_only(c->v->s, g);
	if (c->kind) {
		resources_of(c->v->s, c->kind, &handles);
		options = resources_listing(&options);
	} else {
		options.suppressions = suppressions.nr ? &suppressions : NULL;
	}
	listing_make(&l, NULL, c->kind ? &handles : c->v->s, &options);
	add_rows(c, g, &l);
	listing_release(&l);
	if (c->kind)
		resources_release(&handles);
}

/* The classic sign of a leak: a site of which something stays each time. */
static void note_everywhere(const struct section *c)
{
	const struct snapshot *s = c->v->s;
	struct str names = STR_INIT, what = STR_INIT;
	size_t nr = 0;

	for (size_t i = 0; i < c->nr_seen; i++) {
		if (c->seen[i] != s->nr_marks)
			continue;
		if (nr++ < EVERYWHERE_MAX)
			str_printf(&names, "%s%s", nr > 1 ? "; " : "",
				   strings_get(&c->names, (uint32_t)i));
	}
	if (nr > EVERYWHERE_MAX)
		str_printf(&names, "; and %zu more", nr - EVERYWHERE_MAX);
	str_add(&what, "every generation");
	if (c->kind) {
		str_add(&what, " of ");
		words_kind(&what, c->kind);
	}
	if (nr && s->nr_marks > 1)
		sheet_note(c->v->sheet, "something stays of %s after the first mark: %s", what.data,
			   names.data);
	str_release(&names);
	str_release(&what);
}

static void add_section(const struct view_state *v, struct sheet *sheet, const char *kind)
{
	struct section c = {.v = v, .sheet = sheet, .kind = kind};

	strings_init(&c.names);
	for (size_t g = 0; g <= v->s->nr_marks; g++)
		add_generation(&c, g);
	note_everywhere(&c);
	strings_release(&c.names);
	free(c.seen);
}

/* For people a table for each kind, in json one for all, in csv the rows of the only one. */
static struct sheet *sheet_of_kind(const struct view_state *v, enum show_format format,
				   const char *kind)
{
	struct sheet *part;
	struct str name = STR_INIT;

	if (format == SHOW_CSV)
		return v->sheet;
	if (format == SHOW_JSON && v->sheet->nr_parts)
		return &v->sheet->parts[0];
	part = sheet_part(v->sheet, "resources", handle_columns, HANDLE_COLUMNS);
	words_kind(&name, kind);
	sheet_set_heading(part, "%s: what is still held of what was acquired after each mark",
			  name.data);
	str_release(&name);
	return part;
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
	if (v->s->unrecorded.ns)
		sheet_note(v->sheet,
			   "incomplete: the recording was off for %s: what was allocated or "
			   "acquired then is not in it",
			   format_duration(v->s->unrecorded.ns).text);
}

int report_generations(const struct explain *x, struct explain_input *in)
{
	static const enum show_format as[] = {SHOW_TEXT, SHOW_JSON, SHOW_CSV};
	struct view_state v = {.x = x, .s = &in->snapshot};
	enum show_format format = as[x->format];
	struct sheet sheet;
	const char **kinds = NULL;
	size_t nr_kinds = 0;
	bool handles_known;
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
	handles_known = generations_of_resources(v.s);
	if (handles_known)
		kinds = resources_kinds(NULL, v.s, &nr_kinds);
	sheet_init(&sheet, "seep-generations-1", columns,
		   nr_kinds && format == SHOW_CSV ? COLUMNS : MEMORY_COLUMNS);
	sheet_set_heading(&sheet,
			  "%s (pid %d): what is still there of what was allocated after each mark",
			  strings_get(&v.s->strings, v.s->identity.name), v.s->identity.pid);
	add_section(&v, &sheet, NULL);
	for (size_t i = 0; i < nr_kinds; i++)
		add_section(&v, sheet_of_kind(&v, format, kinds[i]), kinds[i]);
	note_losses(&v, in);
	if (!handles_known)
		sheet_note(&sheet, "incomplete: '%s' does not say when resources were acquired",
			   in->path);
	sheet_total(&sheet, "marks", CELL_COUNT, v.s->nr_marks);
	status = show_sheet(&sheet, format, x->output);
	sheet_release(&sheet);
	free(kinds);
	return status;
}
