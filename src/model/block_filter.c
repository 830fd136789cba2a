/* Asking a filter about single blocks; see block_filter.h. */
#include "model/block_filter.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/filter.h"
#include "model/heaps.h"
#include "model/lines.h"
#include "model/snapshot.h"

void block_filter_init(struct block_filter *f, const struct filter *filter,
		       const struct snapshot *s)
{
	*f = (struct block_filter){
		.filter = filter,
		.snapshot = s,
		.asks_stacks = filter_asks_stacks(filter),
		.any_state = filter_asks_state(filter),
	};
}

void block_filter_release(struct block_filter *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->nr_lines; i++)
		lines_release(&f->lines[i]);
	free(f->lines);
	f->lines = NULL;
	f->nr_lines = 0;
}

const struct lines *block_filter_lines(struct block_filter *f, uint32_t stack)
{
	if (stack >= f->snapshot->nr_stacks)
		return NULL;
	if (!f->lines) {
		f->nr_lines = f->snapshot->nr_stacks;
		f->lines = mem_alloc_array(f->nr_lines, sizeof(*f->lines));
	}
	if (f->lines[stack].nr == 0)
		lines_of_stack(&f->lines[stack], f->snapshot, f->snapshot->stacks[stack].node,
			       NULL);
	return &f->lines[stack];
}

bool block_is_busy(const struct block_facts *b)
{
	return b->state == BLOCK_BUSY || b->state == BLOCK_INTERNAL;
}

bool block_filter_match(struct block_filter *f, const struct block_facts *b,
			const struct block_names *names)
{
	const struct filter_block block = {
		.addr = b->addr,
		.age_ns = b->age_ns,
		.heap_addr = names->heap_addr,
		.heap = names->heap,
		.allocator = names->allocator,
		.state = block_state_name(b->state),
		.class_name = names->class_name,
	};
	struct filter_item item = {
		.bytes = b->size > INT64_MAX ? INT64_MAX : (int64_t)b->size,
		.blocks = 1,
		.block_size = b->size,
		.block = &block,
	};

	if (!f->any_state && !block_is_busy(b))
		return false;
	if (!f->filter)
		return true;
	if (f->asks_stacks)
		item.lines = block_filter_lines(f, b->stack);
	return filter_match(f->filter, &item);
}
