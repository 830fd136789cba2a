/*
 * Tags: scopes that a thread is inside of. While it is in one, its stacks hang not on the root of
 * the tree but on the tag's node, and its records are found by an index of the tag's own: so within
 * a scope an allocation takes the same fast path as outside, and outside nothing is any different.
 *
 *   root ── [request] ── main ── handle ── parse
 *             └── [query] ── main ── handle ── run
 */
#include "bytes.h"
#include "record.h"
#include "told.h"

#define CONTEXTS_MAX 64
#define DEPTH_MAX 64

/* A chain of tags that this thread has been in: known by its node. */
struct context {
	uint32_t node; /* 0: none, or of an earlier table */
	uint32_t parent;
	uint32_t number; /* of the tag */
	struct record_index *index;
};

struct tags {
	uint32_t nr, next_victim;
	uint32_t depth;	  /* scopes under way */
	uint32_t skipped; /* scopes within these that there was no room for */
	struct context contexts[CONTEXTS_MAX];
	uint8_t open[DEPTH_MAX]; /* indices of contexts */
};

/* ---- names ---- */

static bool same_name(const struct wire_tag *t, const char *name)
{
	size_t i = 0;

	while (i + 1 < sizeof(t->name) && name[i] && t->name[i] == name[i])
		i++;
	return i + 1 == sizeof(t->name) || t->name[i] == name[i];
}

uint32_t tags_number(struct wire_header *h, const char *name)
{
	uint32_t nr = __atomic_load_n(&h->tags_nr, __ATOMIC_ACQUIRE), i;

	for (i = 0; i < nr; i++)
		if (__atomic_load_n(&rec_places.tags[i].state, __ATOMIC_ACQUIRE) ==
			    WIRE_ENTRY_DONE &&
		    same_name(&rec_places.tags[i], name))
			return i;
	/* Two threads may enter the same name at once: it stands there twice, and means the same.
	 */
	do {
		if (nr >= h->tags_cap) {
			__atomic_fetch_add(&h->tags_lost, 1, __ATOMIC_RELAXED);
			return UINT32_MAX;
		}
	} while (!__atomic_compare_exchange_n(&h->tags_nr, &nr, nr + 1, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	text_copy(rec_places.tags[nr].name, name, sizeof(rec_places.tags[nr].name));
	__atomic_store_n(&rec_places.tags[nr].state, WIRE_ENTRY_DONE, __ATOMIC_RELEASE);
	return nr;
}

/* ---- indexes ---- */

struct record_index *tags_next_index(struct thread *t, uint32_t *i)
{
	uint32_t at = (*i)++;

	if (at == 0)
		return t->own_index;
	return t->tags && at <= t->tags->nr ? t->tags->contexts[at - 1].index : NULL;
}

/* What its records have counted stays in them until others take them over. */
static void empty_index(struct thread *t, struct record_index *x)
{
	for (size_t i = 0; i < sizeof(x->sites) / sizeof(x->sites[0]); i++)
		if (x->sites[i])
			record_at(t->wire, x->sites[i])->epoch = 0;
	remember_no_shapes(t, x);
}

static void use(struct thread *t, uint32_t root, struct record_index *index)
{
	t->root = root;
	t->index = index;
	barrier();
	self_set((struct self){t->wire, index});
}

/* ---- contexts ---- */

static bool is_open(const struct tags *g, uint32_t i)
{
	for (uint32_t k = 0; k < g->depth; k++)
		if (g->open[k] == i)
			return true;
	return false;
}

/* A new context, or one that is not in use; -1: no memory. */
static int take_context(struct thread *t)
{
	struct tags *g = t->tags;
	struct context *c;

	if (g->nr < CONTEXTS_MAX) {
		c = &g->contexts[g->nr];
		c->index = thread_map_private(sizeof(*c->index));
		return c->index ? (int)g->nr++ : -1;
	}
	while (is_open(g, g->next_victim))
		g->next_victim = (g->next_victim + 1) % CONTEXTS_MAX;
	c = &g->contexts[g->next_victim];
	empty_index(t, c->index);
	return (int)(c - g->contexts);
}

static int find_context(struct thread *t, struct wire_header *h, const char *name)
{
	struct tags *g = t->tags;
	uint32_t number, node;
	int i;

	for (uint32_t k = 0; k < g->nr; k++)
		if (g->contexts[k].node && g->contexts[k].parent == t->root &&
		    same_name(&rec_places.tags[g->contexts[k].number], name))
			return (int)k;
	number = tags_number(h, name);
	node = number == UINT32_MAX ? WIRE_NODE_UNKNOWN
				    : tree_child(h, t->root, WIRE_PC_TAG | number);
	if (node == WIRE_NODE_UNKNOWN)
		return -1;
	i = take_context(t);
	if (i >= 0) {
		g->contexts[i].node = node;
		g->contexts[i].parent = t->root;
		g->contexts[i].number = number;
	}
	return i;
}

static bool begin(struct thread *t, struct wire_header *h, const char *name)
{
	struct tags *g = t->tags;
	int i;

	if (g->skipped || g->depth == DEPTH_MAX || g->depth + 1 == CONTEXTS_MAX)
		return false;
	i = find_context(t, h, name);
	if (i < 0)
		return false;
	g->open[g->depth++] = (uint8_t)i;
	use(t, g->contexts[i].node, g->contexts[i].index);
	if (g->depth == 1)
		self_scope(true);
	return true;
}

void rec_tag_begin(const char *name)
{
	struct hook k;
	struct thread *t;

	if (!told_begin(&k, arch_stack_pointer()))
		return;
	t = thread_private(k.w);
	if (!t->tags)
		t->tags = thread_map_private(sizeof(*t->tags));
	/* A handler that has interrupted a hook must leave its index alone. */
	if (t->tags && (k.outer || !begin(t, k.h, name ? name : ""))) {
		t->tags->skipped++;
		__atomic_fetch_add(&k.h->tags_lost, 1, __ATOMIC_RELAXED);
	}
	told_end(&k);
}
TOLD_EXPORT(tag_begin);

void rec_tag_end(void)
{
	struct hook k;
	struct thread *t;
	struct tags *g;

	if (!rec_gate.header || !told_begin(&k, arch_stack_pointer()))
		return;
	t = thread_private(k.w);
	g = t->tags;
	if (g && g->skipped) {
		g->skipped--;
	} else if (g && g->depth && !k.outer) {
		const struct context *c;

		g->depth--;
		c = g->depth ? &g->contexts[g->open[g->depth - 1]] : NULL;
		use(t, c ? c->node : WIRE_NODE_ROOT, c ? c->index : t->own_index);
		if (!c)
			self_scope(false);
	}
	told_end(&k);
}
TOLD_EXPORT(tag_end);

void tags_forget(struct thread *t)
{
	struct tags *g = t->tags;

	t->root = WIRE_NODE_ROOT;
	t->index = t->own_index;
	if (!g)
		return;
	g->depth = g->skipped = 0;
	for (uint32_t i = 0; i < g->nr; i++)
		g->contexts[i].node = 0;
}
