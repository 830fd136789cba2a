/* Numbers for stacks that mean the same in every snapshot: interns modules, frames, then chains. */
#include "model/stack_ids.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/snapshot.h"

/* Stand for a module in keys of frames; string ids are 32 bits, so they cannot meet. */
#define KEY_NO_MODULE (1ULL << 32)
#define KEY_SPECIAL (2ULL << 32)
#define KEY_DANGLING (3ULL << 32)
#define KEY_TAG (4ULL << 32)

static struct pair_slot *find_slot(struct pair_slot *slots, size_t nr_slots, uint64_t a, uint64_t b)
{
	size_t i = (size_t)hash_u64(hash_u64(a) + b) & (nr_slots - 1);

	while (slots[i].number && (slots[i].a != a || slots[i].b != b))
		i = (i + 1) & (nr_slots - 1);
	return &slots[i];
}

static void grow(struct pair_table *t)
{
	size_t nr_slots = t->nr_slots ? 2 * t->nr_slots : 64;
	struct pair_slot *slots = mem_alloc_array(nr_slots, sizeof(*slots));

	for (size_t i = 0; i < t->nr_slots; i++) {
		if (t->slots[i].number)
			*find_slot(slots, nr_slots, t->slots[i].a, t->slots[i].b) = t->slots[i];
	}
	free(t->slots);
	t->slots = slots;
	t->nr_slots = nr_slots;
}

static uint32_t number_of(struct pair_table *t, uint64_t a, uint64_t b)
{
	struct pair_slot *slot;

	if (2 * ((size_t)t->nr + 1) > t->nr_slots)
		grow(t);
	slot = find_slot(t->slots, t->nr_slots, a, b);
	if (slot->number == 0)
		*slot = (struct pair_slot){.a = a, .b = b, .number = ++t->nr};
	return slot->number - 1;
}

void stack_ids_init(struct stack_ids *t)
{
	memset(t, 0, sizeof(*t));
	strings_init(&t->modules);
}

void stack_ids_release(struct stack_ids *t)
{
	if (!t)
		return;
	strings_release(&t->modules);
	free(t->frames.slots);
	free(t->nodes.slots);
	memset(t, 0, sizeof(*t));
}

static uint32_t module_key(struct stack_ids *t, const struct snapshot *s, const struct module *m,
			   struct str *text)
{
	str_clear(text);
	if (m->build_id_len == 0) {
		str_printf(text, "path %s", strings_get(&s->strings, m->path));
	} else {
		str_add(text, "id ");
		for (size_t i = 0; i < m->build_id_len && i < BUILD_ID_MAX; i++)
			str_printf(text, "%02x", m->build_id[i]);
	}
	return strings_add(&t->modules, text->data);
}

static uint32_t *module_keys(struct stack_ids *t, const struct snapshot *s)
{
	uint32_t *keys = mem_alloc_array(s->nr_modules, sizeof(*keys));
	struct str text = STR_INIT;

	for (size_t i = 0; i < s->nr_modules; i++)
		keys[i] = module_key(t, s, &s->modules[i], &text);
	str_release(&text);
	return keys;
}

static uint32_t number_of_frame(struct stack_ids *t, const struct snapshot *s, uint32_t index,
				const uint32_t *modules)
{
	const struct frame *f;

	if (index >= s->nr_frames)
		return number_of(&t->frames, KEY_DANGLING, 0);
	f = &s->frames[index];
	if (f->module >= s->nr_modules)
		return number_of(&t->frames, KEY_NO_MODULE, f->pc);
	return number_of(&t->frames, modules[f->module], f->pc - s->modules[f->module].bias);
}

uint32_t *stack_ids_add_frames(struct stack_ids *t, const struct snapshot *s)
{
	uint32_t *ids = mem_alloc_array(s->nr_frames, sizeof(*ids));
	uint32_t *modules = module_keys(t, s);

	for (size_t i = 0; i < s->nr_frames; i++)
		ids[i] = number_of_frame(t, s, (uint32_t)i, modules);
	free(modules);
	return ids;
}

/* What a node adds to its parent's chain. */
static uint32_t number_of_node(struct stack_ids *t, const struct snapshot *s,
			       const struct stack_node *node, const uint32_t *modules)
{
	if (node->special == FRAME_NONE)
		return number_of_frame(t, s, node->frame, modules);
	if (node->special == FRAME_TAG)
		return number_of(&t->frames, KEY_TAG,
				 strings_add(&t->modules, strings_get(&s->strings, node->tag)));
	return number_of(&t->frames, KEY_SPECIAL, node->special);
}

uint32_t *stack_ids_add(struct stack_ids *t, const struct snapshot *s)
{
	uint32_t *ids = mem_alloc_array(s->nr_nodes, sizeof(*ids));
	uint32_t *modules = module_keys(t, s);

	/* The root is a chain of nothing, in every snapshot the same: number 0. */
	ids[0] = number_of(&t->nodes, UINT64_MAX, 0);
	for (size_t i = 1; i < s->nr_nodes; i++) {
		const struct stack_node *node = &s->nodes[i];
		uint32_t frame = number_of_node(t, s, node, modules);

		ids[i] = number_of(&t->nodes, ids[node->parent], frame);
	}
	free(modules);
	return ids;
}
