/* Copies names between snapshots. */
#include "model/share_names.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/snapshot.h"
#include "model/stack_ids.h"

static uint32_t copy_text(const struct snapshot *from, struct snapshot *to, uint32_t id)
{
	return strings_add(&to->strings, strings_get(&from->strings, id));
}

static void copy_names(const struct snapshot *from, const struct frame *source, struct snapshot *to,
		       struct frame *target)
{
	target->symbols_first = (uint32_t)to->nr_symbols;
	target->symbols_nr = source->symbols_nr;
	for (uint32_t i = 0; i < source->symbols_nr; i++) {
		struct symbol symbol = from->symbols[source->symbols_first + i];

		symbol.function = copy_text(from, to, symbol.function);
		symbol.file = copy_text(from, to, symbol.file);
		ARRAY_PUSH(to->symbols, to->nr_symbols, to->cap_symbols, symbol);
	}
}

/* By frame number: the frame of s that has names, NO_INDEX none. */
static uint32_t *index_named(const struct snapshot *s, const uint32_t *numbers, size_t nr)
{
	uint32_t *index = mem_alloc_array(nr, sizeof(*index));

	memset(index, 0xff, nr * sizeof(*index));
	for (size_t i = 0; i < s->nr_frames; i++) {
		if (s->frames[i].symbols_nr && s->frames[i].module != NO_INDEX)
			index[numbers[i]] = (uint32_t)i;
	}
	return index;
}

size_t share_names(const struct snapshot *from, struct snapshot *to)
{
	struct stack_ids ids;
	uint32_t *from_numbers, *to_numbers, *index;
	size_t nr = 0;

	stack_ids_init(&ids);
	from_numbers = stack_ids_add_frames(&ids, from);
	to_numbers = stack_ids_add_frames(&ids, to);
	index = index_named(from, from_numbers, ids.frames.nr);
	for (size_t i = 0; i < to->nr_frames; i++) {
		uint32_t source = index[to_numbers[i]];

		if (source == NO_INDEX || to->frames[i].symbols_nr)
			continue;
		copy_names(from, &from->frames[source], to, &to->frames[i]);
		nr++;
	}
	free(index);
	free(to_numbers);
	free(from_numbers);
	stack_ids_release(&ids);
	return nr;
}
