/* From the recorder's table to a snapshot; see load.h. */
#include "model/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/load_told.h"
#include "model/snapshot.h"
#include "wire/sample.h"

struct loading {
	struct snapshot *s;
	const struct load_input *in;
	uint32_t *node_to_stack; /* recorder's node -> index of stacks, NO_INDEX none */
	uint32_t *node_to_node;	 /* recorder's node -> index of nodes */
	struct map frames;	 /* recorder's pc (with its module number) -> index of frames */
	uint64_t *live_weight;	 /* by recorder's node, of its live samples; NULL: there are none */
};

static bool is_system_path(const char *path)
{
	static const char *const prefixes[] = {"/lib/",	      "/lib64/",      "/usr/lib/",
					       "/usr/lib64/", "/usr/libx32/", "/lib32/",
					       "[",	      "linux-vdso"};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(path, prefixes[i], strlen(prefixes[i])))
			return true;
	return false;
}

static void load_module(struct loading *l, const struct wire_module *m)
{
	struct snapshot *s = l->s;
	const char *path = m->is_main ? l->in->exe : m->path;
	struct module out = {.start = m->start, .end = m->end, .bias = m->bias};

	if (!strncmp(path, "linux-vdso", 10))
		path = "[vdso]";
	out.path = strings_add(&s->strings, path);
	if (m->build_id_len <= BUILD_ID_MAX) {
		out.build_id_len = m->build_id_len;
		memcpy(out.build_id, m->build_id, m->build_id_len);
	}
	out.flags = (m->is_main ? MODULE_MAIN : 0) | (m->is_recorder ? MODULE_RECORDER : 0) |
		    (m->is_allocator ? MODULE_ALLOCATOR : 0) |
		    (m->state == WIRE_MODULE_UNLOADED ? MODULE_UNLOADED : 0) |
		    (!m->is_main && is_system_path(path) ? MODULE_SYSTEM : 0);
	ARRAY_PUSH(s->modules, s->nr_modules, s->cap_modules, out);
}

/* The module of a return address: by number if it has been unloaded since, else by address. */
static uint32_t module_of(struct loading *l, uint64_t tagged_pc)
{
	uint64_t number = tagged_pc >> WIRE_PC_BITS, pc = tagged_pc & WIRE_PC_MASK;

	if (number)
		return number <= l->s->nr_modules ? (uint32_t)(number - 1) : NO_INDEX;
	return snapshot_find_module(l->s, pc - 1);
}

static uint32_t frame_of(struct loading *l, uint64_t tagged_pc)
{
	struct snapshot *s = l->s;
	bool added;
	uint64_t *at = map_at(&l->frames, tagged_pc, &added);
	struct frame f = {.pc = tagged_pc & WIRE_PC_MASK};

	if (!added)
		return (uint32_t)*at;
	*at = s->nr_frames;
	f.module = module_of(l, tagged_pc);
	ARRAY_PUSH(s->frames, s->nr_frames, s->cap_frames, f);
	return (uint32_t)(s->nr_frames - 1);
}

/* Marks the nodes that a row needs, with all their ancestors. */
static void mark_used(const struct load_input *in, uint8_t *used)
{
	for (size_t i = 0; i < in->nr_blocks; i++)
		used[in->blocks[i].node] = 1;
	for (size_t i = 0; i < in->nr_pool_blocks; i++)
		used[in->pool_blocks[i].node] = 1;
	for (size_t i = 0; i < in->nr_handles; i++)
		used[in->handles[i].node] = 1;
	for (size_t i = in->nr_nodes; i-- > 1;) {
		if (in->node_blocks[i] || (in->node_samples && in->node_samples[i]))
			used[i] = 1;
		if (used[i])
			used[in->nodes[i].parent] = 1;
	}
}

/* By pc: the nodes of these kinds stand at the root, and once more below each tag. */
static uint8_t special_of(uint64_t pc)
{
	if (wire_pc_is_tag(pc))
		return FRAME_TAG;
	switch (pc) {
	case WIRE_NODE_UNKNOWN:
		return FRAME_UNKNOWN_STACK;
	case WIRE_NODE_CUT:
		return FRAME_CUT;
	case WIRE_NODE_NO_CFI:
		return FRAME_NO_CFI;
	}
	return FRAME_NONE;
}

