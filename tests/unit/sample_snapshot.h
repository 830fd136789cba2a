/*
 * A synthetic snapshot that uses every field, for the tests of model and file, and the comparison
 * of two snapshots field by field. The same on every run.
 */
#ifndef SAMPLE_SNAPSHOT_H
#define SAMPLE_SNAPSHOT_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/regions.h"
#include "model/snapshot.h"

/* xorshift: small, and the same everywhere. */
static inline uint64_t sample_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline uint32_t sample_text(struct snapshot *s, const char *what, size_t i)
{
	char text[64];

	snprintf(text, sizeof(text), "%s_%zu", what, i);
	return strings_add(&s->strings, text);
}

static inline void sample_identity(struct snapshot *s)
{
	s->identity = (struct identity){
		.pid = 4242,
		.start_ticks = 123456789,
		.image = 2,
		.boot_id = "01234567-89ab-cdef-0123-456789abcdef",
		.name = strings_add(&s->strings, "meter"),
		.exe = strings_add(&s->strings, "/usr/bin/meter"),
		.command = strings_add(&s->strings, "meter --headless"),
		.host = strings_add(&s->strings, "testhost"),
	};
	s->taken_realtime_ns = 1700000000123456789ull;
	s->taken_monotonic_ns = 987654321012ull;
	s->recording_since_ns = 900000000000ull;
	s->pause_ns = 1234567;
	s->pooled_bytes = 7654321;
	s->has_recorder = s->has_blocks = s->at_exit = s->symbols_resolved = true;
	s->has_heaps = s->has_region_use = true;
	s->method = strings_add(&s->strings, "frozen clone");
	s->figures = (struct process_figures){11, 12, 13, 14, 15, 16, UINT64_MAX};
	s->allocator = strings_add(&s->strings, "glibc");
	s->losses = (struct losses){1, 2, 3, 4, 5, 6, UINT64_MAX, 8, 9, 2, true};
}

static inline void sample_code(struct snapshot *s, size_t modules, size_t frames, uint64_t *rnd)
{
	for (size_t i = 0; i < modules; i++) {
		struct module m = {.path = sample_text(s, "/usr/lib/libsample.so", i),
				   .start = 0x7f0000000000ull + i * 0x200000,
				   .end = 0x7f0000000000ull + i * 0x200000 + 0x1a0000,
				   .bias = 0x7f0000000000ull + i * 0x200000,
				   .build_id_len = i % 3 ? BUILD_ID_MAX : 0,
				   .flags = (uint32_t)(i % 64)};

		for (int k = 0; k < m.build_id_len; k++)
			m.build_id[k] = (uint8_t)sample_random(rnd);
		ARRAY_PUSH(s->modules, s->nr_modules, s->cap_modules, m);
	}
	for (size_t i = 0; i < frames; i++) {
		struct frame f = {.pc = 0x7f0000001000ull + (sample_random(rnd) & 0xfffff),
				  .module = i % 7 && modules ? (uint32_t)(i % modules) : NO_INDEX,
				  .symbols_first = (uint32_t)s->nr_symbols,
				  .symbols_nr = (uint32_t)(i % 3)};

		for (uint32_t k = 0; k < f.symbols_nr; k++)
			ARRAY_PUSH(s->symbols, s->nr_symbols, s->cap_symbols,
				   ((struct symbol){.function = sample_text(s, "function", i),
						    .file = sample_text(s, "file.c", i % 10),
						    .line = (uint32_t)i * 10 + k,
						    .offset = k ? 0 : (uint32_t)i * 4}));
		ARRAY_PUSH(s->frames, s->nr_frames, s->cap_frames, f);
	}
}

