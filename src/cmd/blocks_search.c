/*
 * seep blocks --search: where something is in memory. Busy blocks are read in the order of the
 * walk through one moving window; with --everywhere all writable memory is, and blocks are found
 * for the hits afterwards.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "cmd/blocks.h"
#include "cmd/cmd.h"
#include "model/heaps.h"
#include "model/pattern.h"
#include "model/sheet.h"
#include "model/snapshot.h"
#include "target/maps.h"

/* Hits that are kept when all are wanted; the others are counted. */
#define HITS_MAX ((size_t)4 << 20)

#define PAGE 4096
#define BAD_PAGES 256

struct hit {
	uint64_t addr;
	struct block_facts block;
	bool in_block;
};

struct search {
	const struct blocks_command *command;
	struct blocks_source *source;
	struct pattern pattern;
	struct hit *hits;
	size_t nr_hits, cap_hits;
	size_t most_hits;
	uint64_t found;	       /* hits, also those that are not kept */
	uint64_t found_blocks; /* blocks with hits */
	uint64_t wanted_bytes, searched_bytes;
};

static void add_hit(struct search *s, uint64_t addr, const struct block_facts *b)
{
	struct hit hit = {.addr = addr};

	s->found++;
	if (s->nr_hits == s->most_hits)
		return;
	if (b) {
		hit.block = *b;
		hit.in_block = true;
	}
	ARRAY_PUSH(s->hits, s->nr_hits, s->cap_hits, hit);
}

/* A sub-heap may lie in a block of another heap: what is there belongs to its own blocks. */
static bool is_elsewhere(const struct search *s, uint64_t addr, const struct block_facts *b)
{
	size_t heap;

	if (!b || b->heap == NO_INDEX)
		return false;
	heap = heaps_find_heap(s->source->look.heaps, addr);
	return heap != HEAP_ALL && heap != b->heap;
}

static void search_piece(struct search *s, uint64_t addr, const uint8_t *bytes, size_t len,
			 const struct block_facts *b)
{
	size_t pos = 0;

	while (pattern_find(&s->pattern, bytes, len, &pos)) {
		if (!is_elsewhere(s, addr + pos, b))
			add_hit(s, addr + pos, b);
		pos++;
	}
}

/*
 * All of [addr, end), in pieces of a window. What lies across two pieces is looked for in the
 * second: it begins so much earlier. Pages that cannot be read are stepped over, but not for ever.
 */
static void search_range(struct search *s, uint64_t addr, uint64_t end, const struct block_facts *b)
{
	struct window *w = &s->source->window;
	size_t overlap = s->pattern.kind == PATTERN_BYTES ? s->pattern.len - 1 : 0;
	unsigned int bad_pages = 0;

	if (end - addr < pattern_width(&s->pattern)) {
		s->searched_bytes += end - addr; /* it cannot be in there */
		return;
	}
	while (addr < end && bad_pages < BAD_PAGES) {
		size_t len = end - addr < w->cap ? (size_t)(end - addr) : w->cap;
		const uint8_t *bytes = window_get(w, addr, len);

		if (!bytes)
			bytes = window_some(w, addr, &len);
		if (!bytes || len <= overlap) {
			addr = (addr + len) / PAGE * PAGE + PAGE;
			bad_pages++;
			continue;
		}
		if (len > end - addr)
			len = (size_t)(end - addr);
		search_piece(s, addr, bytes, len, b);
		s->searched_bytes += len == end - addr ? len : len - overlap;
		if (len == end - addr)
			return;
		addr += len - overlap;
		bad_pages = 0;
	}
}

static int search_block(void *context, const struct block_facts *b)
{
	struct search *s = context;
	uint64_t before = s->found, size = b->usable ? b->usable : b->size;

	s->wanted_bytes += size;
	search_range(s, b->addr, b->addr + size, b);
	s->found_blocks += s->found > before;
	return 0;
}

static void search_maps(struct search *s)
{
	const struct maps *maps = target_maps(s->source->look.target);

	for (size_t i = 0; i < maps->nr; i++) {
		const struct map *m = &maps->items[i];

		if (!(m->prot & MAP_READ) || !(m->prot & MAP_WRITE))
			continue;
		s->wanted_bytes += m->end - m->start;
		search_range(s, m->start, m->end, NULL);
	}
}

