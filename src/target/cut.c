/* A consistent copy of the recorder's table; see table.h and doc/snapshots.md. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/map.h"
#include "base/mem.h"
#include "target/cut_told.h"
#include "target/table.h"
#include "wire/sample.h"

#define PIECE_BYTES (1u << 20)
#define ATTEMPTS 3
#define SLOTS_MAX (1u << 30) /* no honest table has more blocks */

struct slot {
	uint64_t offset, value; /* position in the file, what stood there */
};

struct reading {
	struct table *t;
	struct cut *cut;
	struct slot *slots;
	size_t nr_slots, cap_slots;
	struct wire_undo *undo;
	size_t nr_undo;
	uint32_t nr_chunks;
	uint64_t late_frees; /* before this cut */
	struct wire_unseen late_unseen;
	uint32_t time_code; /* at it */
	struct pool_rows pools;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static int read_at(struct reading *r, void *to, size_t bytes, uint64_t offset, struct error *e)
{
	return table_read(r->t, to, bytes, offset, e);
}

/* ---- the cut ---- */

static void clear_undo(struct reading *r)
{
	const struct wire_header *l = &r->t->layout;
	struct wire_header *h = r->t->header;
	uint64_t used = __atomic_load_n(&h->undo_nr, __ATOMIC_RELAXED);

	if (used > l->undo_cap)
		used = l->undo_cap;
	if (used)
		fallocate(r->t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)l->undo_off,
			  (off_t)(l->undo_cap * sizeof(struct wire_undo)));
	__atomic_store_n(&h->undo_nr, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&h->undo_lost, 0, __ATOMIC_RELEASE);
}

static int read_undo(struct reading *r, struct error *e)
{
	uint32_t nr = __atomic_load_n(&r->t->header->undo_nr, __ATOMIC_ACQUIRE);

	if (nr > r->t->layout.undo_cap)
		nr = r->t->layout.undo_cap;
	free(r->undo);
	r->undo = mem_alloc_array(nr, sizeof(*r->undo));
	r->nr_undo = nr;
	return read_at(r, r->undo, nr * sizeof(*r->undo), r->t->layout.undo_off, e);
}

static void settle_sample(const struct wire_header *l, struct wire_extra *extra, uint64_t key,
			  uint64_t size)
{
	uint64_t bits = key >> 32, weight;
	struct wire_extra *x;

	if ((uint32_t)key >= l->nodes_cap || bits > WIRE_SAMPLE_BITS_MAX)
		return;
	x = &extra[(uint32_t)key];
	weight = wire_sample_weight(size, (unsigned int)bits);
	__atomic_fetch_add(&x->blocks, weight, __ATOMIC_RELAXED);
	__atomic_fetch_add(&x->bytes, wire_sample_bytes(size, weight), __ATOMIC_RELAXED);
	__atomic_fetch_add(&x->samples, 1, __ATOMIC_RELAXED);
}

static void settle(struct reading *r, struct wire_extra *extra, uint64_t blocks, uint64_t bytes)
{
	struct wire_header *h = r->t->header;

	__atomic_fetch_add(&extra->blocks, blocks, __ATOMIC_RELAXED);
	__atomic_fetch_add(&extra->bytes, bytes, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->extra_blocks, blocks, __ATOMIC_RELAXED);
	__atomic_fetch_add(&h->extra_bytes, bytes, __ATOMIC_RELAXED);
}

/* Puts right the counters of allocations that were only noted while a snapshot was under way. */
static void settle_counts(struct reading *r)
{
	const struct wire_header *l = &r->t->layout;
	size_t bytes = (size_t)l->nodes_cap * sizeof(struct wire_extra);
	struct wire_extra *extra;

	if (read_undo(r, NULL) < 0 || !r->nr_undo)
		return;
	extra = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, r->t->fd,
		     (off_t)l->extra_off);
	if (extra == MAP_FAILED)
		return;
	for (size_t i = 0; i < r->nr_undo; i++) {
		uint64_t key = r->undo[i].key, node = key & WIRE_UNDO_KEY_MASK;
		uint64_t kind = key >> WIRE_UNDO_KIND_SHIFT, size = r->undo[i].value;

		if ((key & WIRE_UNDO_VALID) && kind == WIRE_UNDO_SAMPLE)
			settle_sample(l, extra, node, size);
		if (!(key & WIRE_UNDO_VALID) || node >= l->nodes_cap)
			continue;
		if (kind == WIRE_UNDO_COUNT)
			settle(r, &extra[node], 1, size);
		else if (kind == WIRE_UNDO_UNCOUNT)
			settle(r, &extra[node], (uint64_t)-1, -size);
	}
	munmap(extra, bytes);
}

