/* A ring of readings; see cache.h. */
#include "cache.h"

#include <stdlib.h>

#include "totals.h"

static void drop(struct reading **slot, struct totals *t)
{
	if (!*slot)
		return;
	free(*slot);
	*slot = NULL;
	totals_freed(t, sizeof(struct reading));
	t->cache_blocks--;
}

void cache_add(struct cache *c, const struct reading *r, struct totals *t)
{
	struct reading **slot = &c->slots[c->added % CACHE_MAX];

	drop(slot, t);
	c->added++;
	*slot = malloc(sizeof(**slot));
	if (!*slot)
		return;
	**slot = *r;
	totals_allocated(t, sizeof(**slot));
	t->cache_blocks++;
}

void cache_release(struct cache *c, struct totals *t)
{
	for (size_t i = 0; i < CACHE_MAX; i++)
		drop(&c->slots[i], t);
}

const struct reading *cache_get(const struct cache *c, uint64_t age)
{
	if (age >= c->added || age >= CACHE_MAX)
		return NULL;
	return c->slots[(c->added - 1 - age) % CACHE_MAX];
}
