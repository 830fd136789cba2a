/*
 * Which stacks get a record: those that come back. Programs that walk trees would otherwise fill
 * records that are never used again. So a stack has to be seen twice; and a record that has hits
 * gets a reprieve before another stack takes it over.
 *
 * A record is valid while its epoch (of a site) or shape (of another stack there) is the present
 * one; that is written last and taken back first. A shape number stands for a site's pc, sp, epoch
 * and list of offsets, so that comparing it replaces comparing these.
 */
#include <linux/mman.h>

#include "arch_x86_64.h"
#include "record.h"
#include "sys.h"

#define ARENA_MORE (1u << 16)

static uint8_t *arena_take(struct thread *t, size_t bytes)
{
	size_t more = bytes > ARENA_MORE ? bytes : ARENA_MORE;
	uint8_t *p;

	if ((size_t)(t->arena_end - t->arena) < bytes) {
		t->arena = thread_map_private(more);
		t->arena_end = t->arena ? t->arena + more : NULL;
		if (!t->arena)
			return NULL;
	}
	p = t->arena;
	t->arena += bytes;
	return p;
}

/* Room for so many bytes of groups, what was there is void. False: no memory. */
static bool words_room(struct thread *t, struct wire_record *r, uint32_t bytes)
{
	struct words_head *head = (struct words_head *)r->words;

	if (head && head[-1].cap_bytes >= bytes)
		return true;
	head = (struct words_head *)arena_take(t, sizeof(*head) + bytes);
	if (!head)
		return false;
	head->cap_bytes = bytes;
	r->words = (uint64_t)(head + 1);
	return true;
}

static inline const struct word_group *groups_of(const struct wire_record *r)
{
	return (const struct word_group *)r->words;
}

/* How many bytes of groups may be read although the stack may have become shorter. */
static uint16_t sure_bytes(const struct wire_record *r, uint64_t sp)
{
	uint32_t nr = r->words_bytes / (uint32_t)sizeof(struct word_group), i;
	uint64_t room = stackmap_certain(sp) - sp;

	for (i = 0; i < nr; i++)
		for (int k = 0; k < 4; k++)
			if (((const uint32_t *)groups_of(r)[i].offsets)[k] + 8ull > room)
				return (uint16_t)(i * sizeof(struct word_group));
	return r->words_bytes;
}

/* The words that prove the last walk. False: they cannot be written down. */
static bool pack(struct thread *t, struct wire_record *r, uint64_t sp, uint64_t bp)
{
	uint32_t nr = t->proof_nr, groups = (nr + 3) / 4;
	uint32_t bytes = groups * (uint32_t)sizeof(struct word_group);
	struct word_group *g;

	if (bytes > UINT16_MAX || !words_room(t, r, bytes))
		return false;
	g = (struct word_group *)r->words;
	for (uint32_t i = 0; i < groups * 4; i++) {
		/* The last group is filled up with its last word: no tail loop. */
		const struct word *w = &t->words[nr - 1 - (i < nr ? i : nr - 1)];
		uint64_t offset = w->slot - sp, place;

		if (offset >> 31)
			return false;
		place = i % 4 / 2 + i % 2 * 2; /* 0, 2, 1, 3 */
		((uint32_t *)g[i / 4].offsets)[place] = (uint32_t)offset;
		g[i / 4].value[place] = w->value;
	}
	r->words_bytes = (uint16_t)bytes;
	r->sure_bytes = sure_bytes(r, sp);
	r->flags = t->frames[t->frames_nr - 1].bp_live ? WIRE_RECORD_BP : 0;
	if (r->sure_bytes < r->words_bytes)
		r->flags |= WIRE_RECORD_UNSURE;
	((struct words_head *)r->words)[-1].bp = bp;
	return true;
}

/* A record for this place in the index, which has none yet; NULL: there is none left. */
static struct wire_record *record_new(struct thread *t, uint32_t *place)
{
	if (t->records_nr >= WIRE_RECORDS_NR)
		return NULL;
	*place = t->records_nr++ * (uint32_t)sizeof(struct wire_record);
	__atomic_store_n(&t->wire->records_nr, t->records_nr, __ATOMIC_RELEASE);
	return record_at(t->wire, *place);
}

/* ---- sites ---- */

void remember_no_shapes(struct thread *t, struct record_index *x)
{
	for (size_t i = 0; i < sizeof(x->sets) / sizeof(x->sets[0]); i++)
		for (int k = 0; k < SET_WAYS; k++)
			if (x->sets[i].record[k])
				record_at(t->wire, x->sets[i].record[k])->shape = 0;
}