static uint32_t tag_text(struct loading *l, uint64_t pc)
{
	uint64_t number = pc & WIRE_PC_TAG_NUMBER;
	const char *pool = (pc & ~WIRE_PC_TAG_NUMBER) == WIRE_PC_TAG_POOL ? "pool " : "";
	const char *name = number < l->in->nr_tags ? l->in->tags[number].name : "";
	struct str text = STR_INIT;
	uint32_t id;

	str_printf(&text, "[%s%s]", pool, name);
	id = strings_add(&l->s->strings, text.data);
	str_release(&text);
	return id;
}

static void load_nodes(struct loading *l)
{
	const struct load_input *in = l->in;
	struct snapshot *s = l->s;
	uint8_t *used = mem_alloc(in->nr_nodes);

	mark_used(in, used);
	for (size_t i = 1; i < in->nr_nodes; i++) {
		struct stack_node n = {.special = special_of(in->nodes[i].pc), .frame = NO_INDEX};

		if (i < WIRE_NODE_FIRST)
			n.special = special_of(i);
		if (!used[i])
			continue;
		n.parent = l->node_to_node[i < WIRE_NODE_FIRST ? 0 : in->nodes[i].parent];
		if (n.special == FRAME_TAG)
			n.tag = tag_text(l, in->nodes[i].pc);
		if (!n.special)
			n.frame = frame_of(l, in->nodes[i].pc);
		l->node_to_node[i] = (uint32_t)s->nr_nodes;
		ARRAY_PUSH(s->nodes, s->nr_nodes, s->cap_nodes, n);
	}
	free(used);
}

/* Of memory an index into stacks, of a kind of resources one into resources. */
static uint32_t stack_of(struct loading *l, uint32_t node)
{
	struct snapshot *s = l->s;
	struct stack k = {.node = l->node_to_node[node], .id = node};
	bool is_memory = !wire_pc_is_kind(l->in->nodes[node].pc);

	if (l->node_to_stack[node] != NO_INDEX)
		return l->node_to_stack[node];
	k.total_blocks = l->in->node_blocks[node];
	k.total_bytes = l->in->node_bytes[node];
	k.temporary_blocks = l->in->node_temps[node];
	if (l->in->node_samples) {
		k.total_samples = l->in->node_samples[node];
		k.total_blocks += load_whole_blocks(l->in->sample_blocks[node]);
		k.total_bytes += l->in->sample_bytes[node];
		k.temporary_blocks += load_whole_blocks(l->in->sample_temps[node]);
	}
	if (k.temporary_blocks > k.total_blocks)
		k.temporary_blocks = k.total_blocks;
	if (is_memory) {
		l->node_to_stack[node] = (uint32_t)s->nr_stacks;
		ARRAY_PUSH(s->stacks, s->nr_stacks, s->cap_stacks, k);
	} else {
		l->node_to_stack[node] = (uint32_t)s->nr_resources;
		ARRAY_PUSH(s->resources, s->nr_resources, s->cap_resources, k);
	}
	return l->node_to_stack[node];
}

static uint32_t age_ms(const struct load_input *in, uint32_t code)
{
	uint64_t since = in->header->began_monotonic_ns, ms;
	uint32_t marks = load_generation(in, code);
	uint64_t then = wire_time_decode_ms(code > marks ? code - marks : 0);

	if (in->taken_monotonic_ns < since)
		return UINT32_MAX;
	ms = (in->taken_monotonic_ns - since) / 1000000;
	ms = ms > then ? ms - then : 0;
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX - 1;
}

/*
 * One live block more; covered: bytes of it that blocks inside count. Returns its stack. Weights of
 * samples are added up before they are rounded, as the recorder does: live is never above total.
 */
static uint32_t add_live(struct loading *l, struct load_generations *g, const struct wire_block *b,
			 uint64_t covered)
{
	uint32_t i = stack_of(l, b->node);
	struct stack *k = &l->s->stacks[i];
	uint64_t weight = WIRE_WEIGHT_ONE, bytes = b->size - covered;

	if (b->sampled) {
		weight = wire_sample_weight(b->size, b->sampled - 1u);
		bytes = wire_sample_bytes(b->size, weight);
		if (!l->live_weight)
			l->live_weight = mem_alloc_array(l->in->nr_nodes, sizeof(uint64_t));
		l->live_weight[b->node] += weight;
		k->live_samples++;
	} else {
		k->live_blocks++;
		l->s->pooled_bytes += covered;
	}
	k->live_bytes += bytes;
	load_generations_add(g, i, b, weight, bytes);
	return i;
}

