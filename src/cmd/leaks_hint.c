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

	if (s->nr == SAMPLES_MAX || !reach_is_block(s->l->graph.reach, id) ||
	    reach_size(s->l->graph.reach, id) != s->size)
		return;
	for (size_t i = 0; i < s->nr; i++) {
		if (s->ids[i] == id)
			return;
	}
	addr = reach_address(s->l->graph.reach, id);
	if (!target_read_all(s->l->graph.source.look.target, addr, bytes, want))
		return;
	s->ids[s->nr] = id;
	s->items[s->nr++] = (struct block_sample){addr, bytes, want};
}

/* And those of their kind that hang on them, nearest first. */
static void add_held(struct samples *s)
{
	for (size_t i = 0; i < s->nr; i++) {
		size_t nr;
		const uint32_t *edges = reach_edges(s->l->graph.reach, s->ids[i], &nr);

		for (size_t k = 0; k < nr && s->nr < SAMPLES_MAX; k++)
			add_sample(s, edges[k] & ~REACH_WEAK);
	}
}

/* What the blocks of a group look like, appended to *out; nothing where that is not certain. */
static void look_at_group(struct samples *s, const struct leak_groups *groups, size_t index,
			  struct str *out)
{
	struct leaks_look *l = s->l;
	const struct leak_group *g = &groups->items[index];
	const struct leak *first = &l->leaks.items[g->first];
	struct block_pattern_found found;

	s->size = reach_size(l->graph.reach, reach_find(l->graph.reach, first->addr));
	s->nr = 0;
	add_sample(s, reach_find(l->graph.reach, first->addr));
	for (size_t i = 0; i < l->leaks.nr && s->nr < SAMPLES_MAX / 2; i++) {
		if (groups->group_of[i] == index)
			add_sample(s, reach_find(l->graph.reach, l->leaks.items[i].addr));
	}
	add_held(s);
	block_pattern_find(l->graph.reach, s->items, s->nr, s->size,
			   target_word_bytes(l->graph.source.look.target), &found);
	block_pattern_describe(&found, out);
}

/* As it was seen when the snapshot was taken. */
static void look_up_group(const struct leaks_look *l, const struct leak_group *g, struct str *out)
{
	const struct snapshot *s = &l->graph.source.look.snapshot;

	for (size_t i = 0; i < s->nr_ref_patterns; i++) {
		const struct ref_pattern *p = &s->ref_patterns[i];

		if (p->state != g->state ||
		    strcmp(strings_get(&s->strings, p->label), g->label) != 0)
			continue;
		str_add(out, strings_get(&s->strings, p->pattern));
		return;
	}
}

static void each_unknown(struct leaks_look *l, const struct leak_groups *groups,
			 void (*found)(void *context, size_t group, const char *pattern),
			 void *context)
{
	struct samples s = {.l = l};
	struct str text = STR_INIT;

	s.bytes = mem_alloc_array(SAMPLES_MAX, SAMPLE_BYTES);
	for (size_t i = 0; i < groups->nr && i < GROUPS_MAX; i++) {
		const struct leak_group *g = &groups->items[i];
		const struct block_facts *b = &l->leaks.items[g->first].facts;

		if (b->stack != NO_INDEX || b->class_id != CLASS_NONE)
			continue;
		str_clear(&text);
		if (graph_has_memory(&l->graph))
			look_at_group(&s, groups, i, &text);
		else
			look_up_group(l, g, &text);
		if (text.len)
			found(context, i, text.data);
	}
	str_release(&text);
	free(s.bytes);
}

static void add_to_label(void *context, size_t group, const char *pattern)
{
	struct leak_group *g = &((struct leak_groups *)context)->items[group];
	char *label = mem_printf("%s, %s", g->label, pattern);

	free(g->label);
	g->label = label;
}

void leaks_hint(struct leaks_look *l, struct leak_groups *groups)
{
	if (l->o->group != LEAK_BY_CLASS && l->o->group != LEAK_BY_SITE)
		each_unknown(l, groups, add_to_label, groups);
}

struct keeping {
	const struct leak_groups *groups;
	struct snapshot *to;
};

static void keep(void *context, size_t group, const char *pattern)
{
	struct keeping *k = context;
	const struct leak_group *g = &k->groups->items[group];
	struct snapshot *s = k->to;
	struct ref_pattern row = {
		.label = strings_add(&s->strings, g->label),
		.pattern = strings_add(&s->strings, pattern),
		.state = (uint8_t)g->state,
	};

	ARRAY_PUSH(s->ref_patterns, s->nr_ref_patterns, s->cap_ref_patterns, row);
}

void leaks_hint_keep(struct leaks_look *l, const struct leak_groups *groups, struct snapshot *to)
{
	struct keeping k = {groups, to};

	each_unknown(l, groups, keep, &k);
}
