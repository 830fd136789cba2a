/* See cut_told.h. */
#include "target/cut_told.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "target/table.h"

/* Reads [at, end) of the table, holes of the sparse file excepted; to is zeroed memory. */
static int read_sparse(const struct table *t, void *to, uint64_t at, uint64_t end, struct error *e)
{
	uint64_t start = at;

	while (at < end) {
		off_t data = lseek(t->fd, (off_t)at, SEEK_DATA), hole;

		if (data < 0 || (uint64_t)data >= end)
			return 0; /* ENXIO: only a hole is left */
		hole = lseek(t->fd, data, SEEK_HOLE);
		if (hole < 0 || (uint64_t)hole > end)
			hole = (off_t)end;
		for (at = (uint64_t)data; at < (uint64_t)hole;) {
			ssize_t n = pread(t->fd, (char *)to + (at - start), (uint64_t)hole - at,
					  (off_t)at);

			if (n <= 0)
				return error_set(e, -EIO, EXIT_TARGET,
						 "cannot read the recorder's table: %s",
						 error_strerror(errno));
			at += (uint64_t)n;
		}
	}
	return 0;
}

/* ---- pools ---- */

int cut_read_pools(const struct table *t, struct pool_rows *ret, struct error *e)
{
	const struct wire_header *l = &t->layout;
	uint32_t depth = __atomic_load_n(&t->header->pool_depth, __ATOMIC_ACQUIRE);

	if (depth > l->pool_levels)
		depth = l->pool_levels;
	ret->nr = wire_pool_first(depth);
	ret->rows = mem_alloc_array(ret->nr, sizeof(*ret->rows));
	return read_sparse(t, ret->rows, l->pools_off, l->pools_off + ret->nr * sizeof(*ret->rows),
			   e);
}

void cut_undo_pools(const struct table *t, struct pool_rows *p, const struct wire_undo *undo,
		    size_t nr_undo)
{
	uint64_t *words = (uint64_t *)p->rows;
	uint64_t nr_words = p->nr * sizeof(*p->rows) / 8;

	/* Backwards: of several notes of one word the first one counts. */
	for (size_t i = nr_undo; i-- > 0;) {
		uint64_t key = undo[i].key, at = (key & WIRE_UNDO_KEY_MASK) - t->layout.pools_off;

		if ((key & WIRE_UNDO_VALID) && key >> WIRE_UNDO_KIND_SHIFT == WIRE_UNDO_SLOT &&
		    at / 8 < nr_words)
			words[at / 8] = undo[i].value;
	}
}

static bool is_live(const struct pool_rows *p, const struct wire_pool_row *r)
{
	uint64_t pool = r->owner >> WIRE_POOL_GENERATION_BITS;

	return (r->key & WIRE_POOL_KEY_KIND) == WIRE_POOL_KEY_BLOCK &&
	       !(r->key & WIRE_POOL_KEY_WRITING) && pool < p->nr &&
	       (p->rows[pool].key & WIRE_POOL_KEY_KIND) == WIRE_POOL_KEY_POOL &&
	       p->rows[pool].owner == (r->owner & WIRE_POOL_GENERATION_MASK);
}

void cut_make_pool_blocks(const struct pool_rows *p, struct cut *cut)
{
	size_t nr = 0;

	for (size_t i = 0; i < p->nr; i++)
		nr += is_live(p, &p->rows[i]);
	cut->pool_blocks = mem_alloc_array(nr, sizeof(*cut->pool_blocks));
	cut->handles = mem_alloc_array(nr, sizeof(*cut->handles));
	for (size_t i = 0; i < p->nr; i++) {
		const struct wire_pool_row *r = &p->rows[i];
		struct wire_block b = {
			.addr = (r->key & ~WIRE_POOL_KEY_KIND) >> 1,
			.size = r->size,
			.node = (uint32_t)(r->stack >> WIRE_SLOT_NODE_SHIFT),
			.time_code = (uint32_t)(r->stack >> WIRE_SLOT_TIME_SHIFT) & WIRE_TIME_MAX,
		};

		if (!is_live(p, r))
			continue;
		if (!b.node || b.node >= cut->nr_nodes || b.size >> WIRE_ADDRESS_BITS)
			cut->broken_rows++;
		else if (wire_pc_is_kind(cut->nodes[b.node].pc))
			cut->handles[cut->nr_handles++] = b;
		else
			cut->pool_blocks[cut->nr_pool_blocks++] = b;
	}
}