static uint32_t new_shape(struct thread *t)
{
	struct record_index *x;

	/* Numbers that are used again might be in old records. */
	if (++t->shapes_nr == 0) {
		for (uint32_t i = 0; (x = tags_next_index(t, &i));)
			remember_no_shapes(t, x);
		t->shapes_nr = 1;
	}
	return t->shapes_nr;
}

static void remember_site(struct thread *t, struct wire_header *h, uint64_t pc, uint64_t sp,
			  uint64_t bp, uint32_t node)
{
	uint32_t *place = record_site(t->index, pc, sp);
	struct wire_record *r = *place ? record_at(t->wire, *place) : record_new(t, place);

	if (!r)
		return;
	if (r->epoch == t->epoch && r->confidence) {
		r->confidence--;
		return;
	}
	r->epoch = 0;
	barrier();
	if (r->pc != pc || r->sp != sp || r->node != node) {
		tree_flush_record(h, t->wire, r);
		r->pc = pc;
		r->sp = sp;
		r->node = node;
		return;
	}
	if (!pack(t, r, sp, bp))
		return;
	r->shape = new_shape(t);
	r->hash_bytes = r->sure_bytes ? sizeof(struct word_group) : 0;
	r->confidence = 1;
	barrier();
	r->epoch = t->epoch;
}

/* ---- other stacks of a site ---- */

/* Does the present stack differ from the site's in words that are not hashed yet? Then they will
 * be. */
static void widen_hash(struct wire_record *site, uint64_t sp)
{
	for (uint32_t at = site->sure_bytes; at > site->hash_bytes;
	     at -= sizeof(struct word_group)) {
		const struct word_group *g = groups_of(site) + at / sizeof(*g) - 1;

		if (word_at(sp, (uint32_t)g->offsets[0]) != g->value[0] ||
		    word_at(sp, (uint32_t)(g->offsets[0] >> 32)) != g->value[1]) {
			site->hash_bytes = (uint16_t)at;
			return;
		}
	}
}

/* Takes over a way for this tag: a free one, else one whose record was not used of late. */
static void take_way(struct thread *t, struct wire_header *h, struct record_set *set, uint32_t tag,
		     uint32_t node)
{
	struct wire_record *v, *worst = NULL;
	int way = 0;

	for (int i = 0; i < SET_WAYS; i++) {
		v = record_at(t->wire, set->record[i]); /* the empty one, where there is none */
		if (worst && v->confidence >= worst->confidence)
			continue;
		worst = v;
		way = i;
	}
	if (worst->confidence) {
		worst->confidence--;
		return;
	}
	if (set->record[way]) {
		worst->shape = 0;
		barrier();
		tree_flush_record(h, t->wire, worst);
		worst->node = node;
	}
	set->tag[way] = tag;
}

static void remember_other(struct thread *t, struct wire_header *h, struct wire_record *site,
			   uint64_t sp, uint64_t bp, uint32_t node)
{
	struct record_set *set;
	struct wire_record *v;
	uint32_t tag;
	uint32_t way;

	widen_hash(site, sp);
	set = record_find_set(t->index, site, sp, &tag);
	if (!arch_find_tag(set->tag, tag, &way)) {
		take_way(t, h, set, tag, node);
		return;
	}
	v = set->record[way] ? record_at(t->wire, set->record[way])
			     : record_new(t, &set->record[way]);
	if (!v)
		return;
	if (v->shape == site->shape && v->confidence) {
		v->confidence--;
		return;
	}
	v->shape = 0;
	barrier();
	if (v->node != node)
		tree_flush_record(h, t->wire, v);
	v->node = node;
	if (!pack(t, v, sp, bp))
		return;
	v->confidence = 1;
	barrier();
	v->shape = site->shape;
	site->flags |= WIRE_RECORD_MANY;
}

void remember_stack(struct thread *t, struct wire_header *h, uint64_t pc, uint64_t sp, uint64_t bp,
		    uint32_t node)
{
	struct wire_record *site = record_at(t->wire, *record_site(t->index, pc, sp));

	if (!t->proof_nr)
		return;
	if (site->pc == pc && site->sp == sp && site->epoch == t->epoch && site->hash_bytes)
		remember_other(t, h, site, sp, bp, node);
	else
		remember_site(t, h, pc, sp, bp, node);
}
