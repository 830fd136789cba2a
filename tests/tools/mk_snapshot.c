/*
 * Writes a hand-made snapshot as a .seep file, for tests of the command line:
 *
 *   mk_snapshot SCENE FILE
 */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "file/seepfile.h"
#include "heap_snapshots.h"
#include "meter_snapshots.h"

static void restarted(struct snapshot *s)
{
	meter_after(s);
	s->identity.start_ticks = 7777;
}

static void nothing(struct snapshot *s)
{
	make_begin(s, 10);
}

/* Everything that can keep a snapshot from being the whole truth. */
static void incomplete(struct snapshot *s)
{
	uint32_t lib;

	meter_after(s);
	lib = make_module(s, "/opt/meter/lib/libpool.so", 0x600000, 0, 0xee);
	make_stack(s, 0x30, make_node(s, 0, make_frame(s, lib, 0x1234), FRAME_NONE), 7, 70000);
	make_stack(s, 0, make_node(s, 0, NO_INDEX, FRAME_UNKNOWN_STACK), 2, 64);
	s->losses = (struct losses){
		.dropped_blocks = 12,
		.dropped_bytes = 4096,
		.unknown_frees = 3,
		.lost_frees = 1,
		.cut_stacks = 5,
		.stopped_stacks = 6,
		.missing_stacks = 2,
		.torn = true,
	};
	snapshot_sum(s);
}

/* Names that would steer a terminal, break JSON or split a line. */
static void hostile(struct snapshot *s)
{
	uint32_t prog, frame;

	make_begin(s, 22);
	s->identity.name = make_text(s, "me\033[31mter");
	prog = make_module(s, "/opt/a,\"b\"\n/meter", 0x400000, MODULE_MAIN, 1);
	frame = make_frame(s, prog, 0x10);
	make_name(s, "f\033]0;x\007(\"a\", \\\xff)", "/src/a\tb.c", 3, 1);
	make_stack(s, 1, make_node(s, 0, frame, FRAME_NONE), 1, 100);
	snapshot_sum(s);
}

/* Few blocks, at known addresses, for logs that list every one. */
static void blocks(struct snapshot *s)
{
	struct meter m = {.s = s};
	uint32_t first, second, none;

	make_begin(s, 22);
	s->allocator = make_text(s, "glibc");
	m.prog = make_module(s, "/opt/meter/bin/meter", 0x400000, MODULE_MAIN, 0xaa);
	m.libc = make_module(s, "/usr/lib/libc.so.6", 0x7f0000000000,
			     MODULE_SYSTEM | MODULE_ALLOCATOR, 0xbb);
	m.rec = make_module(s, "/usr/lib/seep/libseep-rec.so", 0x7f2000000000, MODULE_RECORDER, 0);
	meter_code(&m);
	first = make_stack(s, 0xc0ffee, meter_chain(&m, NO_INDEX, m.battery, true), 2, 6144);
	second = make_stack(s, 0x22, meter_chain(&m, NO_INDEX, m.cpu, true), 1, 4560);
	none = make_stack(s, 0, make_node(s, 0, NO_INDEX, FRAME_UNKNOWN_STACK), 1, 16);
	make_block(s, first, 0x5000c20, 3072);
	make_block(s, none, 0x5000010, 16);
	make_block(s, second, 0x5002000, 4560);
	make_block(s, first, 0x5000020, 3072);
	ARRAY_PUSH(s->regions, s->nr_regions, s->cap_regions,
		   ((struct region){.start = 0x5000000,
				    .end = 0x5021000,
				    .path = make_text(s, "[heap]"),
				    .prot = 3,
				    .owner = NO_INDEX}));
	snapshot_sum(s);
}

/* A mark, three blocks, and two handles of which an earlier version did not say when. */
static void earlier(struct snapshot *s)
{
	uint32_t prog, node, tag;

	make_begin(s, 22);
	ARRAY_PUSH(s->marks, s->nr_marks, s->cap_marks,
		   ((struct mark){.name = make_text(s, "one"), .monotonic_ns = 5 * MAKE_SECOND}));
	prog = make_module(s, "/opt/meter/bin/meter", 0x400000, MODULE_MAIN, 1);
	node = make_node(s, 0, make_frame(s, prog, 0x10), FRAME_NONE);
	make_stack(s, 1, node, 3, 300);
	ARRAY_PUSH(s->generations, s->nr_generations, s->cap_generations,
		   ((struct generation_row){.generation = 1, .live_blocks = 3, .live_bytes = 300}));
	tag = make_node(s, node, NO_INDEX, FRAME_TAG);
	s->nodes[tag].tag = make_text(s, "[thing_get]");
	ARRAY_PUSH(s->resources, s->nr_resources, s->cap_resources,
		   ((struct stack){.node = tag, .id = 2, .live_blocks = 2, .total_blocks = 5}));
	snapshot_sum(s);
}

static const struct {
	const char *name;
	void (*make)(struct snapshot *s);
} scenes[] = {
	{"meter-before", meter_before},
	{"meter-after", meter_after},
	{"restarted", restarted},
	{"nothing", nothing},
	{"incomplete", incomplete},
	{"hostile", hostile},
	{"blocks", blocks},
	{"earlier", earlier},
	{"heaps-before", heaps_before},
	{"heaps-after", heaps_after},
	{"heaps-damaged", heaps_damaged},
};

int main(int argc, char **argv)
{
	struct snapshot s;
	struct error e = {0};
	int rc;

	for (size_t i = 0; argc == 3 && i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		if (strcmp(scenes[i].name, argv[1]) != 0)
			continue;
		scenes[i].make(&s);
		rc = seepfile_write(&s, argv[2], &e);
		snapshot_release(&s);
		if (rc < 0)
			fprintf(stderr, "mk_snapshot: %s\n", e.message);
		return rc < 0;
	}
	fprintf(stderr, "usage: mk_snapshot SCENE FILE\n");
	return 2;
}
