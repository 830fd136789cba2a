/* Sorting of listings. */
#include "model/rank.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "model/site.h"

/* What decides, taken out once so that comparing is cheap and needs no context. */
struct rank_key {
	const char *file, *function; /* SORT_SITE only */
	uint64_t line;
	int64_t first, second;
	size_t index;
};

static int compare_numbers(const struct rank_key *a, const struct rank_key *b)
{
	if (a->first != b->first)
		return a->first > b->first ? -1 : 1;
	if (a->second != b->second)
		return a->second > b->second ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static int compare_keys(const void *pa, const void *pb)
{
	const struct rank_key *a = pa, *b = pb;
	int order = 0;

	if (a->file)
		order = strcmp(a->file, b->file);
	if (order == 0 && a->line != b->line)
		order = a->line < b->line ? -1 : 1;
	if (order == 0 && a->function)
		order = strcmp(a->function, b->function);
	return order ? order : compare_numbers(a, b);
}

/* The figures by which a row or a stack is ranked; in a listing by name, by bytes. */
static struct rank_key figures(const struct listing *l, const struct counters *before,
			       const struct counters *after, enum listing_sort sort)
{
	int64_t bytes = listing_bytes(l, before, after);
	int64_t blocks = listing_blocks(l, before, after);

	switch (sort) {
	case SORT_BLOCKS:
		return (struct rank_key){.first = blocks, .second = bytes};
	case SORT_TOTAL_BYTES:
		return (struct rank_key){.first = delta_of(0, after->total_bytes),
					 .second = delta_of(0, after->total_blocks)};
	case SORT_TEMPORARY:
		return (struct rank_key){.first = delta_of(0, after->temporary_blocks),
					 .second = delta_of(0, after->total_blocks)};
	default: /* the rate, too: one interval for all rows gives the same order */
		return (struct rank_key){.first = bytes, .second = blocks};
	}
}

static int64_t magnitude(int64_t n)
{
	return n < 0 ? -n : n;
}

static void rank_row_members(struct listing *l, const struct listing_row *row)
{
	struct rank_key *keys = mem_alloc_array(row->nr, sizeof(*keys));

	for (size_t i = 0; i < row->nr; i++) {
		const struct change *c = listing_change(l, row->first + i);

		keys[i] = figures(l, &c->before, &c->after, l->options.sort);
		keys[i].first = magnitude(keys[i].first);
		keys[i].second = magnitude(keys[i].second);
		keys[i].index = l->members[row->first + i];
	}
	qsort(keys, row->nr, sizeof(*keys), compare_keys);
	for (size_t i = 0; i < row->nr; i++)
		l->members[row->first + i] = (uint32_t)keys[i].index;
	free(keys);
}

void rank_members(struct listing *l)
{
	for (size_t r = 0; r < l->nr_rows; r++) {
		if (l->rows[r].nr > 1)
			rank_row_members(l, &l->rows[r]);
	}
}

static void name_key(struct listing *l, const struct listing_row *row, struct lines *lines,
		     struct rank_key *key)
{
	const struct line *lead;

	listing_lines(l, row->first, lines);
	lead = &lines->items[site_of(lines).lead];
	key->file = text_base_name(lead->file[0] ? lead->file : lead->module);
	key->line = lead->line;
	key->function = lead->function;
}

void rank_rows(struct listing *l, enum listing_sort sort)
{
	struct rank_key *keys = mem_alloc_array(l->nr_rows, sizeof(*keys));
	struct listing_row *rows = mem_alloc_array(l->nr_rows, sizeof(*rows));
	struct lines lines;

	lines_init(&lines);
	for (size_t r = 0; r < l->nr_rows; r++) {
		keys[r] = figures(l, &l->rows[r].before, &l->rows[r].after, sort);
		keys[r].index = r;
		if (sort == SORT_SITE)
			name_key(l, &l->rows[r], &lines, &keys[r]);
	}
	qsort(keys, l->nr_rows, sizeof(*keys), compare_keys);
	for (size_t r = 0; r < l->nr_rows; r++)
		rows[r] = l->rows[keys[r].index];
	free(l->rows);
	l->rows = rows;
	l->cap_rows = l->nr_rows;
	lines_release(&lines);
	free(keys);
}
