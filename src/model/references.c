/* References of a snapshot; see references.h. */
#include "model/references.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "model/reach_path.h"
#include "model/reach_private.h"
#include "model/snapshot.h"

/* What a pointer that goes so far into a block is: an edge's REACH_WEAK, or 0. */
static uint32_t references_weakness(const struct snapshot *s, uint32_t into)
{
	uint32_t word = s->ref_account.word_bytes;

	/* As resolve() in reach_scan.c has it. */
	return into <= word || into == 2 * word ? 0 : REACH_WEAK;
}

static void add_edges(struct reach *r, const struct snapshot *s)
{
	r->nr_edges = r->cap_edges = s->nr_ref_edges;
	r->edges = mem_alloc_array(s->nr_ref_edges, sizeof(*r->edges));
	for (size_t i = 0; i < s->nr_ref_edges; i++)
		r->edges[i] = s->ref_edges[i].block | references_weakness(s, s->ref_edges[i].into);
}

static void add_offsets(struct reach *r, const struct snapshot *s)
{
	uint64_t at = 0;

	for (uint32_t id = 0; id <= r->nr_ids; id++) {
		reach_offsets_set(&r->offsets, id, at);
		if (id < r->nr_ids)
			at += s->ref_blocks[id].nr_edges;
	}
	r->scanned = r->nr_ids + 1;
}

static void add_roots(struct reach *r, const struct snapshot *s, uint32_t unwanted,
		      struct root_hits *hits)
{
	for (size_t i = 0; i < s->nr_ref_roots; i++) {
		const struct ref_root *root = &s->ref_roots[i];
		uint32_t edge = root->block | references_weakness(s, root->into);
		uint8_t kind = s->ref_owners[root->owner].kind;

		if (kind < 32 && (unwanted >> kind & 1))
			continue;
		ARRAY_PUSH(r->roots, r->nr_roots, r->cap_roots, edge);
		ARRAY_PUSH(hits->items, hits->nr, hits->cap, ((struct root_hit){i, edge}));
	}
	for (uint32_t id = 0; id < r->nr_ids; id++) {
		if (s->ref_blocks[id].flags & REF_BLOCK_HELD)
			reach_hold(r, id);
	}
}

struct reach *references_reach(const struct snapshot *s, uint32_t unwanted, struct root_hits *hits)
{
	struct reach *r = reach_new(s->ref_account.word_bytes);

	*hits = (struct root_hits){.items = NULL};
	r->rows = s->ref_blocks;
	r->nr_ids = (uint32_t)s->nr_ref_blocks;
	r->nr_blocks = s->nr_ref_blocks;
	reach_seal(r);
	add_edges(r, s);
	add_offsets(r, s);
	add_roots(r, s, unwanted, hits);
	reach_mark(r);
	return r;
}

uint32_t references_find(const struct snapshot *s, uint64_t addr)
{
	uint32_t row = reach_row_of(s->ref_blocks, (uint32_t)s->nr_ref_blocks, addr);

	return row != NO_INDEX && s->ref_blocks[row].addr == addr ? row : NO_INDEX;
}

void references_describe_root(const struct snapshot *s, const struct ref_root *root,
			      struct str *out)
{
	const struct ref_owner *owner = &s->ref_owners[root->owner];
	uint64_t offset = root->where - owner->base;

	str_add(out, strings_get(&s->strings, owner->before));
	if (owner->always_offset || (owner->base && offset))
		str_printf(out, "+0x%" PRIx64, offset);
	str_add(out, strings_get(&s->strings, owner->behind));
	str_add(out, strings_get(&s->strings, root->detail));
}

void references_drop(struct snapshot *s)
{
	s->has_references = false;
	s->nr_ref_blocks = s->nr_ref_edges = s->nr_ref_owners = s->nr_ref_roots = 0;
	s->nr_ref_patterns = 0;
	s->ref_account = (struct ref_account){0};
}
