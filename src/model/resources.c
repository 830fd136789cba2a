/* See resources.h. */
#include "model/resources.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/snapshot.h"

#define KINDS_MAX 64 /* a recording has fewer; what is beyond is a forged file's */

struct kinds {
	const char **items;
	size_t nr, cap;
};

static const char *kind_of(const struct snapshot *s, const struct stack *k)
{
	return strings_get(&s->strings, s->nodes[k->node].tag);
}

static void add_kinds(struct kinds *kinds, const struct snapshot *s)
{
	for (size_t i = 0; s && i < s->nr_resources; i++) {
		const char *kind = kind_of(s, &s->resources[i]);
		size_t at = 0;

		/* Of a damaged file's rows it is not known what they are of. */
		if (!kind[0])
			continue;
		while (at < kinds->nr && strcmp(kinds->items[at], kind) != 0)
			at++;
		if (at == kinds->nr && at < KINDS_MAX)
			ARRAY_PUSH(kinds->items, kinds->nr, kinds->cap, kind);
	}
}

const char **resources_kinds(const struct snapshot *before, const struct snapshot *after,
			     size_t *ret_nr)
{
	struct kinds kinds = {0};

	add_kinds(&kinds, after);
	add_kinds(&kinds, before);
	*ret_nr = kinds.nr;
	return kinds.items;
}

void resources_of(const struct snapshot *s, const char *kind, struct snapshot *ret)
{
	*ret = *s;
	ret->stacks = mem_alloc_array(s->nr_resources, sizeof(*ret->stacks));
	ret->nr_stacks = ret->cap_stacks = 0;
	for (size_t i = 0; i < s->nr_resources; i++) {
		const struct stack *k = &s->resources[i];

		if (strcmp(kind_of(s, k), kind) != 0)
			continue;
		ret->stacks[ret->nr_stacks] = *k;
		ret->stacks[ret->nr_stacks++].node = s->nodes[k->node].parent;
	}
	ret->nr_blocks = ret->nr_generations = ret->nr_resource_generations = 0;
	ret->pooled_bytes = 0;
	ret->losses = (struct losses){0};
	snapshot_sum(ret);
}

void resources_release(struct snapshot *s)
{
	free(s->stacks);
}

struct listing_options resources_listing(const struct listing_options *memory)
{
	struct listing_options options = *memory;

	options.suppressions = NULL;
	options.min_bytes = 0;
	options.handles = true;
	if (options.sort != SORT_TOTAL_BYTES && options.sort != SORT_SITE)
		options.sort = SORT_BLOCKS;
	return options;
}

void resource_listings_make(struct resource_listings *ret, const struct snapshot *before,
			    const struct snapshot *after, const struct listing_options *options)
{
	const struct listing_options own = resources_listing(options);

	*ret = (struct resource_listings){.kinds = NULL};
	ret->kinds = resources_kinds(before, after, &ret->nr);
	ret->listings = mem_alloc_array(ret->nr, sizeof(*ret->listings));
	ret->before = mem_alloc_array(ret->nr, sizeof(*ret->before));
	ret->after = mem_alloc_array(ret->nr, sizeof(*ret->after));
	for (size_t i = 0; i < ret->nr; i++) {
		if (before)
			resources_of(before, ret->kinds[i], &ret->before[i]);
		resources_of(after, ret->kinds[i], &ret->after[i]);
		listing_make(&ret->listings[i], before ? &ret->before[i] : NULL, &ret->after[i],
			     &own);
	}
}

void resource_listings_release(struct resource_listings *r)
{
	for (size_t i = 0; i < r->nr; i++) {
		listing_release(&r->listings[i]);
		resources_release(&r->before[i]);
		resources_release(&r->after[i]);
	}
	free(r->listings);
	free(r->before);
	free(r->after);
	free(r->kinds);
}
