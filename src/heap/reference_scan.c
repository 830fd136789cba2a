/* See reference_scan.h. */
#include "heap/reference_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/reach.h"
#include "model/snapshot.h"
#include "target/target.h"
#include "target/window.h"

#define PAGE 4096ull
/* Of larger blocks only what is used is read: there may be terabytes of nothing in them. */
#define LARGE ((uint64_t)1 << 20)

#define BATCH 64 /* pointers on their way */

struct pending {
	uint64_t word;
	uint64_t offset; /* in its own block */
	uint32_t id;	 /* later: row */
};

struct scan {
	struct snapshot *s;
	const struct reach *r;
	struct target *t;
	struct window window;
	uint32_t *rows; /* by id: row, NO_INDEX for what is no block */
	uint64_t addr;	/* of the block that is being read */
	struct pending batch[BATCH];
	size_t nr_batch;
};

static uint32_t limited(uint64_t n)
{
	return n < REF_FAR ? (uint32_t)n : REF_FAR;
}

/* Rows, and then blocks, are asked for some time before they are used: both are anywhere. */
static void flush(struct scan *sc)
{
	struct snapshot *s = sc->s;

	for (size_t i = 0; i < sc->nr_batch; i++) {
		struct pending *p = &sc->batch[i];

		p->id = sc->rows[p->id];
		__builtin_prefetch(&s->ref_blocks[p->id]);
	}
	for (size_t i = 0; i < sc->nr_batch; i++) {
		const struct pending *p = &sc->batch[i];

		ARRAY_PUSH(s->ref_edges, s->nr_ref_edges, s->cap_ref_edges,
			   ((struct ref_edge){
				   .block = p->id,
				   .slot = limited(p->offset / s->ref_account.word_bytes),
				   .into = limited(p->word - s->ref_blocks[p->id].addr),
			   }));
	}
	sc->nr_batch = 0;
}

static void add_word(struct scan *sc, uint64_t at, uint64_t word)
{
	uint32_t id = reach_resolve(sc->r, word);

	if (id == REACH_NONE)
		return;
	id &= ~REACH_WEAK;
	__builtin_prefetch(&sc->rows[id]);
	sc->batch[sc->nr_batch++] = (struct pending){word, at - sc->addr, id};
	if (sc->nr_batch == BATCH)
		flush(sc);
}

static void take(struct scan *sc, uint64_t at, const uint8_t *p, size_t len)
{
	size_t width = sc->s->ref_account.word_bytes;

	for (size_t i = 0; i + width <= len; i += width) {
		uint64_t word = 0;

		memcpy(&word, p + i, width);
		add_word(sc, at + i, word);
	}
}

/* What cannot be read has been counted when the graph was made. */
static void read_range(struct scan *sc, uint64_t start, uint64_t end)
{
	const uint64_t width = sc->s->ref_account.word_bytes;

	while (start + width <= end) {
		size_t len;
		const uint8_t *p = window_some(&sc->window, start, &len);

		if (p && len > end - start)
			len = (size_t)(end - start);
		if (!p || len < width) {
			start = (start + PAGE) & ~(PAGE - 1);
			continue;
		}
		len -= len % width;
		take(sc, start, p, len);
		start += len;
	}
}

static void read_block(struct scan *sc, uint64_t end)
{
	uint64_t from, to, start = sc->addr;

	if (end - start < LARGE) {
		read_range(sc, start, end);
		return;
	}
	while (start < end) {
		int err = target_next_used(sc->t, start, end, &from, &to);

		if (err < 0 && err != -ENOENT) {
			read_range(sc, start, end);
			return;
		}
		if (err < 0)
			return;
		read_range(sc, from, to);
		start = to;
	}
}

/* Blocks first: a pointer may go to one that comes later. */
static void add_blocks(struct scan *sc)
{
	struct snapshot *s = sc->s;

	for (uint32_t id = 0; id < reach_ids(sc->r); id++) {
		sc->rows[id] = NO_INDEX;
		if (!reach_is_block(sc->r, id))
			continue;
		sc->rows[id] = (uint32_t)s->nr_ref_blocks;
		ARRAY_PUSH(s->ref_blocks, s->nr_ref_blocks, s->cap_ref_blocks,
			   ((struct ref_block){.addr = reach_address(sc->r, id),
					       .size = reach_size(sc->r, id)}));
	}
}

void reference_scan(struct target *t, const struct reach *r, size_t nr_hits, struct snapshot *s)
{
	struct scan sc = {.s = s, .r = r, .t = t};
	const uint64_t width = target_word_bytes(t);
	const uint32_t *roots;
	size_t nr_roots;

	s->ref_account.word_bytes = (uint8_t)width;
	sc.rows = mem_alloc_array(reach_ids(r), sizeof(*sc.rows));
	window_init(&sc.window, t, 0);
	add_blocks(&sc);
	for (size_t i = 0; i < s->nr_ref_blocks; i++) {
		struct ref_block *b = &s->ref_blocks[i];
		size_t before = s->nr_ref_edges + sc.nr_batch;

		sc.addr = b->addr;
		read_block(&sc, b->addr + ((b->size + width - 1) & ~(width - 1)));
		b->nr_edges = s->nr_ref_edges + sc.nr_batch - before;
	}
	flush(&sc);
	roots = reach_roots(r, &nr_roots);
	for (size_t i = nr_hits; i < nr_roots; i++)
		s->ref_blocks[sc.rows[roots[i] & ~REACH_WEAK]].flags |= REF_BLOCK_HELD;
	window_release(&sc.window);
	free(sc.rows);
}