static void add_unseen(struct wire_unseen *to, const struct wire_unseen *u)
{
	to->blocks += u->blocks;
	to->bytes += u->bytes;
	to->frees += u->frees;
}

/* What was counted during earlier snapshots; it stands still while none is under way. */
static void sum_late(struct reading *r)
{
	const struct wire_header *l = &r->t->layout;
	uint32_t nr = __atomic_load_n(&r->t->header->threads_nr, __ATOMIC_ACQUIRE);
	struct wire_unseen unseen;
	uint32_t frees;

	r->late_frees = 0;
	r->late_unseen = (struct wire_unseen){0};
	for (uint32_t i = 0; i < nr && i < l->threads_cap; i++) {
		uint64_t at = l->threads_off + i * l->thread_stride;

		if (read_at(r, &frees, sizeof(frees), at + offsetof(struct wire_thread, late_frees),
			    NULL) == 0)
			r->late_frees += frees;
		if (read_at(r, &unseen, sizeof(unseen),
			    at + offsetof(struct wire_thread, unseen[1]), NULL) == 0)
			add_unseen(&r->late_unseen, &unseen);
	}
}

static void begin_cut(struct reading *r, bool ended)
{
	struct wire_header *h = r->t->header;

	if (!ended && (__atomic_load_n(&h->slow, __ATOMIC_RELAXED) & WIRE_SLOW_SNAPSHOT)) {
		/* A reader died while it took its snapshot: its cut has to end first. */
		__atomic_fetch_and(&h->slow, ~(uint32_t)WIRE_SLOW_SNAPSHOT, __ATOMIC_SEQ_CST);
		if (!table_settle(r->t))
			r->cut->torn = true;
	}
	settle_counts(r);
	clear_undo(r);
	sum_late(r);
	if (!ended) {
		__atomic_fetch_or(&h->slow, WIRE_SLOW_SNAPSHOT, __ATOMIC_SEQ_CST);
		if (!table_settle(r->t))
			r->cut->torn = true;
	}
	r->time_code = (uint32_t)(__atomic_load_n(&h->time_bits, __ATOMIC_SEQ_CST) >>
				  WIRE_SLOT_TIME_SHIFT) &
		       WIRE_TIME_MAX;
	r->cut->taken_monotonic_ns = now_ns();
}

static void end_cut(struct reading *r, bool ended)
{
	if (ended)
		return;
	__atomic_fetch_and(&r->t->header->slow, ~(uint32_t)WIRE_SLOW_SNAPSHOT, __ATOMIC_SEQ_CST);
	if (!table_settle(
		    r->t)) { /* somebody may still write into the log: the next reader clears it */
		r->cut->torn = true;
		return;
	}
	settle_counts(r);
	clear_undo(r);
}

/* ---- live table ---- */

static void keep_slots(struct reading *r, const uint64_t *words, size_t nr, uint64_t offset)
{
	for (size_t i = 0; i < nr && r->nr_slots < SLOTS_MAX; i++)
		if (words[i])
			ARRAY_PUSH(r->slots, r->nr_slots, r->cap_slots,
				   ((struct slot){offset + i * 8, words[i]}));
}

/* All slots of one chunk; holes of the sparse file are skipped. */
static int read_chunk(struct reading *r, uint32_t chunk, uint64_t *piece, struct error *e)
{
	uint64_t at = r->t->layout.chunks_off + (uint64_t)chunk * WIRE_CHUNK_BYTES;
	uint64_t end = at + WIRE_CHUNK_BYTES;
	int err;

	while (at < end) {
		off_t data = lseek(r->t->fd, (off_t)at, SEEK_DATA), hole;

		if (data < 0 || (uint64_t)data >= end)
			return 0; /* ENXIO: only a hole is left */
		hole = lseek(r->t->fd, data, SEEK_HOLE);
		if (hole < 0 || (uint64_t)hole > end)
			hole = (off_t)end;
		for (at = (uint64_t)data & ~7ull; at < (uint64_t)hole;) {
			size_t n = (uint64_t)hole - at < PIECE_BYTES ? (size_t)((uint64_t)hole - at)
								     : PIECE_BYTES;

			err = read_at(r, piece, n, at, e);
			if (err < 0)
				return err;
			keep_slots(r, piece, n / 8, at);
			at += n;
		}
	}
	return 0;
}

