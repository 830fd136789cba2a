/* Makes listings: choose stacks, put them into groups, add up, choose rows. Order: see rank.c. */
#include "model/listing.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "model/filter.h"
#include "model/rank.h"
#include "model/site.h"
#include "model/snapshot.h"
#include "model/suppress.h"

int64_t listing_bytes(const struct listing *l, const struct counters *before,
		      const struct counters *after)
{
	return l->before ? change_bytes(before, after) : delta_of(0, after->live_bytes);
}

int64_t listing_blocks(const struct listing *l, const struct counters *before,
		       const struct counters *after)
{
	return l->before ? change_blocks(before, after) : delta_of(0, after->live_blocks);
}

double rate_of(int64_t bytes, uint64_t elapsed_ns)
{
	return elapsed_ns ? (double)bytes * 1e9 / (double)elapsed_ns : 0;
}

const struct change *listing_change(const struct listing *l, size_t member)
{
	return &l->changes.items[l->members[member]];
}

void listing_lines(const struct listing *l, size_t member, struct lines *ret)
{
	const struct change *change = listing_change(l, member);

	lines_of_stack(ret, change->snapshot, change->node, &l->options.wrappers);
}

/* Has this stack or row anything to say in this listing? */
static bool worth_a_row(const struct listing *l, const struct counters *before,
			const struct counters *after)
{
	if (l->before)
		return before->live_bytes != after->live_bytes ||
		       before->live_blocks != after->live_blocks;
	if (after->live_blocks || after->live_bytes)
		return true;
	return (l->options.sort == SORT_TOTAL_BYTES && after->total_blocks) ||
	       (l->options.sort == SORT_TEMPORARY && after->temporary_blocks);
}

static bool suppressed(struct listing *l, const struct change *change, const struct lines *lines)
{
	struct listing_totals *t = &l->totals;
	struct suppression *rule;
	int64_t bytes, blocks;

	rule = l->options.suppressions ? suppressions_find(l->options.suppressions, lines) : NULL;
	if (!rule)
		return false;
	if (!worth_a_row(l, &change->before, &change->after))
		return true;
	bytes = listing_bytes(l, &change->before, &change->after);
	blocks = listing_blocks(l, &change->before, &change->after);
	rule->bytes += bytes > 0 ? (uint64_t)bytes : 0;
	rule->blocks += blocks > 0 ? (uint64_t)blocks : 0;
	rule->stacks++;
	t->suppressed_stacks++;
	t->suppressed_bytes += bytes > 0 ? (uint64_t)bytes : 0;
	t->suppressed_blocks += blocks > 0 ? (uint64_t)blocks : 0;
	return true;
}

static bool passes_filter(const struct listing *l, const struct change *c,
			  const struct lines *lines)
{
	const struct counters *held = c->after.live_blocks ? &c->after : &c->before;
	struct filter_item item = {
		.lines = lines,
		.bytes = listing_bytes(l, &c->before, &c->after),
		.blocks = listing_blocks(l, &c->before, &c->after),
		.block_size = held->live_blocks ? held->live_bytes / held->live_blocks : 0,
	};

	return filter_match(l->options.filter, &item);
}

/* The text by which stacks meet in one row. */
static void group_key(const struct listing *l, size_t change, const struct lines *lines,
		      struct str *key)
{
	struct site site = site_of(lines);
	const struct line *lead = &lines->items[site.lead];

	str_clear(key);
	switch (l->options.group) {
	case GROUP_STACK:
		str_printf(key, "%zu", change);
		break;
	case GROUP_MODULE:
		str_add(key, lead->module);
		break;
	case GROUP_TAG:
		lines_tags(lines, key);
		break;
	case GROUP_FUNCTION:
		if (lead->function[0]) {
			str_printf(key, "%s\n%s", lead->module, lead->function);
			break;
		}
		/* fall through */
	case GROUP_SITE:
		site_key(lines, &site, key);
		break;
	}
}

/* A chosen stack and the row it belongs to. */
struct pick {
	uint32_t change;
	uint32_t row;
};

struct picks {
	struct pick *items;
	size_t nr, cap;
	struct strings keys;
	uint32_t *rows; /* key id -> row, NO_INDEX none */
	size_t nr_rows, cap_rows;
};

static uint32_t row_for(struct listing *l, struct picks *p, const char *key)
{
	uint32_t id = strings_add(&p->keys, key);

	while (p->nr_rows <= id)
		ARRAY_PUSH(p->rows, p->nr_rows, p->cap_rows, NO_INDEX);
	if (p->rows[id] == NO_INDEX) {
		p->rows[id] = (uint32_t)l->nr_rows;
		ARRAY_PUSH(l->rows, l->nr_rows, l->cap_rows, (struct listing_row){0});
	}
	return p->rows[id];
}