static inline void sample_stacks(struct snapshot *s, size_t nodes, size_t stacks, uint64_t *rnd)
{
	for (size_t i = 1; i <= nodes; i++) {
		struct stack_node n = {.parent = (uint32_t)(sample_random(rnd) % i),
				       .frame = (uint32_t)(i % s->nr_frames)};

		if (i <= 3) {
			n.frame = NO_INDEX;
			n.special = (uint8_t)i;
		} else if (i == 4) {
			n.frame = NO_INDEX;
			n.special = FRAME_TAG;
			n.tag = strings_add(&s->strings, "[request]");
		}
		ARRAY_PUSH(s->nodes, s->nr_nodes, s->cap_nodes, n);
	}
	for (size_t i = 0; i < stacks; i++) {
		uint64_t live = sample_random(rnd) % 1000;

		ARRAY_PUSH(s->stacks, s->nr_stacks, s->cap_stacks,
			   ((struct stack){.node = (uint32_t)(sample_random(rnd) % s->nr_nodes),
					   .id = (uint32_t)i * 3 + 4,
					   .live_blocks = live,
					   .live_bytes = live * 48,
					   .total_blocks = live * 100,
					   .total_bytes = live * 4800,
					   .temporary_blocks = live % 10}));
	}
	for (uint32_t i = 0; i < 3 && s->nr_nodes > 4; i++)
		ARRAY_PUSH(s->resources, s->nr_resources, s->cap_resources,
			   ((struct stack){.node = 4,
					   .id = i * 5 + 6,
					   .live_blocks = i,
					   .total_blocks = i * 1000}));
	s->descriptors = (struct descriptors){.open = 70, .unseen = 4, .gone = 2};
}

static inline void sample_marks(struct snapshot *s)
{
	for (uint32_t i = 0; i < 3; i++)
		ARRAY_PUSH(s->marks, s->nr_marks, s->cap_marks,
			   ((struct mark){.name = sample_text(s, "mark", i),
					  .counted = i != 1,
					  .monotonic_ns = 900000000000ull + i * 1000,
					  .total_blocks = i * 10,
					  .total_bytes = i * 1000,
					  .frees = UINT64_MAX - i}));
	for (uint32_t i = 0; i < s->nr_stacks * 2; i++)
		ARRAY_PUSH(s->generations, s->nr_generations, s->cap_generations,
			   ((struct generation_row){.stack = i / 2,
						    .generation = i % 2 * 3,
						    .live_blocks = i,
						    .live_bytes = i * 100}));
}

/* Every figure another number. */
static inline struct heap_figures sample_figures(uint64_t seed)
{
	struct heap_figures f;
	uint64_t *fields = (uint64_t *)&f;

	for (size_t i = 0; i < sizeof(f) / sizeof(*fields); i++)
		fields[i] = seed * 1000 + i;
	return f;
}

static inline void sample_heaps(struct snapshot *s)
{
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t at = 0x555500000000ull + i * 0x10000ull;

		ARRAY_PUSH(s->heaps, s->nr_heaps, s->cap_heaps,
			   ((struct heap_row){.addr = at + 0x20,
					      .allocator = sample_text(s, "allocator", i),
					      .name = sample_text(s, "arena", i),
					      .fault = i ? 0 : sample_text(s, "fault", i),
					      .fault_addr = at + 0x100,
					      .parent = i ? i - 1 : NO_INDEX,
					      .kind = (uint8_t)(i % (HEAP_UNKNOWN + 1)),
					      .flags = (uint8_t)(HEAP_HAS_BLOCKS << i),
					      .figures = sample_figures(i + 1)}));
		ARRAY_PUSH(s->spans, s->nr_spans, s->cap_spans,
			   ((struct heap_span){at, at + 0x1000 * i, at + 0x4000, i}));
		ARRAY_PUSH(s->checks, s->nr_checks, s->cap_checks,
			   ((struct heap_check){.what = sample_text(s, "check", i),
						.heap = i ? i : NO_INDEX,
						.expected = i,
						.found = UINT64_MAX - i}));
	}
}

