/* Pairs the stacks of two snapshots. */
#include "model/diff.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/snapshot.h"
#include "model/stack_ids.h"

int64_t delta_of(uint64_t before, uint64_t after)
{
	uint64_t size = after >= before ? after - before : before - after;

	if (size > INT64_MAX)
		size = INT64_MAX;
	return after >= before ? (int64_t)size : -(int64_t)size;
}

int64_t change_bytes(const struct counters *before, const struct counters *after)
{
	return delta_of(before->live_bytes, after->live_bytes);
}

int64_t change_blocks(const struct counters *before, const struct counters *after)
{
	return delta_of(before->live_blocks, after->live_blocks);
}

/* Sums of hostile counters stick at the top instead of wrapping round to something small. */
static void add_up(uint64_t *sum, uint64_t value)
{
	if (__builtin_add_overflow(*sum, value, sum))
		*sum = UINT64_MAX;
}

void counters_add(struct counters *sum, const struct counters *c)
{
	add_up(&sum->live_blocks, c->live_blocks);
	add_up(&sum->live_bytes, c->live_bytes);
	add_up(&sum->total_blocks, c->total_blocks);
	add_up(&sum->total_bytes, c->total_bytes);
	add_up(&sum->temporary_blocks, c->temporary_blocks);
	add_up(&sum->live_samples, c->live_samples);
	add_up(&sum->total_samples, c->total_samples);
}

static struct counters counters_of(const struct stack *stack)
{
	return (struct counters){
		.live_blocks = stack->live_blocks,
		.live_bytes = stack->live_bytes,
		.total_blocks = stack->total_blocks,
		.total_bytes = stack->total_bytes,
		.temporary_blocks = stack->temporary_blocks,
		.live_samples = stack->live_samples,
		.total_samples = stack->total_samples,
	};
}

/* index: the change of each stack number, NO_INDEX for none yet. */
static struct change *change_for(struct changes *c, uint32_t *index, uint32_t number,
				 const struct snapshot *s, const struct stack *stack)
{
	if (index[number] == NO_INDEX) {
		struct change fresh = {.snapshot = s, .node = stack->node, .id = stack->id};

		index[number] = (uint32_t)c->nr;
		ARRAY_PUSH(c->items, c->nr, c->cap, fresh);
	}
	return &c->items[index[number]];
}

static void add_snapshot(struct changes *c, uint32_t *index, const struct snapshot *s,
			 const uint32_t *numbers, bool is_after)
{
	for (size_t i = 0; i < s->nr_stacks; i++) {
		const struct stack *stack = &s->stacks[i];
		struct change *change = change_for(c, index, numbers[stack->node], s, stack);
		struct counters counters = counters_of(stack);

		counters_add(is_after ? &change->after : &change->before, &counters);
		if (is_after)
			c->of_after[i] = (uint32_t)(change - c->items);
	}
}

/* Monotonic clocks of different boots have nothing in common. */
static uint64_t elapsed(const struct snapshot *before, const struct snapshot *after)
{
	if (!before || strcmp(before->identity.boot_id, after->identity.boot_id) != 0)
		return 0;
	if (after->taken_monotonic_ns <= before->taken_monotonic_ns)
		return 0;
	return after->taken_monotonic_ns - before->taken_monotonic_ns;
}

void changes_of(const struct snapshot *before, const struct snapshot *after, struct changes *ret)
{
	struct stack_ids ids;
	uint32_t *after_numbers, *before_numbers = NULL, *index;

	memset(ret, 0, sizeof(*ret));
	stack_ids_init(&ids);
	after_numbers = stack_ids_add(&ids, after);
	if (before)
		before_numbers = stack_ids_add(&ids, before);
	index = mem_alloc_array(ids.nodes.nr, sizeof(*index));
	memset(index, 0xff, ids.nodes.nr * sizeof(*index));
	ret->of_after = mem_alloc_array(after->nr_stacks, sizeof(*ret->of_after));

	add_snapshot(ret, index, after, after_numbers, true);
	if (before)
		add_snapshot(ret, index, before, before_numbers, false);
	ret->elapsed_ns = elapsed(before, after);

	free(index);
	free(after_numbers);
	free(before_numbers);
	stack_ids_release(&ids);
}

void changes_release(struct changes *c)
{
	if (!c)
		return;
	free(c->items);
	free(c->of_after);
	memset(c, 0, sizeof(*c));
}
