/* Leaks as rows and groups; see leaks.h. */
#include "model/leaks.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/snapshot.h"

const char *leak_state_name(enum reach_state state)
{
	switch (state) {
	case REACH_LEAKED:
		return "leaked";
	case REACH_POSSIBLE:
		return "possibly leaked";
	case REACH_HELD:
		return "reachable";
	}
	return "unknown";
}

uint64_t leak_total_bytes(const struct leak *l)
{
	return l->bytes + l->held_bytes;
}

/* In the order of leaks_sort(); for qsort(). */
static int leak_compare(const void *a, const void *b)
{
	const struct leak *x = a, *y = b;
	uint64_t x_bytes = leak_total_bytes(x), y_bytes = leak_total_bytes(y);

	if (x->state != y->state)
		return x->state < y->state ? -1 : 1;
	if (x_bytes != y_bytes)
		return x_bytes > y_bytes ? -1 : 1;
	return (x->addr > y->addr) - (x->addr < y->addr);
}

void leaks_sort(struct leak_list *l)
{
	if (l->nr)
		qsort(l->items, l->nr, sizeof(*l->items), leak_compare);
}

static struct leak new_leak(const struct reach *r, uint32_t id, enum reach_state state,
			    struct reach_cursor *c)
{
	uint64_t addr = reach_next_address(r, id, c), size = reach_size(r, id);

	return (struct leak){
		.state = state,
		.members = 1,
		.addr = addr,
		.head = addr,
		.bytes = size,
		.facts = {.addr = addr,
			  .size = size,
			  .usable = size,
			  .age_ns = AGE_UNKNOWN,
			  .heap = NO_INDEX,
			  .stack = NO_INDEX},
	};
}

void leaks_collect(struct leak_list *l, const struct reach *r, const struct leak_heads *heads,
		   enum reach_state state)
{
	struct reach_cursor c = {0};

	for (size_t i = 0; i < heads->nr; i++) {
		const struct leak_head *h = &heads->items[i];
		struct leak leak = new_leak(r, h->id, state, &c);

		leak.members = h->members;
		leak.is_cycle = h->members > 1 || h->points_to_itself;
		leak.bytes = h->bytes;
		leak.held_blocks = h->held_blocks;
		leak.held_bytes = h->held_bytes;
		ARRAY_PUSH(l->items, l->nr, l->cap, leak);
	}
}

void leaks_collect_all(struct leak_list *l, const struct reach *r, const struct leak_heads *heads,
		       enum reach_state state)
{
	struct reach_cursor c = {0};

	for (uint32_t id = 0; id < reach_ids(r); id++) {
		size_t owner = leak_heads_owner(heads, id);
		const struct leak_head *h;
		struct leak leak;

		if (owner == SIZE_MAX)
			continue;
		h = &heads->items[owner];
		leak = new_leak(r, id, state, &c);
		leak.head = reach_address(r, h->id);
		leak.is_cycle =
			leak_heads_is_member(heads, id) && (h->members > 1 || h->points_to_itself);
		ARRAY_PUSH(l->items, l->nr, l->cap, leak);
	}
}

void leaks_release(struct leak_list *l)
{
	free(l->items);
	*l = (struct leak_list){.items = NULL};
}

static void add_to_group(struct leak_group *g, const struct leak *leak)
{
	uint64_t age = leak->facts.age_ns;

	g->leaks++;
	g->cycles += leak->is_cycle;
	g->blocks += leak->members;
	g->bytes += leak->bytes;
	g->held_blocks += leak->held_blocks;
	g->held_bytes += leak->held_bytes;
	if (age == AGE_UNKNOWN)
		return;
	if (g->youngest_ns == AGE_UNKNOWN || age < g->youngest_ns)
		g->youngest_ns = age;
	if (g->oldest_ns == AGE_UNKNOWN || age > g->oldest_ns)
		g->oldest_ns = age;
}

/* Groups of equal label and state, in the order in which they are met. */
struct grouping {
	struct leak_groups *g;
	uint32_t *slots; /* open addressing: index of a group + 1 */
	size_t nr_slots;
};

static size_t find_slot(const struct grouping *x, const char *label, enum reach_state state)
{
	size_t mask = x->nr_slots - 1;
	size_t at = hash_seeded(label, strlen(label), (uint64_t)state) & mask;

	for (; x->slots[at]; at = (at + 1) & mask) {
		const struct leak_group *g = &x->g->items[x->slots[at] - 1];

		if (g->state == state && strcmp(g->label, label) == 0)
			break;
	}
	return at;
}

