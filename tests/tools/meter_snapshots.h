/*
 * Two snapshots of a leaking meter, 12 s apart, with every figure known:
 *
 *   site                                   before             after       change
 *   battery_info_new (in worker_turn)  1,000 x 3,072     2,000 x 3,072   +1,000  +3,072,000
 *   cpu_info_new (in worker_turn)      1,000 x 4,560     2,000 x 4,560   +1,000  +4,560,000
 *     the same site, from main                     0         3 x 4,560       +3     +13,680
 *   cache_put                             10 x 4,000         4 x 4,000       -6     -24,000
 *   strdup from config_set                  5, 100 B          5, 100 B        0           0
 *   warm_up                                  1 x 500                 -       -1        -500
 *                                    2,016 7,672,600  4,012 15,293,780   +1,996  +7,621,180
 *
 * The two list modules in different orders, and the C library lies elsewhere in the second one, so
 * nothing matches by index or address.
 */
#ifndef METER_SNAPSHOTS_H
#define METER_SNAPSHOTS_H

#include "make_snapshot.h"

struct meter {
	struct snapshot *s;
	uint32_t prog, libc, rec;
	uint32_t hook, malloc_, strdup_, start_thread, main_, start_main;
	uint32_t battery, cpu, cache, config, warm_up, worker;
};

static inline uint32_t meter_frame(struct meter *m, uint32_t module, uint64_t offset,
				   const char *function, const char *file, uint32_t line,
				   uint32_t function_offset)
{
	uint32_t frame = make_frame(m->s, module, offset);

	make_name(m->s, function, file, line, function_offset);
	return frame;
}

/* A call of `function` that was inlined into worker_turn. */
static inline uint32_t meter_inlined(struct meter *m, uint64_t offset, const char *function,
				     const char *file, uint32_t line, uint32_t host_line)
{
	uint32_t frame = make_frame(m->s, m->prog, offset);

	make_name(m->s, function, file, line, 0);
	make_name(m->s, "worker_turn", "/src/meter/batterymeter.c", host_line, (uint32_t)offset);
	return frame;
}

static inline void meter_code(struct meter *m)
{
	m->hook = meter_frame(m, m->rec, 0x10, "seep_hook_malloc", "", 0, 0x10);
	m->malloc_ = meter_frame(m, m->libc, 0x100, "malloc", "", 0, 0x1c);
	m->strdup_ = meter_frame(m, m->libc, 0x120, "strdup", "", 0, 0x1a);
	m->start_thread = meter_frame(m, m->libc, 0x200, "start_thread", "", 0, 0x304);
	m->start_main = meter_frame(m, m->libc, 0x300, "__libc_start_main", "", 0, 0x89);
	m->main_ = meter_frame(m, m->prog, 0x2000, "main", "/src/meter/batterymeter.c", 210, 0x5e);
	m->worker =
		meter_frame(m, m->prog, 0x1800, "worker", "/src/meter/batterymeter.c", 170, 0x22);
	m->battery =
		meter_inlined(m, 0x1010, "battery_info_new", "/src/meter/battery_info.c", 24, 149);
	m->cpu = meter_inlined(m, 0x1040, "cpu_info_new", "/src/meter/cpu_info.c", 31, 150);
	m->cache = meter_frame(m, m->prog, 0x3000, "cache_put", "/src/meter/cache.c", 10, 0x40);
	m->config = meter_frame(m, m->prog, 0x4000, "config_set", "/src/meter/config.c", 77, 0x30);
	m->warm_up = meter_frame(m, m->prog, 0x5000, "warm_up", "/src/meter/main.c", 5, 0x12);
}

/* head < frame < caller < its start */
static inline uint32_t meter_chain(struct meter *m, uint32_t head, uint32_t frame, bool in_worker)
{
	const uint32_t frames[] = {
		m->hook,
		m->malloc_,
		head,
		frame,
		in_worker ? m->worker : m->main_,
		in_worker ? m->start_thread : m->start_main,
	};
	const uint32_t without_head[] = {frames[0], frames[1], frames[3], frames[4], frames[5]};

	return head == NO_INDEX ? make_chain(m->s, without_head, 5) : make_chain(m->s, frames, 6);
}

static inline void meter_before(struct snapshot *s)
{
	struct meter m = {.s = s};

	make_begin(s, 10);
	s->allocator = make_text(s, "glibc");
	m.prog = make_module(s, "/opt/meter/bin/meter", 0x400000, MODULE_MAIN, 0xaa);
	m.libc = make_module(s, "/usr/lib/libc.so.6", 0x7f0000000000,
			     MODULE_SYSTEM | MODULE_ALLOCATOR, 0xbb);
	m.rec = make_module(s, "/usr/lib/seep/libseep-rec.so", 0x7f2000000000, MODULE_RECORDER, 0);
	meter_code(&m);
	make_stack(s, 0x21, meter_chain(&m, NO_INDEX, m.battery, true), 1000, 3072000);
	make_stack(s, 0x22, meter_chain(&m, NO_INDEX, m.cpu, true), 1000, 4560000);
	make_stack(s, 0x23, meter_chain(&m, NO_INDEX, m.cache, false), 10, 40000);
	s->stacks[2].total_blocks = 20;
	s->stacks[2].total_bytes = 80000;
	s->stacks[2].temporary_blocks = 3;
	make_stack(s, 0x24, meter_chain(&m, m.strdup_, m.config, false), 5, 100);
	make_stack(s, 0x25, meter_chain(&m, NO_INDEX, m.warm_up, false), 1, 500);
	snapshot_sum(s);
}

static inline void meter_after(struct snapshot *s)
{
	struct meter m = {.s = s};

	make_begin(s, 22);
	s->allocator = make_text(s, "glibc");
	m.rec = make_module(s, "/usr/lib/seep/libseep-rec.so", 0x7f2000000000, MODULE_RECORDER, 0);
	m.libc = make_module(s, "/usr/lib/libc.so.6", 0x7f8800000000,
			     MODULE_SYSTEM | MODULE_ALLOCATOR, 0xbb);
	m.prog = make_module(s, "/opt/meter/bin/meter", 0x400000, MODULE_MAIN, 0xaa);
	meter_code(&m);
	make_stack(s, 0x24, meter_chain(&m, m.strdup_, m.config, false), 5, 100);
	make_stack(s, 0x23, meter_chain(&m, NO_INDEX, m.cache, false), 4, 16000);
	s->stacks[1].total_blocks = 100;
	s->stacks[1].total_bytes = 400000;
	s->stacks[1].temporary_blocks = 40;
	make_stack(s, 0x22, meter_chain(&m, NO_INDEX, m.cpu, true), 2000, 9120000);
	make_stack(s, 0x21, meter_chain(&m, NO_INDEX, m.battery, true), 2000, 6144000);
	make_stack(s, 0x26, meter_chain(&m, NO_INDEX, m.cpu, false), 3, 13680);
	snapshot_sum(s);
}

#endif
