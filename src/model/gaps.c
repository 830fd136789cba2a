/* Counts named and nameless frames of every module. */
#include "model/gaps.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/snapshot.h"

static bool has_name(const struct snapshot *s, const struct frame *f)
{
	for (uint32_t i = 0; i < f->symbols_nr; i++) {
		if (s->symbols[f->symbols_first + i].function)
			return true;
	}
	return false;
}

static int compare_gaps(const void *pa, const void *pb)
{
	const struct gap *a = pa, *b = pb;

	if (a->frames != b->frames)
		return a->frames > b->frames ? -1 : 1;
	return strcmp(a->module, b->module);
}

void gaps_of(const struct snapshot *s, struct gaps *ret)
{
	uint64_t *nameless = mem_alloc_array(s->nr_modules, sizeof(*nameless));
	bool *named = mem_alloc_array(s->nr_modules, sizeof(*named));

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i < s->nr_frames; i++) {
		const struct frame *f = &s->frames[i];

		if (f->module >= s->nr_modules)
			continue;
		if (has_name(s, f))
			named[f->module] = true;
		else
			nameless[f->module]++;
	}
	for (size_t m = 0; m < s->nr_modules; m++) {
		struct gap gap = {
			.index = m,
			.module = strings_get(&s->strings, s->modules[m].path),
			.frames = nameless[m],
			.flags = s->modules[m].flags,
		};

		if (nameless[m] && !named[m] && !(gap.flags & MODULE_RECORDER))
			ARRAY_PUSH(ret->items, ret->nr, ret->cap, gap);
	}
	if (ret->nr)
		qsort(ret->items, ret->nr, sizeof(*ret->items), compare_gaps);
	free(nameless);
	free(named);
}

void gaps_release(struct gaps *g)
{
	if (!g)
		return;
	free(g->items);
	memset(g, 0, sizeof(*g));
}
