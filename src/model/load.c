/* From the recorder's table to a snapshot; see load.h. */
#include "model/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "model/snapshot.h"

struct loading {
	struct snapshot *s;
	const struct load_input *in;
	uint32_t *node_to_stack; /* recorder's node -> index of stacks, NO_INDEX none */
	uint32_t *node_to_node;	 /* recorder's node -> index of nodes */
	struct map frames;	 /* recorder's pc (with its module number) -> index of frames */
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
	for (size_t i = in->nr_nodes; i-- > 1;) {
		if (in->node_blocks[i])
			used[i] = 1;
		if (used[i])
			used[in->nodes[i].parent] = 1;
	}
}

static uint8_t special_of(size_t node)
{
	switch (node) {
	case WIRE_NODE_UNKNOWN:
		return FRAME_UNKNOWN_STACK;
	case WIRE_NODE_CUT:
		return FRAME_CUT;
	case WIRE_NODE_NO_CFI:
		return FRAME_NO_CFI;
	}
	return FRAME_NONE;
}

static void load_nodes(struct loading *l)
{
	const struct load_input *in = l->in;
	struct snapshot *s = l->s;
	uint8_t *used = mem_alloc(in->nr_nodes);

	mark_used(in, used);
	for (size_t i = 1; i < in->nr_nodes; i++) {
		struct stack_node n = {.special = special_of(i), .frame = NO_INDEX};

		if (!used[i])
			continue;
		n.parent = l->node_to_node[i < WIRE_NODE_FIRST ? 0 : in->nodes[i].parent];
		if (!n.special)
			n.frame = frame_of(l, in->nodes[i].pc);
		l->node_to_node[i] = (uint32_t)s->nr_nodes;
		ARRAY_PUSH(s->nodes, s->nr_nodes, s->cap_nodes, n);
	}
	free(used);
}

static uint32_t stack_of(struct loading *l, uint32_t node)
{
	struct snapshot *s = l->s;
	struct stack k = {.node = l->node_to_node[node], .id = node};

	if (l->node_to_stack[node] != NO_INDEX)
		return l->node_to_stack[node];
	k.total_blocks = l->in->node_blocks[node];
	k.total_bytes = l->in->node_bytes[node];
	k.temporary_blocks = l->in->node_temps[node];
	if (k.temporary_blocks > k.total_blocks)
		k.temporary_blocks = k.total_blocks;
	l->node_to_stack[node] = (uint32_t)s->nr_stacks;
	ARRAY_PUSH(s->stacks, s->nr_stacks, s->cap_stacks, k);
	return (uint32_t)(s->nr_stacks - 1);
}

static uint32_t age_ms(const struct load_input *in, uint32_t code)
{
	uint64_t since = in->header->began_monotonic_ns, ms, then = wire_time_decode_ms(code);

	if (in->taken_monotonic_ns < since)
		return UINT32_MAX;
	ms = (in->taken_monotonic_ns - since) / 1000000;
	ms = ms > then ? ms - then : 0;
	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX - 1;
}

static int by_addr(const void *a, const void *b)
{
	const struct block *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

static void load_blocks(struct loading *l)
{
	const struct load_input *in = l->in;
	struct snapshot *s = l->s;

	if (in->with_blocks) {
		s->blocks = mem_alloc_array(in->nr_blocks, sizeof(*s->blocks));
		s->cap_blocks = in->nr_blocks;
	}
	for (size_t i = 0; i < in->nr_blocks; i++) {
		const struct wire_block *b = &in->blocks[i];
		uint32_t k = stack_of(l, b->node);

		s->stacks[k].live_blocks++;
		s->stacks[k].live_bytes += b->size;
		if (in->with_blocks)
			s->blocks[s->nr_blocks++] = (struct block){
				.addr = b->addr,
				.size = b->size,
				.stack = k,
				.age_ms = age_ms(in, b->time_code),
				.heap = NO_INDEX,
			};
	}
	if (in->with_blocks)
		qsort(s->blocks, s->nr_blocks, sizeof(*s->blocks), by_addr);
	s->has_blocks = in->with_blocks;
}

/* Stacks that are not whole, counted by what ends them at their outer end. */
static void count_stopped(struct snapshot *s)
{
	uint8_t *root = mem_alloc(s->nr_nodes);

	for (size_t i = 1; i < s->nr_nodes; i++)
		root[i] = s->nodes[i].special ? s->nodes[i].special : root[s->nodes[i].parent];
	for (size_t i = 0; i < s->nr_stacks; i++) {
		uint8_t r = root[s->stacks[i].node];

		s->losses.cut_stacks += r == FRAME_CUT;
		s->losses.stopped_stacks += r == FRAME_NO_CFI;
	}
	free(root);
}

/* Frees of blocks that the recorder never saw: all frees, less those of blocks it knew. */
static uint64_t unknown_frees(const struct snapshot *s, const struct load_input *in)
{
	uint64_t gone = s->totals.freed_blocks;

	if (in->header->dense_below)
		return in->header->unknown_frees;
	gone = gone > s->losses.lost_frees ? gone - s->losses.lost_frees : 0;
	return in->frees > gone ? in->frees - gone : 0;
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
	load_nodes(&l);
	load_blocks(&l);
	for (size_t i = 1; i < in->nr_nodes; i++)
		if (in->node_blocks[i])
			stack_of(&l, (uint32_t)i);
	s->has_recorder = true;
	s->recording_since_ns = h->began_monotonic_ns;
	s->taken_monotonic_ns = in->taken_monotonic_ns;
	s->allocator = strings_add(&s->strings, h->allocator);
	s->losses.dropped_blocks = h->dropped_blocks + in->broken_rows;
	s->losses.dropped_bytes = h->dropped_bytes;
	s->losses.lost_frees = h->lost_frees;
	s->losses.missing_stacks = h->missing_stacks;
	count_stopped(s);
	snapshot_sum(s);
	s->losses.unknown_frees = unknown_frees(s, in);
	map_release(&l.frames);
	free(l.node_to_stack);
	free(l.node_to_node);
}
