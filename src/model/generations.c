/* See generations.h. */
#include "model/generations.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/str.h"
#include "model/snapshot.h"

/* ---- marks ---- */

static int no_mark(const struct snapshot *s, const char *text, struct error *e)
{
	struct str names = STR_INIT;

	error_set(e, -ENOENT, EXIT_USAGE, "there is no mark '%s'", text);
	if (!s->nr_marks) {
		error_hint(e, "there are no marks at all: 'seep mark TARGET NAME' makes one");
		return -ENOENT;
	}
	for (size_t i = 0; i < s->nr_marks && names.len < 200; i++) {
		const char *name = strings_get(&s->strings, s->marks[i].name);

		str_printf(&names, "%s'%s'", i ? ", " : "", name);
	}
	error_hint(e, "its marks are %s", names.data);
	str_release(&names);
	return -ENOENT;
}

/* "#2" */
static bool by_number(const struct snapshot *s, const char *text, size_t *ret_mark)
{
	uint64_t n = 0;

	if (*text++ != '#' || !*text)
		return false;
	for (; *text >= '0' && *text <= '9' && n <= s->nr_marks; text++)
		n = n * 10 + (uint64_t)(*text - '0');
	if (*text || n == 0 || n > s->nr_marks)
		return false;
	*ret_mark = (size_t)n - 1;
	return true;
}

int generations_find_mark(const struct snapshot *s, const char *text, size_t *ret_mark,
			  struct error *e)
{
	size_t found = 0, nr = 0;

	for (size_t i = 0; i < s->nr_marks; i++) {
		if (strcmp(strings_get(&s->strings, s->marks[i].name), text) != 0)
			continue;
		if (!nr++)
			found = i;
	}
	if (nr > 1) {
		error_set(e, -ENOTUNIQ, EXIT_USAGE, "%zu marks are called '%s'", nr, text);
		error_hint(e,
			   "say which by its number, beginning with '#%zu': 'seep report "
			   "--generations' lists them",
			   found + 1);
		return -ENOTUNIQ;
	}
	if (nr == 0 && !by_number(s, text, &found))
		return no_mark(s, text, e);
	*ret_mark = found;
	return 0;
}

/* ---- what is left of an earlier instant ---- */

static void set_instant(struct snapshot *s, size_t mark)
{
	struct str text = STR_INIT;

	if (mark == GENERATIONS_BEGINNING) {
		str_add(&text, "the beginning");
		s->taken_monotonic_ns = s->recording_since_ns;
	} else if (mark == GENERATIONS_END) {
		str_add(&text, "the snapshot");
	} else {
		str_printf(&text, "mark '%s'", strings_get(&s->strings, s->marks[mark].name));
		s->taken_monotonic_ns = s->marks[mark].monotonic_ns;
	}
	s->survivors = true;
	s->instant = strings_add(&s->strings, text.data);
	str_release(&text);
}

/* Of stacks, only what was born in generations [first, end). */
static void keep_in(struct stack *stacks, size_t nr, const struct generation_row *rows,
		    size_t nr_rows, uint64_t first, uint64_t end)
{
	for (size_t i = 0; i < nr; i++)
		stacks[i] = (struct stack){.node = stacks[i].node, .id = stacks[i].id};
	for (size_t i = 0; i < nr_rows; i++) {
		const struct generation_row *g = &rows[i];

		if (g->generation < first || g->generation >= end)
			continue;
		stacks[g->stack].live_blocks += g->live_blocks;
		stacks[g->stack].live_bytes += g->live_bytes;
		stacks[g->stack].live_samples += g->live_samples;
	}
}

bool generations_of_resources(const struct snapshot *s)
{
	bool any = s->nr_resource_generations != 0;

	for (size_t i = 0; i < s->nr_resources && !any; i++)
		if (s->resources[i].live_blocks)
			return false;
	return true;
}

static void keep(struct snapshot *s, uint64_t first, uint64_t end)
{
	keep_in(s->stacks, s->nr_stacks, s->generations, s->nr_generations, first, end);
	if (!generations_of_resources(s))
		s->nr_resources = 0;
	keep_in(s->resources, s->nr_resources, s->resource_generations, s->nr_resource_generations,
		first, end);
	snapshot_sum(s);
}

void generations_only_until(struct snapshot *s, size_t mark)
{
	set_instant(s, mark);
	if (mark == GENERATIONS_BEGINNING)
		keep(s, 0, 0);
	else
		keep(s, 0, mark == GENERATIONS_END ? UINT64_MAX : mark + (uint64_t)1);
}

void generations_only(struct snapshot *s, size_t generation)
{
	s->survivors = true;
	keep(s, generation, generation + (uint64_t)1);
}

struct generation_traffic generations_traffic(const struct snapshot *s, size_t generation)
{
	const struct mark none = {.counted = 1};
	const struct mark *from = generation ? &s->marks[generation - 1] : &none;
	const struct mark *to = generation < s->nr_marks ? &s->marks[generation] : NULL;
	struct generation_traffic t = {0};

	if (!to || !from->counted || !to->counted || to->total_blocks < from->total_blocks ||
	    to->total_bytes < from->total_bytes || to->frees < from->frees)
		return t;
	t.known = true;
	t.blocks = to->total_blocks - from->total_blocks;
	t.bytes = to->total_bytes - from->total_bytes;
	t.frees = to->frees - from->frees;
	return t;
}

static const struct mark_handles *handles_at(const struct snapshot *s, const char *kind,
					     size_t mark)
{
	for (size_t i = 0; i < s->nr_mark_handles; i++) {
		const struct mark_handles *h = &s->mark_handles[i];

		if (h->mark == mark && !strcmp(strings_get(&s->strings, h->kind), kind))
			return h;
	}
	return NULL;
}

struct generation_traffic generations_traffic_of(const struct snapshot *s, const char *kind,
						 size_t generation)
{
	const struct mark_handles none = {.acquired = 0}, *from = &none, *to;
	struct generation_traffic t = {.known = false};

	if (generation)
		from = handles_at(s, kind, generation - 1);
	to = handles_at(s, kind, generation);
	if (!from || !to || to->acquired < from->acquired || to->released < from->released)
		return t;
	t.known = true;
	t.blocks = to->acquired - from->acquired;
	t.frees = to->released - from->released;
	return t;
}
