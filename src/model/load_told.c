/* See load_told.h. */
#include "model/load_told.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "model/load.h"
#include "model/snapshot.h"

/* ---- marks ---- */

uint32_t load_generation(const struct load_input *in, uint32_t time_code)
{
	size_t low = 0, high = in->nr_marks;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (in->marks[middle].code <= time_code)
			low = middle + 1;
		else
			high = middle;
	}
	return (uint32_t)low;
}

static void load_mark_handles(struct snapshot *s, const struct load_input *in, size_t mark)
{
	uint32_t nr = in->header->kinds_nr;

	for (uint32_t k = 0; k < nr && k < WIRE_KINDS_MAX && k < in->nr_tags; k++) {
		char kind[sizeof(in->tags[k].name) + 2];
		struct mark_handles row = {
			.mark = (uint32_t)mark,
			.acquired = in->marks[mark].kinds[k].acquired,
			.released = in->marks[mark].kinds[k].released,
		};

		snprintf(kind, sizeof(kind), "[%s]", in->tags[k].name);
		row.kind = strings_add(&s->strings, kind);
		ARRAY_PUSH(s->mark_handles, s->nr_mark_handles, s->cap_mark_handles, row);
	}
}

void load_marks(struct snapshot *s, const struct load_input *in)
{
	for (size_t i = 0; i < in->nr_marks; i++) {
		const struct wire_mark *m = &in->marks[i];
		struct mark row = {
			.name = strings_add(&s->strings, m->name),
			.counted = m->counted != 0,
			.monotonic_ns = m->monotonic_ns,
		};

		if (row.counted) {
			row.total_blocks = m->blocks;
			row.total_bytes = m->bytes;
			row.frees = m->frees;
		}
		ARRAY_PUSH(s->marks, s->nr_marks, s->cap_marks, row);
		if (m->kinds_counted)
			load_mark_handles(s, in, i);
	}
	s->losses.lost_marks = in->header->marks_lost;
	s->losses.lost_tags = in->header->tags_lost;
}

/* ---- generations ---- */

struct load_generations {
	const struct load_input *in;
	struct map index;	     /* stack << 32 | generation -> row */
	struct generation_row *rows; /* live_blocks: weights */
	size_t nr, cap;
};

struct load_generations *load_generations_new(const struct load_input *in)
{
	struct load_generations *g;

	if (!in->nr_marks)
		return NULL;
	g = mem_alloc(sizeof(*g));
	*g = (struct load_generations){.in = in, .index = MAP_INIT};
	return g;
}

void load_generations_add(struct load_generations *g, uint32_t stack, const struct wire_block *b,
			  uint64_t weight, uint64_t bytes)
{
	struct generation_row fresh = {.stack = stack}, *row;
	uint64_t *at;
	bool added;

	if (!g)
		return;
	fresh.generation = load_generation(g->in, b->time_code);
	at = map_at(&g->index, (uint64_t)stack << 32 | fresh.generation, &added);
	if (added) {
		*at = g->nr;
		ARRAY_PUSH(g->rows, g->nr, g->cap, fresh);
	}
	row = &g->rows[*at];
	row->live_blocks += weight;
	row->live_bytes += bytes;
	row->live_samples += b->sampled != 0;
}

static int by_stack(const void *a, const void *b)
{
	const struct generation_row *x = a, *y = b;

	if (x->stack != y->stack)
		return x->stack < y->stack ? -1 : 1;
	return (x->generation > y->generation) - (x->generation < y->generation);
}

struct generation_row *load_generations_finish(struct load_generations *g, size_t *ret_nr)
{
	struct generation_row *rows;

	*ret_nr = 0;
	if (!g)
		return NULL;
	if (g->nr)
		qsort(g->rows, g->nr, sizeof(*g->rows), by_stack);
	for (size_t i = 0; i < g->nr; i++)
		g->rows[i].live_blocks = load_whole_blocks(g->rows[i].live_blocks);
	rows = g->rows;
	*ret_nr = g->nr;
	map_release(&g->index);
	free(g);
	return rows;
}

/* ---- pools ---- */

struct range {
	uint64_t start, end;
	size_t number; /* in the answer */
};

/* What may hold something comes before it. A sample holds nothing: it stands for many. */
static int by_start(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->end != y->end)
		return x->end > y->end ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static struct range *ranges_of(const struct load_input *in, size_t nr)
{
	struct range *ranges = mem_alloc_array(nr, sizeof(*ranges));

	for (size_t i = 0; i < nr; i++) {
		const struct wire_block *b =
			i < in->nr_blocks ? &in->blocks[i] : &in->pool_blocks[i - in->nr_blocks];

		ranges[i] = (struct range){b->addr, b->addr + (b->sampled ? 0 : b->size), i};
	}
	qsort(ranges, nr, sizeof(*ranges), by_start);
	return ranges;
}

static uint64_t size_of(const struct load_input *in, size_t number)
{
	return number < in->nr_blocks ? in->blocks[number].size
				      : in->pool_blocks[number - in->nr_blocks].size;
}

uint64_t *load_covered(const struct load_input *in)
{
	size_t nr = in->nr_blocks + in->nr_pool_blocks, depth = 0;
	struct range *ranges, *open;
	uint64_t *covered;

	if (!in->nr_pool_blocks)
		return NULL;
	ranges = ranges_of(in, nr);
	open = mem_alloc_array(nr, sizeof(*open)); /* those around, outermost first */
	covered = mem_alloc_array(nr, sizeof(*covered));
	for (size_t i = 0; i < nr; i++) {
		const struct range *r = &ranges[i];

		while (depth && open[depth - 1].end <= r->start)
			depth--;
		if (depth) {
			const struct range *around = &open[depth - 1];
			uint64_t end = r->end < around->end ? r->end : around->end;
			uint64_t *sum = &covered[around->number],
				 most = size_of(in, around->number);

			*sum += end - r->start;
			if (*sum > most)
				*sum = most;
		}
		if (r->end > r->start)
			open[depth++] = *r;
	}
	free(open);
	free(ranges);
	return covered;
}
