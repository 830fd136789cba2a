/*
 * A process with known heaps, twice: main, the arena of a worker that grows, big blocks, and a
 * sub-heap. Figures are chosen so that every sum can be done in one's head; sizes in KiB.
 */
#ifndef HEAP_SNAPSHOTS_H
#define HEAP_SNAPSHOTS_H

#include "make_snapshot.h"
#include "model/regions.h"

#define KIB 1024ull

static inline uint32_t make_heap(struct snapshot *s, const char *allocator, const char *name,
				 enum heap_kind kind, uint64_t addr, struct heap_figures figures)
{
	struct heap_row h = {
		.addr = addr,
		.allocator = make_text(s, allocator),
		.name = make_text(s, name),
		.parent = NO_INDEX,
		.kind = (uint8_t)kind,
		.flags = HEAP_HAS_BLOCKS | HEAP_HAS_RESIDENCY,
		.figures = figures,
	};

	ARRAY_PUSH(s->heaps, s->nr_heaps, s->cap_heaps, h);
	s->has_heaps = true;
	return (uint32_t)s->nr_heaps - 1;
}

static inline void make_thread(struct snapshot *s, int32_t tid, const char *name, uint32_t heap)
{
	ARRAY_PUSH(s->threads, s->nr_threads, s->cap_threads,
		   ((struct thread_info){.tid = tid, .name = make_text(s, name), .heap = heap}));
}

static inline struct region *make_region(struct snapshot *s, enum region_kind kind, uint64_t start,
					 uint64_t bytes, uint64_t rss)
{
	struct region r = {.start = start,
			   .end = start + bytes,
			   .prot = 3,
			   .kind = (uint8_t)kind,
			   .owner = NO_INDEX,
			   .rss = rss,
			   .anonymous = kind == REGION_IMAGE ? 0 : rss};

	ARRAY_PUSH(s->regions, s->nr_regions, s->cap_regions, r);
	return &s->regions[s->nr_regions - 1];
}

static inline void make_span(struct snapshot *s, uint32_t heap, uint64_t start, uint64_t committed,
			     uint64_t reserved)
{
	ARRAY_PUSH(s->spans, s->nr_spans, s->cap_spans,
		   ((struct heap_span){start, start + committed, start + reserved, heap}));
}

static inline void make_check(struct snapshot *s, const char *what, uint32_t heap,
			      uint64_t expected, uint64_t found)
{
	ARRAY_PUSH(s->checks, s->nr_checks, s->cap_checks,
		   ((struct heap_check){make_text(s, what), heap, expected, found}));
}

static inline void make_busy(struct snapshot *s, uint32_t heap, uint64_t addr, uint64_t size,
			     size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		make_block(s, NO_INDEX, addr + i * (size + 16), size);
		s->blocks[s->nr_blocks - 1].heap = heap;
	}
}