static void add_live_weights(struct loading *l)
{
	for (size_t i = 0; l->live_weight && i < l->in->nr_nodes; i++)
		if (l->live_weight[i])
			l->s->stacks[l->node_to_stack[i]].live_blocks +=
				load_whole_blocks(l->live_weight[i]);
}

static int by_addr(const void *a, const void *b)
{
	const struct block *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void load_blocks(struct loading *l)
{
	const struct load_input *in = l->in;
	struct load_generations *g = load_generations_new(in);
	uint64_t *covered = load_covered(in);
	struct snapshot *s = l->s;

	if (in->with_blocks) {
		s->blocks = mem_alloc_array(in->nr_blocks, sizeof(*s->blocks));
		s->cap_blocks = in->nr_blocks;
	}
	for (size_t i = 0; i < in->nr_blocks; i++) {
		const struct wire_block *b = &in->blocks[i];
		uint32_t k = add_live(l, g, b, covered ? covered[i] : 0);

		if (in->with_blocks)
			s->blocks[s->nr_blocks++] = (struct block){
				.addr = b->addr,
				.size = b->size,
				.stack = k,
				.age_ms = age_ms(in, b->time_code),
				.heap = NO_INDEX,
				.sampled = b->sampled,
			};
	}
	for (size_t i = 0; i < in->nr_pool_blocks; i++)
		add_live(l, g, &in->pool_blocks[i], covered[in->nr_blocks + i]);
	add_live_weights(l);
	if (in->with_blocks)
		qsort(s->blocks, s->nr_blocks, sizeof(*s->blocks), by_addr);
	s->has_blocks = in->with_blocks;
	s->generations = load_generations_finish(g, &s->nr_generations);
	s->cap_generations = s->nr_generations;
	free(covered);
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool is_descriptor(const struct load_input *in, const struct wire_block *b)
{
	uint64_t kind = in->nodes[b->node].pc & WIRE_PC_TAG_NUMBER;

	return kind < in->nr_tags && !strcmp(in->tags[kind].name, WIRE_KIND_DESCRIPTORS);
}

static void load_handles(struct loading *l)
{
	const struct load_input *in = l->in;
	struct load_generations *g = load_generations_new(in);
	struct snapshot *s = l->s;

	s->descriptors.unseen = s->descriptors.open = in->unseen_descriptors;
	for (size_t i = 0; i < in->nr_handles; i++) {
		const struct wire_block *b = &in->handles[i];
		uint32_t resource = stack_of(l, b->node);

		if (in->with_descriptors && is_descriptor(in, b)) {
			if (in->nr_gone &&
			    bsearch(&b->addr, in->gone, in->nr_gone, sizeof(*in->gone), by_value)) {
				s->descriptors.gone++;
				continue;
			}
			s->descriptors.open++;
		}
		s->resources[resource].live_blocks++;
		load_generations_add(g, resource, b, WIRE_WEIGHT_ONE, 0);
	}
	s->resource_generations = load_generations_finish(g, &s->nr_resource_generations);
	s->cap_resource_generations = s->nr_resource_generations;
}

/* Stacks that are not whole, counted by what ends them at their outer end. */
static void count_stopped(struct snapshot *s)
{
	uint8_t *root = mem_alloc(s->nr_nodes);

	for (size_t i = 1; i < s->nr_nodes; i++)
		root[i] = s->nodes[i].special && s->nodes[i].special != FRAME_TAG
				  ? s->nodes[i].special
				  : root[s->nodes[i].parent];
	for (size_t i = 0; i < s->nr_stacks; i++) {
		uint8_t r = root[s->stacks[i].node];

		s->losses.cut_stacks += r == FRAME_CUT;
		s->losses.stopped_stacks += r == FRAME_NO_CFI;
	}
	free(root);
}

/* Blocks that came and went, samples counted as what they are. */
static uint64_t blocks_gone(const struct snapshot *s, const struct load_input *in)
{
	uint64_t live = in->nr_blocks + in->nr_pool_blocks + in->nr_handles, gone = 0;

	for (size_t i = 1; i < in->nr_nodes; i++)
		gone += in->node_blocks[i] + (in->node_samples ? in->node_samples[i] : 0);
	gone = gone > live ? gone - live : 0;
	return gone > s->losses.dropped_blocks ? gone - s->losses.dropped_blocks : 0;
}

/* Frees of blocks that the recorder never saw: all frees, less those of blocks it knew. */
static uint64_t unknown_frees(const struct snapshot *s, const struct load_input *in)
{
	uint64_t gone = blocks_gone(s, in);

	if (in->header->dense_below)
		return in->header->unknown_frees;
	gone = gone > s->losses.lost_frees ? gone - s->losses.lost_frees : 0;
	return in->frees > gone ? in->frees - gone : 0;
}

/* Where the history has holes (more changes than it keeps), the times in all still are right. */
static void load_modes(struct snapshot *s, const struct load_input *in)
{
	const struct wire_header *h = in->header;
	uint32_t nr = h->changes_nr, first = nr > WIRE_CHANGES_MAX ? nr - WIRE_CHANGES_MAX : 0;
	uint64_t spent[MODES_NR] = {0}, since;
	struct mode_change change;

	for (uint32_t i = first; i < nr; i++) {
		const struct wire_mode_change *c = &h->changes[i % WIRE_CHANGES_MAX];

		if (c->mode >= MODES_NR || c->bits > WIRE_SAMPLE_BITS_MAX)
			continue;
		change = (struct mode_change){.since_ns = c->since_ns, .mode = (uint8_t)c->mode};
		if (c->mode == MODE_SAMPLE)
			change.mean_bytes = 1ull << c->bits;
		ARRAY_PUSH(s->modes, s->nr_modes, s->cap_modes, change);
	}
	for (int i = 0; i < MODES_NR; i++)
		spent[i] = h->mode_ns[i];
	if (s->nr_modes) {
		since = s->modes[s->nr_modes - 1].since_ns;
		if (in->taken_monotonic_ns > since)
			spent[s->modes[s->nr_modes - 1].mode] += in->taken_monotonic_ns - since;
	}
	s->mode_changes = nr ? nr - 1 : 0;
	s->sampled_ns = spent[MODE_SAMPLE];
	s->unrecorded = (struct unrecorded){
		.ns = spent[MODE_OFF],
		.blocks = in->unseen.blocks,
		.bytes = in->unseen.bytes,
		.frees = in->unseen.frees,
	};
}

void load_recording(struct snapshot *s, const struct load_input *in)
{
	struct loading l = {.s = s, .in = in, .frames = MAP_INIT};
	const struct wire_header *h = in->header;

	l.node_to_stack = mem_alloc_array(in->nr_nodes, sizeof(uint32_t));
	l.node_to_node = mem_alloc_array(in->nr_nodes, sizeof(uint32_t));
	memset(l.node_to_stack, 0xff, in->nr_nodes * sizeof(uint32_t));
	for (size_t i = 0; i < in->nr_modules; i++)
		load_module(&l, &in->modules[i]);
	load_marks(s, in);
	load_nodes(&l);
	load_blocks(&l);
	load_handles(&l);
	for (size_t i = 1; i < in->nr_nodes; i++)
		if (in->node_blocks[i] || (in->node_samples && in->node_samples[i]))
			stack_of(&l, (uint32_t)i);
	s->has_recorder = true;
	s->recording_since_ns = h->began_monotonic_ns;
	s->taken_monotonic_ns = in->taken_monotonic_ns;
	s->allocator = strings_add(&s->strings, h->allocator);
	s->losses.dropped_blocks = h->dropped_blocks + in->broken_rows;
	s->losses.dropped_bytes = h->dropped_bytes;
	s->losses.lost_frees = h->lost_frees;
	s->losses.missing_stacks = h->missing_stacks;
	s->losses.partial_functions = h->partial_nr;
	load_modes(s, in);
	count_stopped(s);
	snapshot_sum(s);
	s->losses.unknown_frees = unknown_frees(s, in) + h->unknown_pool_frees;
	map_release(&l.frames);
	free(l.node_to_stack);
	free(l.node_to_node);
	free(l.live_weight);
}