static int by_addr(const void *a, const void *b)
{
	const struct wire_block *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

int cut_read_handles(const struct table *t, uint32_t kind, struct wire_block **ret, size_t *ret_nr,
		     struct error *e)
{
	struct pool_rows p = {.nr = 0};
	struct wire_block *found;
	size_t nr = 0;
	int err = cut_read_pools(t, &p, e);

	found = mem_alloc_array(p.nr, sizeof(*found));
	for (size_t i = 0; i < p.nr && !err; i++) {
		const struct wire_pool_row *r = &p.rows[i];

		/* The name of a pool is the tag of this number. */
		if (!is_live(&p, r) ||
		    p.rows[r->owner >> WIRE_POOL_GENERATION_BITS].stack != kind + 1ull)
			continue;
		found[nr].addr = (r->key & ~WIRE_POOL_KEY_KIND) >> 1;
		found[nr++].size = r->size;
	}
	free(p.rows);
	if (err) {
		free(found);
		return err;
	}
	if (nr)
		qsort(found, nr, sizeof(*found), by_addr);
	*ret = found;
	*ret_nr = nr;
	return 0;
}

/* ---- marks and tags ---- */

static int by_code(const void *a, const void *b)
{
	const struct wire_mark *x = a, *y = b;

	return (x->code > y->code) - (x->code < y->code);
}

static int read_marks(const struct table *t, uint32_t time_code, struct cut *cut, struct error *e)
{
	const struct wire_header *l = &t->layout;
	uint32_t nr = __atomic_load_n(&t->header->marks_nr, __ATOMIC_ACQUIRE);
	int err;

	if (nr > l->marks_cap)
		nr = l->marks_cap;
	cut->marks = mem_alloc_array(nr, sizeof(*cut->marks));
	err = read_sparse(t, cut->marks, l->marks_off, l->marks_off + nr * sizeof(*cut->marks), e);
	for (uint32_t i = 0; i < nr && err == 0; i++) {
		struct wire_mark m = cut->marks[i];

		/* Those that were made since, and one that is just being made, are not in it. */
		if (m.state != WIRE_ENTRY_DONE || m.code > time_code || m.code > WIRE_TIME_MAX)
			continue;
		m.name[sizeof(m.name) - 1] = '\0';
		cut->marks[cut->nr_marks++] = m;
	}
	if (cut->nr_marks)
		qsort(cut->marks, cut->nr_marks, sizeof(*cut->marks), by_code);
	return err;
}

static int read_tags(const struct table *t, struct cut *cut, struct error *e)
{
	const struct wire_header *l = &t->layout;
	uint32_t nr = __atomic_load_n(&t->header->tags_nr, __ATOMIC_ACQUIRE);
	int err;

	if (nr > l->tags_cap)
		nr = l->tags_cap;
	cut->tags = mem_alloc_array(nr, sizeof(*cut->tags));
	cut->nr_tags = nr;
	err = read_sparse(t, cut->tags, l->tags_off, l->tags_off + nr * sizeof(*cut->tags), e);
	for (uint32_t i = 0; i < nr; i++) {
		cut->tags[i].name[sizeof(cut->tags[i].name) - 1] = '\0';
		if (cut->tags[i].state != WIRE_ENTRY_DONE)
			cut->tags[i].name[0] = '\0';
	}
	return err;
}

int cut_read_names(const struct table *t, uint32_t time_code, struct cut *cut, struct error *e)
{
	int err = read_marks(t, time_code, cut, e);

	return err ? err : read_tags(t, cut, e);
}

void cut_release(struct cut *c)
{
	free(c->nodes);
	free(c->node_blocks);
	free(c->node_bytes);
	free(c->node_temps);
	free(c->node_samples);
	free(c->sample_blocks);
	free(c->sample_bytes);
	free(c->sample_temps);
	free(c->blocks);
	free(c->pool_blocks);
	free(c->handles);
	free(c->marks);
	free(c->tags);
	free(c->modules);
}
