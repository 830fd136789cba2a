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
	for (size_t i = 0; i < s->nr_resources; i++)
		if (!strcmp(kind_of(s, &s->resources[i]), kind))
			ret->stacks[ret->nr_stacks++] = s->resources[i];
	ret->nr_blocks = ret->nr_generations = 0;
	ret->pooled_bytes = 0;
	ret->losses = (struct losses){0};
	snapshot_sum(ret);
}

void resources_release(struct snapshot *s)
{
	free(s->stacks);
}