static inline struct region sample_region(struct snapshot *s, uint64_t i)
{
	static const uint8_t kinds[] = {REGION_UNKNOWN, REGION_HEAP, REGION_STACK, REGION_IMAGE,
					REGION_DEVICE};
	struct region r = {.start = 0x555500000000ull + i * 0x10000,
			   .end = 0x555500008000ull + i * 0x10000,
			   .offset = i * 4096,
			   .path = sample_text(s, "[region]", (size_t)i),
			   .prot = (uint8_t)(i * 3),
			   .kind = kinds[i],
			   .vm_flags = (uint32_t)i * 7};
	uint64_t *use = &r.rss;

	r.owner = region_owner_of(r.kind) == REGION_OWNER_NONE ? NO_INDEX : 0;
	for (size_t k = 0; k < (sizeof(r) - offsetof(struct region, rss)) / sizeof(*use); k++)
		use[k] = i * 100 + k;
	return r;
}

static inline void sample_memory(struct snapshot *s, size_t blocks, uint64_t *rnd)
{
	uint64_t addr = 0x555500001010ull;

	for (uint32_t i = 0; i < 3; i++)
		ARRAY_PUSH(s->threads, s->nr_threads, s->cap_threads,
			   ((struct thread_info){.tid = i ? 4242 + (int32_t)i : -1,
						 .name = sample_text(s, "worker", (size_t)i),
						 .heap = i ? i : NO_INDEX,
						 .sp = i ? 0x7ffd00000000ull + i : 0,
						 .tp = i ? 0x7ffe00000000ull + i : 0}));
	for (uint64_t i = 0; i < 5; i++)
		ARRAY_PUSH(s->regions, s->nr_regions, s->cap_regions, sample_region(s, i));
	for (size_t i = 0; i < blocks; i++) {
		uint64_t size = sample_random(rnd) % 512;
		uint32_t stack = (uint32_t)(sample_random(rnd) % s->nr_stacks);

		ARRAY_PUSH(s->blocks, s->nr_blocks, s->cap_blocks,
			   ((struct block){.addr = addr,
					   .size = size,
					   .stack = i % 9 ? stack : NO_INDEX,
					   .age_ms = i % 5 ? (uint32_t)(i * 16) : UINT32_MAX,
					   .heap = i % 4 ? (uint32_t)(i % 4) - 1 : NO_INDEX,
					   .state = (uint8_t)(i % BLOCK_STATES)}));
		addr += (size + 31) / 16 * 16;
	}
}

/* Adds references to one that was made; at least one block. */
static inline void sample_references(struct snapshot *s, size_t blocks)
{
	uint64_t state = 1234567, *rnd = &state;

	for (size_t i = 0; i < blocks; i++) {
		uint64_t nr = sample_random(rnd) % 4;

		ARRAY_PUSH(s->ref_blocks, s->nr_ref_blocks, s->cap_ref_blocks,
			   ((struct ref_block){.addr = 0x555500001010ull + i * 4096,
					       .size = sample_random(rnd) % 4096,
					       .nr_edges = nr,
					       .class_name = i % 5 ? 0 : sample_text(s, "Class", i),
					       .flags = i % 7 == 0}));
		for (uint64_t k = 0; k < nr; k++)
			ARRAY_PUSH(
				s->ref_edges, s->nr_ref_edges, s->cap_ref_edges,
				((struct ref_edge){.block = (uint32_t)(sample_random(rnd) % blocks),
						   .slot = k == 3 ? REF_FAR : (uint32_t)k,
						   .into = (uint32_t)(i % 3) * 8}));
	}
	for (uint32_t i = 0; i < 4; i++) {
		ARRAY_PUSH(s->ref_owners, s->nr_ref_owners, s->cap_ref_owners,
			   ((struct ref_owner){.base = i * 0x1000ull,
					       .name = sample_text(s, "owner", i),
					       .before = sample_text(s, "before", i),
					       .behind = i ? sample_text(s, "behind", i) : 0,
					       .kind = (uint8_t)i,
					       .always_offset = i == 2}));
		ARRAY_PUSH(s->ref_roots, s->nr_ref_roots, s->cap_ref_roots,
			   ((struct ref_root){.where = i ? 0x600000000000ull - i * 8 : 0,
					      .block = (uint32_t)(i * 3 % blocks),
					      .into = i == 3 ? REF_FAR : 0,
					      .owner = 3 - i == 3 ? 0 : i,
					      .detail = i ? sample_text(s, "detail", i) : 0}));
	}
	ARRAY_PUSH(s->ref_patterns, s->nr_ref_patterns, s->cap_ref_patterns,
		   ((struct ref_pattern){.label = sample_text(s, "label", 1),
					 .pattern = sample_text(s, "pattern", 1),
					 .state = 1}));
	s->ref_account = (struct ref_account){1, 2, 3, 4, 5, 6, UINT64_MAX, 8, true, true};
	s->has_references = true;
}