static size_t first_hit_from(const struct search *s, uint64_t addr)
{
	size_t low = 0, high = s->nr_hits;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->hits[middle].addr < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The innermost heap's block wins: it is the one that the address belongs to. */
static int find_owner(void *context, const struct heap_block *from)
{
	struct search *s = context;
	size_t i = first_hit_from(s, from->start);
	bool any = false;

	for (; i < s->nr_hits && s->hits[i].addr < blocks_end(from); i++) {
		struct block_facts b = blocks_facts(s->source, from);

		if (is_elsewhere(s, s->hits[i].addr, &b) ||
		    (s->hits[i].in_block && s->hits[i].block.heap == b.heap))
			continue;
		s->hits[i].block = b;
		s->hits[i].in_block = true;
		any = true;
	}
	s->found_blocks += any;
	return 0;
}

/* What a ptr: pattern points into. EXIT_DONE, or told and failed. */
static int aim(struct search *s)
{
	unsigned int width = target_word_bytes(s->source->look.target);
	struct blocks_around around;
	const struct block_facts *b = &around.this;
	uint64_t addr = s->pattern.low, size;
	struct error e = {0};

	if (s->pattern.kind != PATTERN_POINTER) {
		pattern_set_words(&s->pattern, width, 0, 0);
		return EXIT_DONE;
	}
	if (blocks_find(s->source, addr, &around) < 0) {
		error_set(&e, -ENOENT, EXIT_TARGET, "0x%llx is in no block of %s",
			  (unsigned long long)addr, s->source->look.label);
		error_hint(&e, "word:0x%llx searches for the number itself",
			   (unsigned long long)addr);
		return cmd_fail(&e);
	}
	size = b->usable ? b->usable : b->size;
	pattern_set_words(&s->pattern, width, b->addr, b->addr + (size ? size - 1 : 0));
	return EXIT_DONE;
}

static int search_all(struct search *s)
{
	struct error e = {0};

	if (!s->command->everywhere) {
		if (blocks_each(s->source, BLOCKS_ALL_HEAPS, search_block, s, &e) < 0)
			return cmd_fail(&e);
		return EXIT_DONE;
	}
	search_maps(s);
	if (s->nr_hits && heaps_walk(s->source->look.heaps, HEAP_ALL, find_owner, s, &e) < 0)
		return cmd_fail(&e);
	return EXIT_DONE;
}

static const char *region_name(const struct search *s, uint64_t addr)
{
	const struct map *m = maps_find(target_maps(s->source->look.target), addr);

	return m && *m->path ? m->path : "memory without a name";
}

static void add_row(struct search *s, struct sheet *sheet, struct hit *hit)
{
	struct blocks_row row;

	if (!hit->in_block) {
		const struct blockview_block nowhere = {.heap = region_name(s, hit->addr)};

		blockview_hits_add(sheet, hit->addr, &nowhere);
		return;
	}
	blocks_row_init(&row, s->command, s->source, &hit->block);
	blockview_hits_add(sheet, hit->addr, &row.view);
	blocks_row_release(&row);
}

static void fill(struct search *s, struct sheet *sheet)
{
	uint64_t unread = s->wanted_bytes - s->searched_bytes;

	blockview_hits_init(sheet);
	sheet_set_heading(sheet, "%s: %s found %s %s%s", s->source->look.label, s->command->search,
			  format_count(s->found).text, s->found == 1 ? "time" : "times",
			  s->command->everywhere ? "" : " in busy blocks");
	for (size_t i = 0; i < s->nr_hits; i++) {
		if (!s->hits[i].in_block)
			continue;
		blocks_row_classify(s->source, &s->hits[i].block);
		if (s->command->content)
			blocks_content_note(s->source, &s->hits[i].block);
	}
	blocks_resolve(s->source);
	for (size_t i = 0; i < s->nr_hits; i++)
		add_row(s, sheet, &s->hits[i]);
	sheet->rows_left_out = s->found - s->nr_hits;
	sheet_total_text(sheet, "form", "search");
	sheet_total_text(sheet, "pattern", s->command->search);
	sheet_total(sheet, "hits", CELL_COUNT, s->found);
	if (!s->command->everywhere) {
		sheet_total(sheet, "blocks", CELL_COUNT, s->found_blocks);
		sheet_total(sheet, "busy_blocks", CELL_COUNT, s->source->busy_blocks);
		sheet_total(sheet, "busy_bytes", CELL_BYTES, s->source->busy_bytes);
	}
	sheet_total(sheet, "searched_bytes", CELL_BYTES, s->searched_bytes);
	sheet_total(sheet, "unread_bytes", CELL_BYTES, unread);
	if (unread)
		sheet_note(sheet, "%s of %s could not be read and were not searched",
			   format_bytes(unread).text, format_bytes(s->wanted_bytes).text);
}

int blocks_search(const struct blocks_command *c)
{
	const struct blocks_wants wants = {
		.filter = c->filter, .memory = true, .stacks = true, .blind = c->everywhere};
	uint64_t limit = blocks_limit(c);
	struct search s = {.command = c,
			   .most_hits = limit && limit < HITS_MAX ? (size_t)limit : HITS_MAX};
	struct blocks_source source = {0};
	struct error e = {0};
	struct sheet sheet;
	int status;

	if (pattern_parse(c->search, &s.pattern, &e) < 0)
		return cmd_fail(&e);
	if (blocks_open(&source, c->target, &c->look, &wants, &e) < 0) {
		pattern_release(&s.pattern);
		return cmd_fail(&e);
	}
	s.source = &source;
	status = aim(&s);
	if (status == EXIT_DONE)
		status = search_all(&s);
	if (status == EXIT_DONE) {
		fill(&s, &sheet);
		look_done_reading(&source.look);
		status = blocks_show(c, &source, &sheet);
		sheet_release(&sheet);
	}
	free(s.hits);
	pattern_release(&s.pattern);
	blocks_close(&source);
	return status;
}