static int read_chunks(struct reading *r, struct error *e)
{
	uint32_t nr = __atomic_load_n(&r->t->header->chunks_nr, __ATOMIC_ACQUIRE);
	uint64_t *piece = mem_alloc(PIECE_BYTES);
	int err = 0;

	if (nr > r->t->layout.chunks_cap)
		nr = r->t->layout.chunks_cap;
	r->nr_chunks = nr;
	for (uint32_t i = 0; i < nr && err == 0; i++)
		err = read_chunk(r, i, piece, e);
	free(piece);
	return err;
}

static int by_offset(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Puts the slots back to the cut: of several notes of one slot the first one counts. */
static void undo_slots(struct reading *r)
{
	struct map before = MAP_INIT;
	uint64_t key, value;
	size_t kept = 0, pos = 0;

	for (size_t i = r->nr_undo; i-- > 0;) {
		key = r->undo[i].key;
		if ((key & WIRE_UNDO_VALID) && key >> WIRE_UNDO_KIND_SHIFT == WIRE_UNDO_SLOT &&
		    (key & WIRE_UNDO_KEY_MASK) >= r->t->layout.chunks_off)
			map_set(&before, key & WIRE_UNDO_KEY_MASK, r->undo[i].value);
	}
	for (size_t i = 0; i < r->nr_slots; i++) {
		struct slot s = r->slots[i];

		if (map_get(&before, s.offset, &value)) {
			s.value = value;
			map_remove(&before, s.offset);
		}
		if (s.value)
			r->slots[kept++] = s;
	}
	r->nr_slots = kept;
	while (map_next(&before, &pos, &key, &value))
		if (value)
			ARRAY_PUSH(r->slots, r->nr_slots, r->cap_slots,
				   ((struct slot){key, value}));
	map_release(&before);
	if (r->nr_slots)
		qsort(r->slots, r->nr_slots, sizeof(*r->slots), by_offset);
}

/* The slot that holds the size of a big block, by its address; 0: not found. */
static uint64_t size_of_big(struct reading *r, const uint64_t *chunk_base, uint64_t addr)
{
	const struct wire_header *l = &r->t->layout;
	uint64_t at = addr + (1u << WIRE_GRANULE_SHIFT), span = 1ull << WIRE_SPAN_SHIFT;
	const struct slot *found;
	struct slot want = {0};

	for (uint32_t i = 0; i < r->nr_chunks; i++) {
		uint64_t base = chunk_base[i] & ~3ull;

		if ((chunk_base[i] & 3) != 2 || at < base || at - base >= span)
			continue;
		want.offset = l->chunks_off + (uint64_t)i * WIRE_CHUNK_BYTES +
			      ((at - base) >> WIRE_GRANULE_SHIFT) * 8;
		found = bsearch(&want, r->slots, r->nr_slots, sizeof(want), by_offset);
		return found && !(found->value >> WIRE_SLOT_NODE_SHIFT) ? found->value : 0;
	}
	return 0;
}

/* The node of its stack; what was sampled hangs below that. */
static uint32_t stack_node(const struct cut *c, uint32_t node, uint8_t *ret_sampled)
{
	uint64_t pc = c->nodes[node].pc;

	*ret_sampled = 0;
	if (node < WIRE_NODE_FIRST || !wire_pc_is_sample(pc))
		return node;
	*ret_sampled = (uint8_t)(1 + pc - WIRE_PC_SAMPLED);
	return c->nodes[node].parent;
}

static void make_blocks(struct reading *r)
{
	const struct wire_header *l = &r->t->layout;
	const uint64_t *chunk_base = r->cut->header.chunk_base;
	struct cut *c = r->cut;

	c->blocks = mem_alloc_array(r->nr_slots, sizeof(*c->blocks));
	for (size_t i = 0; i < r->nr_slots; i++) {
		uint64_t v = r->slots[i].value, in_chunks = r->slots[i].offset - l->chunks_off;
		uint64_t base, index, addr, size = v & WIRE_SIZE_ESCAPE;
		uint32_t chunk = (uint32_t)(in_chunks / WIRE_CHUNK_BYTES);
		uint32_t node = (uint32_t)(v >> WIRE_SLOT_NODE_SHIFT);
		uint8_t sampled = 0;

		if (!node)
			continue; /* the size of the block before it */
		if (r->slots[i].offset < l->chunks_off || chunk >= r->nr_chunks ||
		    node >= c->nr_nodes || !(chunk_base[chunk] & 3)) {
			c->broken_rows++;
			continue;
		}
		node = stack_node(c, node, &sampled);
		if (node == WIRE_NODE_ROOT) { /* a sample of no stack */
			c->broken_rows++;
			continue;
		}
		base = chunk_base[chunk] & ~3ull;
		index = in_chunks % WIRE_CHUNK_BYTES / 8;
		if ((chunk_base[chunk] & 3) == 1)
			addr = base + (index << WIRE_DENSE_SHIFT);
		else
			addr = base + (index << WIRE_GRANULE_SHIFT) +
			       (v >> WIRE_SLOT_OFF3_SHIFT & 3) * 8;
		if (size == WIRE_SIZE_ESCAPE)
			size = size_of_big(r, chunk_base, addr);
		c->blocks[c->nr_blocks++] = (struct wire_block){
			.addr = addr,
			.size = size,
			.node = node,
			.time_code = (uint32_t)(v >> WIRE_SLOT_TIME_SHIFT) & WIRE_TIME_MAX,
			.sampled = sampled,
		};
	}
}

/* ---- stack tree and counters ---- */

static int read_array(struct reading *r, uint64_t offset, size_t nr, size_t size, void **ret,
		      struct error *e)
{
	*ret = mem_alloc_array(nr, size);
	return read_at(r, *ret, nr * size, offset, e);
}

/* What was sampled counts for the stack above it. */
static void add_samples(struct cut *c, size_t node, const struct wire_extra *extra,
			const struct wire_count *count)
{
	uint32_t to = c->nodes[node].parent;

	if (!c->node_samples) {
		c->node_samples = mem_alloc_array(c->nr_nodes, sizeof(uint64_t));
		c->sample_blocks = mem_alloc_array(c->nr_nodes, sizeof(uint64_t));
		c->sample_bytes = mem_alloc_array(c->nr_nodes, sizeof(uint64_t));
		c->sample_temps = mem_alloc_array(c->nr_nodes, sizeof(uint64_t));
	}
	c->sample_blocks[to] += c->node_blocks[node];
	c->sample_bytes[to] += c->node_bytes[node];
	c->sample_temps[to] += c->node_temps[node];
	c->node_samples[to] += extra->samples + (count ? count->samples : 0);
	c->node_blocks[node] = c->node_bytes[node] = c->node_temps[node] = 0;
}

static int read_nodes(struct reading *r, struct error *e)
{
	const struct wire_header *l = &r->t->layout;
	struct cut *c = r->cut;
	uint32_t nr = __atomic_load_n(&r->t->header->nodes_nr, __ATOMIC_ACQUIRE);
	struct wire_count *counts = NULL;
	struct wire_extra *extra = NULL;
	uint32_t nr_counts;
	int err;

	if (nr > l->nodes_cap)
		nr = l->nodes_cap;
	if (nr < WIRE_NODE_FIRST)
		nr = WIRE_NODE_FIRST;
	c->nr_nodes = nr;
	c->nodes = mem_alloc_array(nr, sizeof(*c->nodes));
	c->node_blocks = mem_alloc_array(nr, sizeof(uint64_t));
	c->node_bytes = mem_alloc_array(nr, sizeof(uint64_t));
	c->node_temps = mem_alloc_array(nr, sizeof(uint64_t));
	err = read_at(r, c->nodes, nr * sizeof(*c->nodes), l->nodes_off, e);
	/* After the nodes: those that have a count by now are in it. */
	nr_counts = __atomic_load_n(&r->t->header->counts_nr, __ATOMIC_ACQUIRE);
	if (nr_counts > l->nodes_cap)
		nr_counts = l->nodes_cap;
	if (err == 0)
		err = read_array(r, l->counts_off, nr_counts, sizeof(*counts), (void **)&counts, e);
	if (err == 0)
		err = read_array(r, l->extra_off, nr, sizeof(*extra), (void **)&extra, e);
	for (size_t i = 0; i < nr && err == 0; i++) {
		struct wire_node *n = &c->nodes[i];

		if (i < WIRE_NODE_FIRST) {
			n->parent = WIRE_NODE_ROOT;
		} else if (n->parent >= i) {
			n->parent = WIRE_NODE_ROOT;
			c->broken_rows++;
		}
		c->node_blocks[i] = extra[i].blocks;
		c->node_bytes[i] = extra[i].bytes;
		c->node_temps[i] = 0;
		if (!n->count || n->count >= nr_counts)
			continue;
		c->node_blocks[i] += counts[n->count].blocks;
		c->node_bytes[i] += counts[n->count].bytes;
		c->node_temps[i] = counts[n->count].temps;
	}
	for (size_t i = WIRE_NODE_FIRST; i < nr && err == 0; i++)
		if (wire_pc_is_sample(c->nodes[i].pc))
			add_samples(c, i, &extra[i],
				    c->nodes[i].count && c->nodes[i].count < nr_counts
					    ? &counts[c->nodes[i].count]
					    : NULL);
	free(counts);
	free(extra);
	return err;
}

/* Adds what the threads' records hold back. */
static int read_threads(struct reading *r, struct error *e)
{
	const struct wire_header *l = &r->t->layout;
	struct cut *c = r->cut;
	uint32_t nr = __atomic_load_n(&r->t->header->threads_nr, __ATOMIC_ACQUIRE);
	struct wire_thread *w = mem_alloc(sizeof(*w));
	int err = 0;

	c->frees = r->late_frees;
	c->unseen = r->late_unseen;
	for (uint32_t i = 0; i < nr && i < l->threads_cap && err == 0; i++) {
		err = read_at(r, w, sizeof(*w), l->threads_off + i * l->thread_stride, e);
		if (err < 0)
			break;
		c->frees += w->frees;
		add_unseen(&c->unseen, &w->unseen[0]);
		if (w->pending_node < c->nr_nodes)
			c->node_temps[w->pending_node] += w->pending_temps;
		for (size_t k = 0; k < WIRE_RECORDS_NR; k++) {
			const struct wire_record *rec = &w->records[k];

			if (!rec->blocks || rec->node >= c->nr_nodes)
				continue;
			c->node_blocks[rec->node] += rec->blocks;
			c->node_bytes[rec->node] += rec->bytes;
			c->node_temps[rec->node] += rec->temps;
		}
	}
	free(w);
	return err;
}

static int read_modules(struct reading *r, struct error *e)
{
	const struct wire_header *l = &r->t->layout;
	struct cut *c = r->cut;
	uint32_t nr = __atomic_load_n(&r->t->header->modules_nr, __ATOMIC_ACQUIRE);
	int err;

	if (nr > l->modules_cap)
		nr = l->modules_cap;
	c->modules = mem_alloc_array(nr, sizeof(*c->modules));
	c->nr_modules = nr;
	err = read_at(r, c->modules, nr * sizeof(*c->modules), l->modules_off, e);
	for (size_t i = 0; i < nr; i++)
		c->modules[i].path[WIRE_PATH_MAX - 1] = '\0';
	return err;
}

static int read_all(struct reading *r, struct error *e)
{
	int err = read_chunks(r, e);

	if (err == 0)
		err = read_nodes(r, e);
	if (err == 0)
		err = read_threads(r, e);
	if (err == 0)
		err = cut_read_pools(r->t, &r->pools, e);
	if (err == 0)
		err = read_undo(r, e);
	if (err == 0)
		err = read_modules(r, e);
	if (err == 0)
		err = cut_read_names(r->t, r->time_code, r->cut, e);
	/* Not from the mapping: looking at a hole there would fill it. */
	if (err == 0)
		err = read_at(r, &r->cut->header, sizeof(r->cut->header), 0, e);
	if (err == 0) {
		r->cut->header.allocator[sizeof(r->cut->header.allocator) - 1] = '\0';
		r->cut->header.status_error[sizeof(r->cut->header.status_error) - 1] = '\0';
	}
	return err;
}

/* ---- the whole of it ---- */

static void forget(struct reading *r)
{
	free(r->slots);
	free(r->undo);
	free(r->pools.rows);
	cut_release(r->cut);
	*r->cut = (struct cut){0};
	*r = (struct reading){.t = r->t, .cut = r->cut};
}

int table_cut(struct table *t, bool ended, struct cut *ret, struct error *e)
{
	struct cut cut = {0};
	struct reading r = {.t = t, .cut = &cut};
	uint64_t began = now_ns();
	bool complete = false;
	int err = table_lock(t, e);

	if (err < 0)
		return err;
	for (int attempt = 0; attempt < ATTEMPTS && err == 0 && !complete; attempt++) {
		forget(&r);
		begin_cut(&r, ended);
		err = read_all(&r, e);
		complete = ended || !__atomic_load_n(&t->header->undo_lost, __ATOMIC_ACQUIRE);
		if (!err) {
			undo_slots(&r);
			cut_undo_pools(t, &r.pools, r.undo, r.nr_undo);
		}
		end_cut(&r, ended);
	}
	table_unlock(t);
	if (err == 0) {
		cut.torn = cut.torn || !complete;
		make_blocks(&r);
		cut_make_pool_blocks(&r.pools, &cut);
		cut.took_ns = now_ns() - began;
		*ret = cut;
	} else {
		cut_release(&cut);
	}
	free(r.slots);
	free(r.undo);
	free(r.pools.rows);
	return err;
}