static void grow_slots(struct grouping *x)
{
	free(x->slots);
	x->nr_slots = x->nr_slots ? x->nr_slots * 2 : 64;
	x->slots = mem_alloc_array(x->nr_slots, sizeof(*x->slots));
	for (size_t i = 0; i < x->g->nr; i++) {
		const struct leak_group *g = &x->g->items[i];

		x->slots[find_slot(x, g->label, g->state)] = (uint32_t)i + 1;
	}
}

static uint32_t group_with(struct grouping *x, const char *label, enum reach_state state,
			   size_t first)
{
	size_t at;

	if (x->g->nr * 2 >= x->nr_slots)
		grow_slots(x);
	at = find_slot(x, label, state);
	if (x->slots[at] == 0) {
		ARRAY_PUSH(x->g->items, x->g->nr, x->g->cap,
			   ((struct leak_group){.label = mem_strdup(label),
						.state = state,
						.youngest_ns = AGE_UNKNOWN,
						.oldest_ns = AGE_UNKNOWN,
						.first = first}));
		x->slots[at] = (uint32_t)x->g->nr;
	}
	return x->slots[at] - 1;
}

/* For sorting groups: where each was. */
struct placed {
	struct leak_group group;
	uint32_t was;
};

static int compare_placed(const void *a, const void *b)
{
	const struct leak_group *x = &((const struct placed *)a)->group;
	const struct leak_group *y = &((const struct placed *)b)->group;
	uint64_t x_bytes = x->bytes + x->held_bytes, y_bytes = y->bytes + y->held_bytes;

	if (x->state != y->state)
		return x->state < y->state ? -1 : 1;
	if (x_bytes != y_bytes)
		return x_bytes > y_bytes ? -1 : 1;
	return strcmp(x->label, y->label);
}

static void sort_groups(struct leak_groups *g, size_t nr_leaks)
{
	struct placed *placed = mem_alloc_array(g->nr, sizeof(*placed));
	uint32_t *now = mem_alloc_array(g->nr, sizeof(*now));

	for (size_t i = 0; i < g->nr; i++)
		placed[i] = (struct placed){g->items[i], (uint32_t)i};
	if (g->nr)
		qsort(placed, g->nr, sizeof(*placed), compare_placed);
	for (size_t i = 0; i < g->nr; i++) {
		g->items[i] = placed[i].group;
		now[placed[i].was] = (uint32_t)i;
	}
	for (size_t i = 0; i < nr_leaks; i++)
		g->group_of[i] = now[g->group_of[i]];
	free(placed);
	free(now);
}

/* Leaks that were just grouped: among millions most are like one of a few. */
struct memo {
	const struct leak *leak; /* NULL: none */
	uint32_t group;
};

#define MEMOS 256

static bool has_same_label(const struct leak *a, const struct leak *b)
{
	return a->state == b->state && a->members == b->members && a->is_cycle == b->is_cycle &&
	       a->is_late == b->is_late && a->facts.stack == b->facts.stack &&
	       a->facts.class_id == b->facts.class_id && a->facts.is_array == b->facts.is_array &&
	       a->facts.size == b->facts.size;
}

static struct memo *memo_of(struct memo memos[MEMOS], const struct leak *leak)
{
	uint64_t key = leak->facts.size / 8 + leak->facts.stack * 31ull +
		       leak->facts.class_id * 17ull + (uint64_t)leak->state;

	return &memos[key % MEMOS];
}

void leaks_group(const struct leak_list *l,
		 void (*label)(void *context, const struct leak *leak, struct str *out),
		 void *context, struct leak_groups *ret)
{
	struct leak_groups g = {.items = NULL};
	struct grouping x = {.g = &g};
	struct memo memos[MEMOS] = {{.leak = NULL}};
	struct str text = STR_INIT;

	g.group_of = mem_alloc_array(l->nr, sizeof(*g.group_of));
	for (size_t i = 0; i < l->nr; i++) {
		struct memo *memo = memo_of(memos, &l->items[i]);
		struct leak_group *group;

		if (!memo->leak || !has_same_label(memo->leak, &l->items[i])) {
			str_clear(&text);
			label(context, &l->items[i], &text);
			memo->group = group_with(&x, text.data, l->items[i].state, i);
			memo->leak = &l->items[i];
		}
		g.group_of[i] = memo->group;
		group = &g.items[g.group_of[i]];
		add_to_group(group, &l->items[i]);
		if (leak_compare(&l->items[i], &l->items[group->first]) < 0)
			group->first = i;
	}
	sort_groups(&g, l->nr);
	free(x.slots);
	str_release(&text);
	*ret = g;
}

void leak_groups_release(struct leak_groups *g)
{
	for (size_t i = 0; i < g->nr; i++)
		free(g->items[i].label);
	free(g->items);
	free(g->group_of);
	*g = (struct leak_groups){.items = NULL};
}
