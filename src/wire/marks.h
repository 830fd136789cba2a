/*
 * The clock of the tables, and making marks: for whoever does (the recorder, and seep mark from
 * outside). Time codes only go up, and a mark moves them up by one, so that a block's code tells on
 * which side of every mark it was born, exactly, at no cost to the call that allocates it.
 *
 *   time_bits   encoded time + marks so far, << WIRE_SLOT_TIME_SHIFT
 *               changed by compare-and-swap only, and never to less
 */
#ifndef SEEP_WIRE_MARKS_H
#define SEEP_WIRE_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

static inline uint32_t wire_marks_nr(const struct wire_header *h)
{
	uint32_t nr = __atomic_load_n(&h->marks_nr, __ATOMIC_ACQUIRE);

	return nr < WIRE_MARKS_CAP ? nr : WIRE_MARKS_CAP;
}

/*
 * ms: since the recording began. A mark that is made at the same time may not be added yet: then
 * the clock is a step behind until the next call.
 */
static inline void wire_clock_set(struct wire_header *h, uint64_t ms)
{
	uint64_t code = wire_time_encode(ms) + (uint64_t)wire_marks_nr(h);
	uint64_t bits = code << WIRE_SLOT_TIME_SHIFT;
	uint64_t seen = __atomic_load_n(&h->time_bits, __ATOMIC_RELAXED);

	while (seen < bits && !__atomic_compare_exchange_n(&h->time_bits, &seen, bits, true,
							   __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* The time of CLOCK_MONOTONIC that the table's clock shows. */
static inline uint64_t wire_clock_ns(const struct wire_header *h)
{
	uint64_t bits = __atomic_load_n(&h->time_bits, __ATOMIC_RELAXED);
	uint32_t code = (uint32_t)(bits >> WIRE_SLOT_TIME_SHIFT), marks = wire_marks_nr(h);

	code = code > marks ? code - marks : 0;
	return h->began_monotonic_ns + wire_time_decode_ms(code) * 1000000;
}

/* The step up of a mark, of which there are at most WIRE_MARKS_CAP. Returns the code of what is
 * younger. */
static inline uint32_t wire_clock_mark(struct wire_header *h)
{
	uint64_t bits =
		__atomic_add_fetch(&h->time_bits, 1ull << WIRE_SLOT_TIME_SHIFT, __ATOMIC_SEQ_CST);

	return (uint32_t)(bits >> WIRE_SLOT_TIME_SHIFT);
}

/* What was allocated and freed so far; of memory alone. */
struct wire_sums {
	uint64_t blocks, bytes, frees;
};

/* Where to add it up, in the summing process's mapping, and how much of it there is at most. */
struct wire_summing {
	const struct wire_header *header;
	const struct wire_count *counts;
	const void *threads;
	uint64_t thread_stride;
	uint32_t counts_cap, threads_cap;
};

static inline const struct wire_thread *wire_summed_thread(const struct wire_summing *s, uint32_t i)
{
	return (const struct wire_thread *)((const char *)s->threads + i * s->thread_stride);
}

/* Sum over all threads: differs while counts are on their way from a record to a node. */
static inline uint32_t wire_flushes(const struct wire_summing *s, uint32_t threads, bool ended)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < threads; i++) {
		const struct wire_thread *w = wire_summed_thread(s, i);

		sum += __atomic_load_n(ended ? &w->flushes_ended : &w->flushes_begun,
				       __ATOMIC_ACQUIRE);
	}
	return sum;
}

static inline struct wire_handles wire_handles_now(const struct wire_kind *k)
{
	return (struct wire_handles){
		.acquired = __atomic_load_n(&k->ever.acquired, __ATOMIC_ACQUIRE),
		.released = __atomic_load_n(&k->ever.released, __ATOMIC_ACQUIRE),
	};
}

/* Of all kinds: they are counted like blocks, and are none. */
static inline struct wire_handles wire_all_handles(const struct wire_header *h)
{
	struct wire_handles all = {0};

	for (uint32_t i = 0; i < h->kinds_nr && i < WIRE_KINDS_MAX; i++) {
		struct wire_handles ever = wire_handles_now(&h->kinds[i]);

		all.acquired += ever.acquired;
		all.released += ever.released;
	}
	return all;
}

static inline void wire_sum_once(const struct wire_summing *s, uint32_t threads,
				 struct wire_sums *ret)
{
	uint32_t counts = __atomic_load_n(&s->header->counts_nr, __ATOMIC_ACQUIRE);
	struct wire_sums sums = {.blocks = s->header->extra_blocks,
				 .bytes = s->header->extra_bytes};

	for (uint32_t i = 0; i < counts && i < s->counts_cap; i++) {
		sums.blocks += __atomic_load_n(&s->counts[i].blocks, __ATOMIC_RELAXED);
		sums.bytes += __atomic_load_n(&s->counts[i].bytes, __ATOMIC_RELAXED);
	}
	for (uint32_t i = 0; i < threads; i++) {
		const struct wire_thread *w = wire_summed_thread(s, i);
		uint32_t nr = __atomic_load_n(&w->records_nr, __ATOMIC_ACQUIRE);

		sums.frees += __atomic_load_n(&w->frees, __ATOMIC_RELAXED) + w->late_frees;
		for (uint32_t k = 0; k < nr && k < WIRE_RECORDS_NR; k++) {
			sums.blocks += __atomic_load_n(&w->records[k].blocks, __ATOMIC_RELAXED);
			sums.bytes += __atomic_load_n(&w->records[k].bytes, __ATOMIC_RELAXED);
		}
	}
	*ret = sums;
}

/* A snapshot under way keeps counts back; samples are no counts, and what went by is none. */
static inline bool wire_sum_possible(const struct wire_header *h)
{
	return !__atomic_load_n(&h->undo_nr, __ATOMIC_ACQUIRE) && h->changes_nr <= 1 &&
	       !(__atomic_load_n(&h->slow, __ATOMIC_ACQUIRE) &
		 (WIRE_SLOW_SNAPSHOT | WIRE_SLOW_MODES));
}

/* Of handles there are no samples, nor does a snapshot keep their counts back. */
static inline bool wire_kinds_counted(const struct wire_header *h)
{
	return h->changes_nr <= 1 && !(__atomic_load_n(&h->slow, __ATOMIC_ACQUIRE) & WIRE_SLOW_OFF);
}

#define WIRE_SUM_TRIES 16

/*
 * Adds up the counters of a recording that goes on. Of what other threads do meanwhile either side
 * may be seen, and a handle that is just being noted may be taken for a block; everything else is
 * exact. False: it could not be had (wire_sum_possible(); or records were taken over, or handles
 * came and went, all the time).
 */
static inline bool wire_sum(const struct wire_summing *s, struct wire_sums *ret)
{
	for (int tries = 0; tries < WIRE_SUM_TRIES; tries++) {
		struct wire_handles handles = wire_all_handles(s->header), later;
		uint32_t threads = __atomic_load_n(&s->header->threads_nr, __ATOMIC_ACQUIRE);
		uint32_t before;

		if (threads > s->threads_cap)
			threads = s->threads_cap;
		before = wire_flushes(s, threads, true);
		if (!wire_sum_possible(s->header))
			return false;
		wire_sum_once(s, threads, ret);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		later = wire_all_handles(s->header);
		if (wire_flushes(s, threads, false) != before ||
		    later.acquired != handles.acquired || later.released != handles.released ||
		    __atomic_load_n(&s->header->undo_nr, __ATOMIC_ACQUIRE))
			continue;
		ret->blocks -= handles.acquired < ret->blocks ? handles.acquired : ret->blocks;
		ret->frees -= handles.released < ret->frees ? handles.released : ret->frees;
		return true;
	}
	return false;
}

/* Makes a mark in the table at `marks`, at this time of CLOCK_MONOTONIC. False: it is full. */
static inline bool wire_mark_make(struct wire_header *h, struct wire_mark *marks, uint32_t cap,
				  const struct wire_summing *s, const char *name,
				  uint64_t monotonic_ns)
{
	uint32_t i = __atomic_load_n(&h->marks_nr, __ATOMIC_RELAXED);
	struct wire_sums sums = {0};
	struct wire_mark *m;
	size_t n = 0;

	do {
		if (i >= cap || i >= WIRE_MARKS_CAP) {
			__atomic_fetch_add(&h->marks_lost, 1, __ATOMIC_RELAXED);
			return false;
		}
	} while (!__atomic_compare_exchange_n(&h->marks_nr, &i, i + 1, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	m = &marks[i];
	__atomic_store_n(&m->state, WIRE_ENTRY_WRITING, __ATOMIC_RELAXED);
	m->code = wire_clock_mark(h);
	m->monotonic_ns = monotonic_ns;
	m->counted = wire_sum(s, &sums);
	m->blocks = sums.blocks;
	m->bytes = sums.bytes;
	m->frees = sums.frees;
	for (uint32_t k = 0; k < WIRE_KINDS_MAX; k++)
		m->kinds[k] = wire_handles_now(&h->kinds[k]);
	m->kinds_counted = wire_kinds_counted(h);
	for (; name[n] && n + 1 < sizeof(m->name); n++)
		m->name[n] = name[n];
	m->name[n] = '\0';
	__atomic_store_n(&m->state, WIRE_ENTRY_DONE, __ATOMIC_RELEASE);
	return true;
}

#endif
