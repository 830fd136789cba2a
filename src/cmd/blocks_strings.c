/* seep blocks --strings: the texts in busy blocks, each once, with how often it is there. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/term.h"
#include "base/units.h"
#include "cmd/blocks.h"
#include "cmd/cmd.h"
#include "cmd/show.h"
#include "model/content.h"
#include "model/sheet.h"
#include "model/text_runs.h"

#define MIN_LENGTH 6
/* Different texts that are kept; those after them are counted only. */
#define TEXTS_MAX ((size_t)1 << 20)
/* Of a text so much is shown; on a terminal less, so that it fits beside the other columns. */
#define SHOWN_BYTES 200
#define OTHER_COLUMNS 50
#define SHOWN_LEAST 30

struct text {
	uint64_t count, bytes, first;
	uint32_t width;
	char *shown; /* quoted */
};

struct search {
	struct blocks_source *source;
	size_t min, shown;
	uint64_t addr; /* of the piece that is looked at */
	struct map by_hash;
	struct text *texts;
	size_t nr, cap;
	uint64_t found, found_bytes, not_kept, unread_bytes;
};

static char *shown_text(const struct text_run *run, size_t shown)
{
	struct str text = STR_INIT, quoted = STR_INIT;

	text_run_decode(run, &text);
	content_quote("", text.data, text.len, shown, &quoted);
	str_release(&text);
	return str_detach(&quoted);
}

static void add_text(void *context, const struct text_run *run)
{
	struct search *s = context;
	uint64_t hash = hash_seeded(run->bytes, run->len, run->width), at;

	s->found++;
	s->found_bytes += run->len;
	if (!map_get(&s->by_hash, hash, &at)) {
		if (s->nr == TEXTS_MAX) {
			s->not_kept++;
			return;
		}
		at = s->nr;
		ARRAY_PUSH(s->texts, s->nr, s->cap,
			   ((struct text){.first = s->addr + run->offset,
					  .width = run->width,
					  .shown = shown_text(run, s->shown)}));
		map_set(&s->by_hash, hash, at);
	}
	s->texts[at].count++;
	s->texts[at].bytes += run->len;
}

static int search_block(void *context, const struct block_facts *b)
{
	struct search *s = context;
	struct window *w = &s->source->window;
	uint64_t end = b->addr + (b->usable ? b->usable : b->size);

	s->addr = b->addr;
	while (s->addr < end) {
		size_t len = end - s->addr < w->cap ? (size_t)(end - s->addr) : w->cap;
		const uint8_t *bytes = window_get(w, s->addr, len);
		bool last = len == end - s->addr;

		if (!bytes) {
			/* A gap: what lies before it is a piece of its own. */
			bytes = window_some(w, s->addr, &len);
			s->unread_bytes += end - s->addr - (bytes ? len : 0);
			last = true;
		}
		if (!bytes)
			break;
		len = text_runs_find(bytes, len, last, s->min, add_text, s);
		if (last)
			break;
		s->addr += len;
	}
	return 0;
}

static int compare(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b);
}

static int by_bytes(const void *va, const void *vb)
{
	const struct text *a = va, *b = vb;
	int rc = compare(a->bytes, b->bytes);

	return rc ? rc : compare(b->first, a->first);
}

static int by_count(const void *va, const void *vb)
{
	const struct text *a = va, *b = vb;
	int rc = compare(a->count, b->count);

	return rc ? rc : by_bytes(va, vb);
}

static void fill(const struct blocks_command *c, struct search *s, struct sheet *sheet)
{
	uint64_t limit = blocks_limit(c);

	if (s->nr)
		qsort(s->texts, s->nr, sizeof(*s->texts),
		      c->sort == BLOCKS_SORT_BLOCKS ? by_count : by_bytes);
	blockview_strings_init(sheet);
	sheet_set_heading(sheet, "%s: %s texts in busy blocks, %s of them different, %s",
			  s->source->look.label, format_count(s->found).text,
			  format_count(s->nr).text, format_bytes(s->found_bytes).text);
	for (size_t i = 0; i < s->nr && (limit == 0 || i < limit); i++)
		blockview_strings_add(sheet, s->texts[i].count, s->texts[i].bytes,
				      text_run_encoding(s->texts[i].width), s->texts[i].first,
				      s->texts[i].shown);
	sheet->rows_left_out = limit && s->nr > limit ? s->nr - limit : 0;
	sheet_total_text(sheet, "form", "strings");
	sheet_total(sheet, "busy_blocks", CELL_COUNT, s->source->busy_blocks);
	sheet_total(sheet, "busy_bytes", CELL_BYTES, s->source->busy_bytes);
	sheet_total(sheet, "texts", CELL_COUNT, s->found);
	sheet_total(sheet, "different_texts", CELL_COUNT, s->nr);
	sheet_total(sheet, "texts_not_kept", CELL_COUNT, s->not_kept);
	sheet_total(sheet, "unread_bytes", CELL_BYTES, s->unread_bytes);
	if (s->not_kept)
		sheet_note(sheet,
			   "%s texts are counted but not listed: there are too many "
			   "different ones",
			   format_count(s->not_kept).text);
	if (s->unread_bytes)
		sheet_note(sheet, "%s could not be read", format_bytes(s->unread_bytes).text);
}

static size_t shown_bytes(const struct blocks_command *c)
{
	unsigned int width = term_width(STDOUT_FILENO, 0);

	if (c->format != SHOW_TEXT || c->output || width == 0)
		return SHOWN_BYTES;
	return width < OTHER_COLUMNS + SHOWN_LEAST ? SHOWN_LEAST : width - OTHER_COLUMNS;
}

int blocks_strings(const struct blocks_command *c)
{
	const struct blocks_wants wants = {.filter = c->filter, .memory = true};
	struct blocks_source source = {0};
	struct search s = {.source = &source,
			   .shown = shown_bytes(c),
			   .min = c->min_length ? (size_t)c->min_length : MIN_LENGTH};
	struct error e = {0};
	struct sheet sheet;
	int status;

	if (s.min < 2 || s.min > TEXT_RUN_MAX / 4 - 16)
		return cmd_usage_error("blocks", "--min-length must be from 2 to %d",
				       TEXT_RUN_MAX / 4 - 16);
	if (blocks_open(&source, c->target, &c->look, &wants, &e) < 0)
		return cmd_fail(&e);
	if (blocks_each(&source, BLOCKS_ALL_HEAPS, search_block, &s, &e) < 0) {
		status = cmd_fail(&e);
	} else {
		fill(c, &s, &sheet);
		look_done_reading(&source.look);
		status = blocks_show(c, &source, &sheet);
		sheet_release(&sheet);
	}
	for (size_t i = 0; i < s.nr; i++)
		free(s.texts[i].shown);
	free(s.texts);
	map_release(&s.by_hash);
	blocks_close(&source);
	return status;
}