/* The worker's arena holds `kib` more KiB than at first, in blocks of 3072 and 1024 bytes. */
static inline void heaps_scene(struct snapshot *s, unsigned int seconds, uint64_t kib)
{
	uint32_t main_heap, arena, direct, python;

	make_begin(s, seconds);
	s->has_recorder = false;
	s->recording_since_ns = 0;
	s->allocator = make_text(s, "glibc");
	s->method = make_text(s, "frozen clone");
	s->pause_ns = 1300000;
	main_heap = make_heap(s, "glibc", "main", HEAP_MAIN, 0x7f0000000100,
			      (struct heap_figures){
				      .reserved_bytes = 132 * KIB,
				      .committed_bytes = 132 * KIB,
				      .resident_bytes = 100 * KIB,
				      .busy_blocks = 50,
				      .busy_bytes = 64 * KIB,
				      .internal_blocks = 2,
				      .internal_bytes = 4 * KIB,
				      .cached_blocks = 5,
				      .cached_bytes = 2 * KIB,
				      .free_blocks = 3,
				      .free_bytes = 60 * KIB,
				      .free_page_bytes = 48 * KIB,
				      .free_resident_bytes = 20 * KIB,
				      .largest_free_bytes = 40 * KIB,
				      .top_bytes = 40 * KIB,
				      .overhead_bytes = 6 * KIB,
				      .busy_absent_bytes = 4 * KIB,
			      });
	arena = make_heap(s, "glibc", "arena 1", HEAP_ARENA, 0x7f1000000030,
			  (struct heap_figures){
				  .reserved_bytes = 65536 * KIB,
				  .committed_bytes = 1200 * KIB + kib * KIB,
				  .resident_bytes = 1100 * KIB + kib * KIB,
				  .busy_blocks = 1000 + kib / 2,
				  .busy_bytes = 1000 * KIB + kib * KIB,
				  .free_blocks = 2,
				  .free_bytes = 180 * KIB,
				  .free_page_bytes = 180 * KIB,
				  .free_resident_bytes = 80 * KIB,
				  .largest_free_bytes = 150 * KIB,
				  .overhead_bytes = 20 * KIB,
			  });
	direct = make_heap(s, "glibc", "direct", HEAP_DIRECT, 0,
			   (struct heap_figures){
				   .reserved_bytes = 2048 * KIB,
				   .committed_bytes = 2048 * KIB,
				   .resident_bytes = 512 * KIB,
				   .busy_blocks = 2,
				   .busy_bytes = 2040 * KIB,
				   .overhead_bytes = 8 * KIB,
				   .busy_absent_bytes = 1536 * KIB,
			   });
	python = make_heap(s, "python", "arenas", HEAP_SUB, 0,
			   (struct heap_figures){
				   .reserved_bytes = 256 * KIB,
				   .committed_bytes = 256 * KIB,
				   .resident_bytes = 256 * KIB,
				   .busy_blocks = 800,
				   .busy_bytes = 200 * KIB,
				   .free_bytes = 40 * KIB,
				   .overhead_bytes = 16 * KIB,
			   });
	s->heaps[python].parent = direct;
	s->heaps[python].flags |= HEAP_NESTED;
	make_span(s, main_heap, 0x555000000000, 132 * KIB, 132 * KIB);
	make_span(s, direct, 0x7e0000000000, 2048 * KIB, 2048 * KIB);
	make_span(s, python, 0x7e0000001000, 256 * KIB, 256 * KIB);
	make_span(s, arena, 0x7f1000000000, s->heaps[arena].figures.committed_bytes, 65536 * KIB);
	make_thread(s, 4242, "meter", main_heap);
	make_thread(s, 4243, "worker", arena);
	make_thread(s, 4244, "idle", NO_INDEX);
	make_region(s, REGION_IMAGE, 0x400000, 64 * KIB, 40 * KIB);
	make_region(s, REGION_HEAP, 0x555000000000, 132 * KIB, 100 * KIB);
	make_region(s, REGION_BLOCK, 0x7e0000000000, 2048 * KIB, 512 * KIB);
	make_region(s, REGION_HEAP, 0x7f1000000000, s->heaps[arena].figures.committed_bytes,
		    s->heaps[arena].figures.resident_bytes);
	make_region(s, REGION_UNKNOWN, 0x7f2000000000, 64 * KIB, 8 * KIB);
	make_region(s, REGION_STACK, 0x7ff000000000, 132 * KIB, 16 * KIB)->owner = 0;
	s->has_region_use = true;
	s->figures = (struct process_figures){
		.rss = 1776 * KIB + kib * KIB,
		.anonymous = 1736 * KIB + kib * KIB,
		.file = 40 * KIB,
		.page_tables = 64 * KIB,
	};
	make_check(s, "bytes in blocks = bytes committed", main_heap, 132 * KIB, 132 * KIB);
	make_check(s, "mapped blocks = mp_.n_mmaps", NO_INDEX, 2, 2);
	make_busy(s, main_heap, 0x555000000010, 1000, 48);
	make_busy(s, arena, 0x7f1000001010, 3072, 100 + kib / 4);
	make_busy(s, arena, 0x7f1000800010, 1024, 100 + kib / 4);
	make_busy(s, direct, 0x7e0000000010, 1020 * KIB, 2);
}

static inline void heaps_before(struct snapshot *s)
{
	heaps_scene(s, 10, 0);
}

/* Twelve seconds later: 1200 KiB more, 100 a second. */
static inline void heaps_after(struct snapshot *s)
{
	heaps_scene(s, 22, 1200);
}

/* As before, but the worker's arena is broken and says where. */
static inline void heaps_damaged(struct snapshot *s)
{
	heaps_scene(s, 10, 0);
	s->heaps[1].flags |= HEAP_SUSPECT;
	s->heaps[1].fault = make_text(s, "size 0x4141414141414140 of a block reaches outside");
	s->heaps[1].fault_addr = 0x7f1000000b10;
	make_check(s, "bytes in blocks = bytes committed", 1, 1200 * KIB, 400 * KIB);
}

#endif