/* Release with snapshot_release(). */
static inline void sample_make(struct snapshot *s, size_t frames, size_t stacks, size_t blocks)
{
	uint64_t rnd = 88172645463325252ull;

	snapshot_init(s);
	sample_identity(s);
	sample_code(s, frames < 6 ? 1 : 6, frames, &rnd);
	sample_stacks(s, frames + 3, stacks, &rnd);
	sample_marks(s);
	sample_heaps(s);
	sample_memory(s, blocks, &rnd);
	snapshot_sum(s);
}

#define SAMPLE_SAME(a, b, field)                                                                   \
	do {                                                                                       \
		if ((a)->field != (b)->field)                                                      \
			return #field;                                                             \
	} while (0)

static inline const char *sample_difference_meta(const struct snapshot *a, const struct snapshot *b)
{
	SAMPLE_SAME(a, b, identity.pid);
	SAMPLE_SAME(a, b, identity.start_ticks);
	SAMPLE_SAME(a, b, identity.image);
	SAMPLE_SAME(a, b, identity.name);
	SAMPLE_SAME(a, b, identity.exe);
	SAMPLE_SAME(a, b, identity.command);
	SAMPLE_SAME(a, b, identity.host);
	if (memcmp(a->identity.boot_id, b->identity.boot_id, sizeof(a->identity.boot_id)) != 0)
		return "boot_id";
	SAMPLE_SAME(a, b, taken_realtime_ns);
	SAMPLE_SAME(a, b, taken_monotonic_ns);
	SAMPLE_SAME(a, b, recording_since_ns);
	SAMPLE_SAME(a, b, pause_ns);
	SAMPLE_SAME(a, b, pooled_bytes);
	SAMPLE_SAME(a, b, has_recorder);
	SAMPLE_SAME(a, b, has_blocks);
	SAMPLE_SAME(a, b, at_exit);
	SAMPLE_SAME(a, b, symbols_resolved);
	SAMPLE_SAME(a, b, has_heaps);
	SAMPLE_SAME(a, b, has_region_use);
	SAMPLE_SAME(a, b, allocator);
	SAMPLE_SAME(a, b, method);
	if (memcmp(&a->figures, &b->figures, sizeof(a->figures)) != 0)
		return "figures";
	SAMPLE_SAME(a, b, losses.dropped_blocks);
	SAMPLE_SAME(a, b, losses.dropped_bytes);
	SAMPLE_SAME(a, b, losses.unknown_frees);
	SAMPLE_SAME(a, b, losses.lost_frees);
	SAMPLE_SAME(a, b, losses.cut_stacks);
	SAMPLE_SAME(a, b, losses.stopped_stacks);
	SAMPLE_SAME(a, b, losses.missing_stacks);
	SAMPLE_SAME(a, b, losses.lost_marks);
	SAMPLE_SAME(a, b, losses.lost_tags);
	SAMPLE_SAME(a, b, losses.partial_functions);
	SAMPLE_SAME(a, b, losses.torn);
	if (memcmp(&a->totals, &b->totals, sizeof(a->totals)) != 0)
		return "totals";
	return NULL;
}

