/*
 * Snapshots made by hand, piece by piece, for tests of diff, report and the formats: the figures of
 * each test stand in the test itself.
 */
#ifndef MAKE_SNAPSHOT_H
#define MAKE_SNAPSHOT_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/snapshot.h"

#define MAKE_SECOND 1000000000ull

static inline uint32_t make_text(struct snapshot *s, const char *text)
{
	return strings_add(&s->strings, text);
}

/* Process 4242 "meter" at `seconds` after boot, recorded since second 1. */
static inline void make_begin(struct snapshot *s, unsigned int seconds)
{
	snapshot_init(s);
	s->identity.pid = 4242;
	s->identity.start_ticks = 100;
	s->identity.image = 1;
	snprintf(s->identity.boot_id, sizeof(s->identity.boot_id), "boot-one");
	s->identity.name = make_text(s, "meter");
	s->identity.exe = make_text(s, "/opt/meter/bin/meter");
	s->identity.host = make_text(s, "lab");
	s->taken_monotonic_ns = seconds * MAKE_SECOND;
	s->taken_realtime_ns = (1600000000ull + seconds) * MAKE_SECOND;
	s->recording_since_ns = MAKE_SECOND;
	s->has_recorder = true;
	s->symbols_resolved = true;
}

/* id 0: no build-id; else twenty times that byte. */
static inline uint32_t make_module(struct snapshot *s, const char *path, uint64_t start,
				   uint32_t flags, uint8_t id)
{
	struct module m = {
		.path = make_text(s, path),
		.start = start,
		.end = start + 0x100000,
		.bias = start,
		.build_id_len = id ? BUILD_ID_MAX : 0,
		.flags = flags,
	};

	memset(m.build_id, id, sizeof(m.build_id));
	ARRAY_PUSH(s->modules, s->nr_modules, s->cap_modules, m);
	return (uint32_t)s->nr_modules - 1;
}

/* A frame without names at `offset` of the module (NO_INDEX: at that address). */
static inline uint32_t make_frame(struct snapshot *s, uint32_t module, uint64_t offset)
{
	struct frame f = {
		.pc = module == NO_INDEX ? offset : s->modules[module].bias + offset,
		.module = module,
		.symbols_first = (uint32_t)s->nr_symbols,
	};

	ARRAY_PUSH(s->frames, s->nr_frames, s->cap_frames, f);
	return (uint32_t)s->nr_frames - 1;
}

/* One more name for the frame made last; call it for the innermost inlined function first. */
static inline void make_name(struct snapshot *s, const char *function, const char *file,
			     uint32_t line, uint32_t offset)
{
	struct symbol symbol = {
		.function = make_text(s, function),
		.file = make_text(s, file),
		.line = line,
		.offset = offset,
	};

	ARRAY_PUSH(s->symbols, s->nr_symbols, s->cap_symbols, symbol);
	s->frames[s->nr_frames - 1].symbols_nr++;
}

static inline uint32_t make_node(struct snapshot *s, uint32_t parent, uint32_t frame,
				 uint8_t special)
{
	struct stack_node node = {.parent = parent, .frame = frame, .special = special};

	ARRAY_PUSH(s->nodes, s->nr_nodes, s->cap_nodes, node);
	return (uint32_t)s->nr_nodes - 1;
}

/* The node of a chain of frames, innermost first, as one reads a stack. */
static inline uint32_t make_chain(struct snapshot *s, const uint32_t *frames, size_t nr)
{
	uint32_t node = 0;

	while (nr--)
		node = make_node(s, node, frames[nr], FRAME_NONE);
	return node;
}

static inline uint32_t make_stack(struct snapshot *s, uint32_t id, uint32_t node, uint64_t blocks,
				  uint64_t bytes)
{
	struct stack k = {
		.node = node,
		.id = id,
		.live_blocks = blocks,
		.live_bytes = bytes,
		.total_blocks = blocks,
		.total_bytes = bytes,
	};

	ARRAY_PUSH(s->stacks, s->nr_stacks, s->cap_stacks, k);
	return (uint32_t)s->nr_stacks - 1;
}

static inline void make_block(struct snapshot *s, uint32_t stack, uint64_t addr, uint64_t size)
{
	struct block b = {
		.addr = addr, .size = size, .stack = stack, .age_ms = UINT32_MAX, .heap = NO_INDEX};

	ARRAY_PUSH(s->blocks, s->nr_blocks, s->cap_blocks, b);
	s->has_blocks = true;
}

#endif