static void pick_stack(struct listing *l, struct picks *p, size_t index, const char *key)
{
	const struct change *c = &l->changes.items[index];
	struct pick pick = {.change = (uint32_t)index, .row = row_for(l, p, key)};
	struct listing_row *row = &l->rows[pick.row];

	row->nr++;
	row->nr_changed += worth_a_row(l, &c->before, &c->after);
	counters_add(&row->before, &c->before);
	counters_add(&row->after, &c->after);
	ARRAY_PUSH(p->items, p->nr, p->cap, pick);
}

/* Unchanged stacks are taken too: a site's live bytes are those of all its stacks. */
static void pick_stacks(struct listing *l, struct picks *p)
{
	struct str key = STR_INIT;
	struct lines lines;

	lines_init(&lines);
	for (size_t i = 0; i < l->changes.nr; i++) {
		const struct change *c = &l->changes.items[i];

		lines_of_stack(&lines, c->snapshot, c->node, &l->options.wrappers);
		if (suppressed(l, c, &lines))
			continue;
		if (passes_filter(l, c, &lines)) {
			group_key(l, i, &lines, &key);
			pick_stack(l, p, i, key.data);
		} else if (worth_a_row(l, &c->before, &c->after)) {
			l->totals.filtered_stacks++;
		}
	}
	lines_release(&lines);
	str_release(&key);
}

/* Lays the members out row after row. */
static void place_members(struct listing *l, const struct picks *p)
{
	size_t next = 0;

	l->members = mem_alloc_array(p->nr, sizeof(*l->members));
	l->nr_members = p->nr;
	for (size_t r = 0; r < l->nr_rows; r++) {
		l->rows[r].first = next;
		next += l->rows[r].nr;
		l->rows[r].nr = 0;
	}
	for (size_t i = 0; i < p->nr; i++) {
		struct listing_row *row = &l->rows[p->items[i].row];

		l->members[row->first + row->nr++] = p->items[i].change;
	}
}

static bool kept(struct listing *l, const struct listing_row *row)
{
	int64_t bytes = listing_bytes(l, &row->before, &row->after);
	uint64_t size = bytes < 0 ? (uint64_t)-bytes : (uint64_t)bytes;
	int64_t growth = l->options.handles ? listing_blocks(l, &row->before, &row->after) : bytes;

	/* Stacks of a site may cancel out: no change, and nothing that was left out. */
	if (!worth_a_row(l, &row->before, &row->after))
		return false;
	if (size < l->options.min_bytes || (l->options.grown_only && growth <= 0)) {
		l->totals.small_rows++;
		return false;
	}
	return true;
}

static void drop_rows(struct listing *l)
{
	size_t nr = 0;

	for (size_t r = 0; r < l->nr_rows; r++) {
		if (kept(l, &l->rows[r]))
			l->rows[nr++] = l->rows[r];
	}
	l->nr_rows = nr;
}

static void add_totals(struct listing *l)
{
	struct listing_totals *t = &l->totals;

	t->elapsed_ns = l->changes.elapsed_ns;
	for (size_t r = 0; r < l->nr_rows; r++) {
		const struct listing_row *row = &l->rows[r];
		int64_t bytes = listing_bytes(l, &row->before, &row->after);
		int64_t blocks = listing_blocks(l, &row->before, &row->after);

		counters_add(&t->before, &row->before);
		counters_add(&t->after, &row->after);
		if (bytes > 0) {
			t->grown_bytes += (uint64_t)bytes;
			t->grown_rows++;
		} else if (bytes < 0) {
			t->shrunk_bytes += (uint64_t)-bytes;
			t->shrunk_rows++;
		}
		if (blocks > 0)
			t->grown_blocks += (uint64_t)blocks;
		else
			t->shrunk_blocks += (uint64_t)-blocks;
	}
}

/* Rows must be in descending order of bytes. */
static void find_lead(struct listing *l)
{
	struct listing_totals *t = &l->totals;

	for (size_t r = 0; r < l->nr_rows && (double)t->lead_bytes < 0.9 * (double)t->grown_bytes;
	     r++) {
		t->lead_bytes += (uint64_t)listing_bytes(l, &l->rows[r].before, &l->rows[r].after);
		t->lead_rows++;
	}
}

void listing_make(struct listing *ret, const struct snapshot *before, const struct snapshot *after,
		  const struct listing_options *options)
{
	struct picks picks = {0};

	memset(ret, 0, sizeof(*ret));
	ret->before = before;
	ret->after = after;
	ret->options = *options;
	changes_of(before, after, &ret->changes);
	strings_init(&picks.keys);
	pick_stacks(ret, &picks);
	place_members(ret, &picks);
	drop_rows(ret);
	add_totals(ret);
	rank_members(ret);
	rank_rows(ret, SORT_BYTES);
	find_lead(ret);
	rank_rows(ret, options->sort);
	ret->nr_shown = options->limit && options->limit < ret->nr_rows ? (size_t)options->limit
									: ret->nr_rows;
	strings_release(&picks.keys);
	free(picks.rows);
	free(picks.items);
}

void listing_release(struct listing *l)
{
	if (!l)
		return;
	changes_release(&l->changes);
	free(l->rows);
	free(l->members);
	memset(l, 0, sizeof(*l));
}
