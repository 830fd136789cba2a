/*
 * A process with one region of every kind, made by hand: addresses are chosen so that a reader can
 * do the sums in the head. Regions are not classified yet.
 */
#ifndef MAP_SNAPSHOT_H
#define MAP_SNAPSHOT_H

#include <string.h>

#include "base/mem.h"
#include "model/regions.h"
#include "model/snapshot.h"

#define PAGE 4096ull
#define MAP_PID 100

enum { PR = 1, PW = 2, PX = 4, PS = 8 };

/* All of rss private and dirty, and anonymous where there is no file. */
static inline struct region *map_region(struct snapshot *s, uint64_t start, uint64_t end, int prot,
					const char *path, uint64_t rss)
{
	struct region r = {
		.start = start,
		.end = end,
		.prot = (uint8_t)prot,
		.path = strings_add(&s->strings, path),
		.owner = NO_INDEX,
		.rss = rss,
		.pss = rss,
	};

	if (*path == '/')
		r.private_clean = rss;
	else
		r.private_dirty = r.anonymous = rss;
	ARRAY_PUSH(s->regions, s->nr_regions, s->cap_regions, r);
	return &s->regions[s->nr_regions - 1];
}

static inline void map_module(struct snapshot *s, const char *path, uint64_t start, uint64_t end)
{
	ARRAY_PUSH(s->modules, s->nr_modules, s->cap_modules,
		   ((struct module){.path = strings_add(&s->strings, path),
				    .start = start,
				    .end = end,
				    .bias = start}));
}

static inline uint32_t map_heap(struct snapshot *s, const char *name, enum heap_kind kind)
{
	ARRAY_PUSH(s->heaps, s->nr_heaps, s->cap_heaps,
		   ((struct heap_row){.allocator = strings_add(&s->strings, "glibc"),
				      .name = strings_add(&s->strings, name),
				      .parent = NO_INDEX,
				      .kind = (uint8_t)kind}));
	return (uint32_t)s->nr_heaps - 1;
}

static inline void map_span(struct snapshot *s, uint32_t heap, uint64_t start, uint64_t end)
{
	ARRAY_PUSH(s->spans, s->nr_spans, s->cap_spans,
		   ((struct heap_span){start, end, end, heap}));
}

static inline void map_thread(struct snapshot *s, int32_t tid, const char *name, uint64_t sp,
			      uint64_t tp)
{
	ARRAY_PUSH(s->threads, s->nr_threads, s->cap_threads,
		   ((struct thread_info){.tid = tid,
					 .name = strings_add(&s->strings, name),
					 .heap = NO_INDEX,
					 .sp = sp,
					 .tp = tp}));
}

static inline void map_snapshot(struct snapshot *s)
{
	static const char prog[] = "/opt/prog", lib[] = "/lib/libx.so";
	uint32_t main_heap, arena, direct;

	snapshot_init(s);
	s->identity.pid = MAP_PID;
	s->identity.start_ticks = 5;
	s->identity.name = strings_add(&s->strings, "prog");
	s->has_region_use = true;
	s->has_heaps = true;
	s->figures.page_tables = 8 * PAGE;
	s->figures.peak_rss = 1000 * PAGE;
	map_module(s, prog, 0x400000, 0x406000);
	map_module(s, lib, 0x7f0000100000, 0x7f0000105000);
	main_heap = map_heap(s, "main", HEAP_MAIN);
	arena = map_heap(s, "arena 1", HEAP_ARENA);
	direct = map_heap(s, "direct", HEAP_DIRECT);

	map_region(s, 0x400000, 0x401000, PR, prog, PAGE);
	map_region(s, 0x401000, 0x402000, PR | PX, prog, PAGE);
	map_region(s, 0x402000, 0x403000, PR, prog, PAGE);
	map_region(s, 0x403000, 0x404000, PR, prog, PAGE); /* relro, by its place */
	map_region(s, 0x404000, 0x405000, PR | PW, prog, PAGE);
	map_region(s, 0x405000, 0x406000, PR | PW, "", PAGE); /* .bss */
	map_region(s, 0x500000, 0x521000, PR | PW, "[heap]", 10 * PAGE);
	map_span(s, main_heap, 0x500000, 0x521000);
	/* An arena: used below, reserved above. */
	map_region(s, 0x7f0000000000, 0x7f0000021000, PR | PW, "", 3 * PAGE);
	map_region(s, 0x7f0000021000, 0x7f0000100000, 0, "", 0);
	map_span(s, arena, 0x7f0000000000, 0x7f0000100000);
	map_region(s, 0x7f0000100000, 0x7f0000103000, PR | PX, lib, 2 * PAGE);
	map_region(s, 0x7f0000103000, 0x7f0000104000, 0, lib, 0); /* gap */
	map_region(s, 0x7f0000104000, 0x7f0000105000, PR | PW, lib, PAGE);
	map_region(s, 0x7f0000200000, 0x7f0000300000, PR | PW, "", 20 * PAGE);
	map_span(s, direct, 0x7f0000200000, 0x7f0000280000);
	map_span(s, direct, 0x7f0000280000, 0x7f0000300000);
	/* Stacks of a living and an ended thread, each above its guard. */
	map_region(s, 0x7f0000400000, 0x7f0000401000, 0, "", 0);
	map_region(s, 0x7f0000401000, 0x7f0000411000, PR | PW, "", 2 * PAGE);
	map_region(s, 0x7f0000411000, 0x7f0000412000, 0, "", 0);
	map_region(s, 0x7f0000412000, 0x7f0000422000, PR | PW, "", PAGE);
	map_region(s, 0x7f0000500000, 0x7f0000502000, PR | PW, "", 2 * PAGE); /* main's TLS */
	map_region(s, 0x7f0000600000, 0x7f0000700000, PR | PW, "[anon:pool]", 4 * PAGE);
	map_region(s, 0x7f0000700000, 0x7f0000701000, PR | PW | PX, "", PAGE);
	map_region(s, 0x7f0000800000, 0x7f0000900000, 0, "", 0);
	map_region(s, 0x7f0000a00000, 0x7f0000a10000, PR | PS, "/data/table", 3 * PAGE);
	map_region(s, 0x7f0000b00000, 0x7f0000b10000, PR | PW | PS, "/dev/zero", 6 * PAGE);
	map_region(s, 0x7f0000c00000, 0x7f0000c01000, PR | PW | PS, "/dev/dri/card0", 0);
	map_region(s, 0x7f0000d00000, 0x7f0000d01000, PR | PW | PS, "/memfd:seep-rec.1.2", PAGE);
	map_region(s, 0x7ffd00000000, 0x7ffd00021000, PR | PW, "[stack]", 5 * PAGE);
	map_region(s, 0x7ffd00100000, 0x7ffd00102000, PR | PX, "[vdso]", PAGE);
	map_thread(s, MAP_PID, "prog", 0x7ffd00020000, 0x7f0000500740);
	map_thread(s, 101, "worker", 0x7f0000410000, 0x7f0000410f00);
}

/* The region that begins there. */
static inline size_t map_find(const struct snapshot *s, uint64_t start)
{
	size_t i = 0;

	while (i < s->nr_regions && s->regions[i].start != start)
		i++;
	return i;
}

#endif