static inline const char *sample_difference_code(const struct snapshot *a, const struct snapshot *b)
{
	SAMPLE_SAME(a, b, nr_modules);
	for (size_t i = 0; i < a->nr_modules; i++) {
		SAMPLE_SAME(a, b, modules[i].path);
		SAMPLE_SAME(a, b, modules[i].start);
		SAMPLE_SAME(a, b, modules[i].end);
		SAMPLE_SAME(a, b, modules[i].bias);
		SAMPLE_SAME(a, b, modules[i].build_id_len);
		SAMPLE_SAME(a, b, modules[i].flags);
		if (memcmp(a->modules[i].build_id, b->modules[i].build_id, BUILD_ID_MAX) != 0)
			return "build_id";
	}
	SAMPLE_SAME(a, b, nr_symbols);
	for (size_t i = 0; i < a->nr_symbols; i++) {
		SAMPLE_SAME(a, b, symbols[i].function);
		SAMPLE_SAME(a, b, symbols[i].file);
		SAMPLE_SAME(a, b, symbols[i].line);
		SAMPLE_SAME(a, b, symbols[i].offset);
	}
	SAMPLE_SAME(a, b, nr_frames);
	for (size_t i = 0; i < a->nr_frames; i++) {
		SAMPLE_SAME(a, b, frames[i].pc);
		SAMPLE_SAME(a, b, frames[i].module);
		SAMPLE_SAME(a, b, frames[i].symbols_first);
		SAMPLE_SAME(a, b, frames[i].symbols_nr);
	}
	return NULL;
}

static inline const char *sample_difference_stacks(const struct snapshot *a,
						   const struct snapshot *b)
{
	SAMPLE_SAME(a, b, nr_nodes);
	for (size_t i = 0; i < a->nr_nodes; i++) {
		SAMPLE_SAME(a, b, nodes[i].parent);
		SAMPLE_SAME(a, b, nodes[i].frame);
		SAMPLE_SAME(a, b, nodes[i].special);
		SAMPLE_SAME(a, b, nodes[i].tag);
	}
	SAMPLE_SAME(a, b, nr_stacks);
	for (size_t i = 0; i < a->nr_stacks; i++) {
		SAMPLE_SAME(a, b, stacks[i].node);
		SAMPLE_SAME(a, b, stacks[i].id);
		SAMPLE_SAME(a, b, stacks[i].live_blocks);
		SAMPLE_SAME(a, b, stacks[i].live_bytes);
		SAMPLE_SAME(a, b, stacks[i].total_blocks);
		SAMPLE_SAME(a, b, stacks[i].total_bytes);
		SAMPLE_SAME(a, b, stacks[i].temporary_blocks);
	}
	SAMPLE_SAME(a, b, nr_resources);
	for (size_t i = 0; i < a->nr_resources; i++) {
		SAMPLE_SAME(a, b, resources[i].node);
		SAMPLE_SAME(a, b, resources[i].id);
		SAMPLE_SAME(a, b, resources[i].live_blocks);
		SAMPLE_SAME(a, b, resources[i].total_blocks);
	}
	SAMPLE_SAME(a, b, descriptors.open);
	SAMPLE_SAME(a, b, descriptors.unseen);
	SAMPLE_SAME(a, b, descriptors.gone);
	SAMPLE_SAME(a, b, nr_marks);
	for (size_t i = 0; i < a->nr_marks; i++) {
		SAMPLE_SAME(a, b, marks[i].name);
		SAMPLE_SAME(a, b, marks[i].counted);
		SAMPLE_SAME(a, b, marks[i].monotonic_ns);
		SAMPLE_SAME(a, b, marks[i].total_blocks);
		SAMPLE_SAME(a, b, marks[i].total_bytes);
		SAMPLE_SAME(a, b, marks[i].frees);
	}
	SAMPLE_SAME(a, b, nr_generations);
	for (size_t i = 0; i < a->nr_generations; i++) {
		SAMPLE_SAME(a, b, generations[i].stack);
		SAMPLE_SAME(a, b, generations[i].generation);
		SAMPLE_SAME(a, b, generations[i].live_blocks);
		SAMPLE_SAME(a, b, generations[i].live_bytes);
	}
	return NULL;
}

