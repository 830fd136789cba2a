/* What UMDH's report and log have in common. */
#include "format/umdh.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/text.h"
#include "format/format.h"
#include "model/lines.h"
#include "model/listing.h"
#include "model/snapshot.h"

/* Marks ids of stacks that have frames but were given the id 0. */
#define ID_FROM_NODE 0x80000000u

static void add_printable(struct str *out, const char *text)
{
	text_printable(out, text, strlen(text));
}

static void add_frame(struct str *out, const struct line *line)
{
	str_add_char(out, '\t');
	if (line->module[0])
		add_printable(out, text_base_name(line->module));
	else
		str_add(out, "unknown");
	str_add_char(out, '!');
	/* The readers' grammar wants a function and then its offset: the module's own start will
	 * do. */
	if (line->function[0]) {
		add_printable(out, line->function);
		str_printf(out, "+%08" PRIX32, line->function_offset);
	} else {
		str_printf(out, "0x0+%08" PRIX64, line->module_offset);
		str_printf(out, " : %" PRIX64, line->address);
	}
	if (line->file[0] && line->line) {
		str_add(out, " (");
		add_printable(out, line->file);
		str_printf(out, ", %" PRIu32 ")", line->line);
	}
	str_add(out, "\r\n");
}

void umdh_stack(struct str *out, const struct lines *lines)
{
	for (size_t i = 0; i < lines->nr; i++) {
		const struct line *line = &lines->items[i];

		if (line->kind != LINE_RECORDER && line->kind != LINE_MARK &&
		    line->kind != LINE_TAG)
			add_frame(out, line);
	}
}

enum symbol_level { LEVEL_UNUSED, LEVEL_NONE, LEVEL_NAMES, LEVEL_LINES };

static enum symbol_level frame_level(const struct snapshot *s, const struct frame *f)
{
	enum symbol_level level = LEVEL_NONE;

	for (uint32_t i = 0; i < f->symbols_nr; i++) {
		const struct symbol *symbol = &s->symbols[f->symbols_first + i];

		if (symbol->line)
			return LEVEL_LINES;
		if (symbol->function)
			level = LEVEL_NAMES;
	}
	return level;
}

void umdh_modules(struct str *out, const struct snapshot *s)
{
	static const char *const kinds[] = {
		[LEVEL_NONE] = "no symbols loaded",
		[LEVEL_NAMES] = "public symbols  ",
		[LEVEL_LINES] = "private symbols & lines ",
	};
	uint8_t *levels = mem_alloc_array(s->nr_modules, sizeof(*levels));

	for (size_t i = 0; i < s->nr_frames; i++) {
		const struct frame *f = &s->frames[i];
		enum symbol_level level = frame_level(s, f);

		if (f->module < s->nr_modules && level > levels[f->module])
			levels[f->module] = (uint8_t)level;
	}
	for (size_t m = 0; m < s->nr_modules; m++) {
		const char *path = strings_get(&s->strings, s->modules[m].path);

		if (levels[m] == LEVEL_UNUSED || (s->modules[m].flags & MODULE_RECORDER))
			continue;
		str_add(out, "DBGHELP: ");
		add_printable(out, text_base_name(path));
		str_printf(out, " - %s\r\n", kinds[levels[m]]);
		if (levels[m] == LEVEL_NONE)
			continue;
		str_add(out, "         ");
		add_printable(out, path);
		str_add(out, "\r\n");
	}
	free(levels);
}

uint32_t umdh_id(const struct snapshot *s, uint32_t id, uint32_t node)
{
	bool empty =
		node == 0 || node >= s->nr_nodes || s->nodes[node].special == FRAME_UNKNOWN_STACK;

	if (empty)
		return 0;
	return id ? id : ID_FROM_NODE | node;
}

/*
 * glibc on 64-bit machines: 8 bytes of header, chunks of 16 bytes' multiples, 32 at least. What it
 * maps directly is rounded up to pages besides; which blocks those are, a snapshot does not say.
 */
uint64_t umdh_overhead(const struct snapshot *s, uint64_t size)
{
	uint64_t chunk;

	if (strcmp(strings_get(&s->strings, s->allocator), "glibc") != 0 || size > UINT64_MAX - 32)
		return 0;
	chunk = (size + 8 + 15) & ~15ULL;
	return (chunk < 32 ? 32 : chunk) - size;
}

/* Its readers take a block for one block, and know of no estimates. */
static int refuse_samples(const struct view *v, struct error *e)
{
	const struct listing *l = v->listing;

	if (!l->after->totals.total_samples && !(l->before && l->before->totals.total_samples))
		return 0;
	error_set(e, -EINVAL, EXIT_USAGE,
		  "cannot write samples in UMDH's format, which has no estimates");
	error_hint(e, "--format text, json and csv say it");
	return -EINVAL;
}

int format_umdh(struct out *o, const struct view *v, const struct format_options *options,
		struct error *e)
{
	int err = refuse_samples(v, e);

	if (err < 0)
		return err;
	if (!v->listing->before)
		return umdh_log(o, v, options, e);
	umdh_report(o, v, options);
	return 0;
}
