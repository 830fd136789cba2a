/* What leaks are whose site and class are not known, by the patterns of their blocks; see leaks.h.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cmd/leaks.h"
#include "model/block_pattern.h"

#define GROUPS_MAX 200 /* that are looked at, the largest first */
#define SAMPLES_MAX 48
#define SAMPLE_BYTES 256

struct samples {
	struct leaks_look *l;
	uint64_t size;
	uint32_t ids[SAMPLES_MAX];
	struct block_sample items[SAMPLES_MAX];
	uint8_t *bytes;
	size_t nr;
};

static void add_sample(struct samples *s, uint32_t id)
{
	uint64_t addr;
	size_t want = s->size < SAMPLE_BYTES ? (size_t)s->size : SAMPLE_BYTES;
	uint8_t *bytes = s->bytes + s->nr * SAMPLE_BYTES;

	if (s->nr == SAMPLES_MAX || !reach_is_block(s->l->reach, id) ||
	    reach_size(s->l->reach, id) != s->size)
		return;
	for (size_t i = 0; i < s->nr; i++) {
		if (s->ids[i] == id)
			return;
	}
	addr = reach_address(s->l->reach, id);
	if (!target_read_all(s->l->source.look.target, addr, bytes, want))
		return;
	s->ids[s->nr] = id;
	s->items[s->nr++] = (struct block_sample){addr, bytes, want};
}

/* And those of their kind that hang on them, nearest first. */
static void add_held(struct samples *s)
{
	for (size_t i = 0; i < s->nr; i++) {
		size_t nr;
		const uint32_t *edges = reach_edges(s->l->reach, s->ids[i], &nr);

		for (size_t k = 0; k < nr && s->nr < SAMPLES_MAX; k++)
			add_sample(s, edges[k] & ~REACH_WEAK);
	}
}

static void add_hint(struct samples *s, const struct leak_groups *groups, size_t index)
{
	struct leaks_look *l = s->l;
	struct leak_group *g = &groups->items[index];
	const struct leak *first = &l->leaks.items[g->first];
	struct block_pattern_found found;
	struct str text = STR_INIT;
	char *label;

	s->size = reach_size(l->reach, reach_find(l->reach, first->addr));
	s->nr = 0;
	for (size_t i = g->first; i < l->leaks.nr && s->nr < SAMPLES_MAX / 2; i++) {
		if (groups->group_of[i] == index)
			add_sample(s, reach_find(l->reach, l->leaks.items[i].addr));
	}
	add_held(s);
	block_pattern_find(l->reach, s->items, s->nr, s->size,
			   target_word_bytes(l->source.look.target), &found);
	block_pattern_describe(&found, &text);
	if (text.len) {
		label = mem_printf("%s, %s", g->label, text.data);
		free(g->label);
		g->label = label;
	}
	str_release(&text);
}

void leaks_hint(struct leaks_look *l, struct leak_groups *groups)
{
	struct samples s = {.l = l};

	if (l->o->group == LEAK_BY_CLASS || l->o->group == LEAK_BY_SITE)
		return;
	s.bytes = mem_alloc_array(SAMPLES_MAX, SAMPLE_BYTES);
	for (size_t i = 0; i < groups->nr && i < GROUPS_MAX; i++) {
		const struct block_facts *b = &l->leaks.items[groups->items[i].first].facts;

		if (b->stack == NO_INDEX && b->class_id == CLASS_NONE)
			add_hint(&s, groups, i);
	}
	free(s.bytes);
}