static inline const char *sample_difference_memory(const struct snapshot *a,
						   const struct snapshot *b)
{
	SAMPLE_SAME(a, b, nr_threads);
	for (size_t i = 0; i < a->nr_threads; i++) {
		SAMPLE_SAME(a, b, threads[i].tid);
		SAMPLE_SAME(a, b, threads[i].name);
		SAMPLE_SAME(a, b, threads[i].heap);
		SAMPLE_SAME(a, b, threads[i].sp);
		SAMPLE_SAME(a, b, threads[i].tp);
	}
	SAMPLE_SAME(a, b, nr_regions);
	for (size_t i = 0; i < a->nr_regions; i++) {
		SAMPLE_SAME(a, b, regions[i].start);
		SAMPLE_SAME(a, b, regions[i].end);
		SAMPLE_SAME(a, b, regions[i].offset);
		SAMPLE_SAME(a, b, regions[i].path);
		SAMPLE_SAME(a, b, regions[i].prot);
		SAMPLE_SAME(a, b, regions[i].kind);
		SAMPLE_SAME(a, b, regions[i].owner);
		SAMPLE_SAME(a, b, regions[i].vm_flags);
		if (memcmp(&a->regions[i].rss, &b->regions[i].rss,
			   sizeof(struct region) - offsetof(struct region, rss)) != 0)
			return "use of a region";
	}
	SAMPLE_SAME(a, b, nr_blocks);
	for (size_t i = 0; i < a->nr_blocks; i++) {
		SAMPLE_SAME(a, b, blocks[i].addr);
		SAMPLE_SAME(a, b, blocks[i].size);
		SAMPLE_SAME(a, b, blocks[i].stack);
		SAMPLE_SAME(a, b, blocks[i].age_ms);
		SAMPLE_SAME(a, b, blocks[i].heap);
		SAMPLE_SAME(a, b, blocks[i].state);
	}
	return NULL;
}

static inline const char *sample_difference_heaps(const struct snapshot *a,
						  const struct snapshot *b)
{
	SAMPLE_SAME(a, b, nr_heaps);
	for (size_t i = 0; i < a->nr_heaps; i++) {
		SAMPLE_SAME(a, b, heaps[i].addr);
		SAMPLE_SAME(a, b, heaps[i].allocator);
		SAMPLE_SAME(a, b, heaps[i].name);
		SAMPLE_SAME(a, b, heaps[i].fault);
		SAMPLE_SAME(a, b, heaps[i].fault_addr);
		SAMPLE_SAME(a, b, heaps[i].parent);
		SAMPLE_SAME(a, b, heaps[i].kind);
		SAMPLE_SAME(a, b, heaps[i].flags);
		if (memcmp(&a->heaps[i].figures, &b->heaps[i].figures,
			   sizeof(struct heap_figures)) != 0)
			return "figures of a heap";
	}
	SAMPLE_SAME(a, b, nr_spans);
	for (size_t i = 0; i < a->nr_spans; i++) {
		SAMPLE_SAME(a, b, spans[i].start);
		SAMPLE_SAME(a, b, spans[i].committed_end);
		SAMPLE_SAME(a, b, spans[i].end);
		SAMPLE_SAME(a, b, spans[i].heap);
	}
	SAMPLE_SAME(a, b, nr_checks);
	for (size_t i = 0; i < a->nr_checks; i++) {
		SAMPLE_SAME(a, b, checks[i].what);
		SAMPLE_SAME(a, b, checks[i].heap);
		SAMPLE_SAME(a, b, checks[i].expected);
		SAMPLE_SAME(a, b, checks[i].found);
	}
	return NULL;
}

static inline const char *sample_difference_references(const struct snapshot *a,
						       const struct snapshot *b)
{
	SAMPLE_SAME(a, b, has_references);
	SAMPLE_SAME(a, b, ref_account.root_bytes);
	SAMPLE_SAME(a, b, ref_account.root_words);
	SAMPLE_SAME(a, b, ref_account.unread_bytes);
	SAMPLE_SAME(a, b, ref_account.unwalked_heaps);
	SAMPLE_SAME(a, b, ref_account.unwalked_bytes);
	SAMPLE_SAME(a, b, ref_account.extra_blocks);
	SAMPLE_SAME(a, b, ref_account.rejected_blocks);
	SAMPLE_SAME(a, b, ref_account.word_bytes);
	SAMPLE_SAME(a, b, ref_account.has_registers);
	SAMPLE_SAME(a, b, ref_account.has_kernel);
	SAMPLE_SAME(a, b, nr_ref_blocks);
	for (size_t i = 0; i < a->nr_ref_blocks; i++) {
		SAMPLE_SAME(a, b, ref_blocks[i].addr);
		SAMPLE_SAME(a, b, ref_blocks[i].size);
		SAMPLE_SAME(a, b, ref_blocks[i].nr_edges);
		SAMPLE_SAME(a, b, ref_blocks[i].class_name);
		SAMPLE_SAME(a, b, ref_blocks[i].flags);
	}
	SAMPLE_SAME(a, b, nr_ref_edges);
	for (size_t i = 0; i < a->nr_ref_edges; i++) {
		SAMPLE_SAME(a, b, ref_edges[i].block);
		SAMPLE_SAME(a, b, ref_edges[i].slot);
		SAMPLE_SAME(a, b, ref_edges[i].into);
	}
	SAMPLE_SAME(a, b, nr_ref_owners);
	for (size_t i = 0; i < a->nr_ref_owners; i++) {
		SAMPLE_SAME(a, b, ref_owners[i].base);
		SAMPLE_SAME(a, b, ref_owners[i].name);
		SAMPLE_SAME(a, b, ref_owners[i].before);
		SAMPLE_SAME(a, b, ref_owners[i].behind);
		SAMPLE_SAME(a, b, ref_owners[i].kind);
		SAMPLE_SAME(a, b, ref_owners[i].always_offset);
	}
	SAMPLE_SAME(a, b, nr_ref_roots);
	for (size_t i = 0; i < a->nr_ref_roots; i++) {
		SAMPLE_SAME(a, b, ref_roots[i].where);
		SAMPLE_SAME(a, b, ref_roots[i].block);
		SAMPLE_SAME(a, b, ref_roots[i].into);
		SAMPLE_SAME(a, b, ref_roots[i].owner);
		SAMPLE_SAME(a, b, ref_roots[i].detail);
	}
	SAMPLE_SAME(a, b, nr_ref_patterns);
	for (size_t i = 0; i < a->nr_ref_patterns; i++) {
		SAMPLE_SAME(a, b, ref_patterns[i].label);
		SAMPLE_SAME(a, b, ref_patterns[i].pattern);
		SAMPLE_SAME(a, b, ref_patterns[i].state);
	}
	return NULL;
}

/* Name of the first field that differs, NULL: none. */
static inline const char *sample_difference(const struct snapshot *a, const struct snapshot *b)
{
	const char *field = sample_difference_meta(a, b);

	SAMPLE_SAME(a, b, strings.nr);
	for (uint32_t i = 0; i < a->strings.nr; i++)
		if (strcmp(strings_get(&a->strings, i), strings_get(&b->strings, i)) != 0)
			return "strings";
	if (!field)
		field = sample_difference_code(a, b);
	if (!field)
		field = sample_difference_stacks(a, b);
	if (!field)
		field = sample_difference_memory(a, b);
	if (!field)
		field = sample_difference_heaps(a, b);
	if (!field)
		field = sample_difference_references(a, b);
	return field;
}

#endif
