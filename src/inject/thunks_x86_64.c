/* See thunks.h. Where the hooks expect what: wire/blob.h. */
#include "inject/thunks.h"

#include <stdbool.h>
#include <string.h>

#include "inject/plan.h"

/* jmp *0(%rip), and the address behind it */
static const uint8_t jump_far[] = {0xff, 0x25, 0, 0, 0, 0};

static bool reaches(uint64_t at, uint64_t target)
{
	int64_t distance = (int64_t)(target - (at + PLAN_JUMP_BYTES));

	return distance == (int32_t)distance;
}

static void put_jump(uint8_t *to, uint64_t at, uint64_t target)
{
	int32_t distance = (int32_t)(target - (at + PLAN_JUMP_BYTES));

	to[0] = 0xe9;
	memcpy(to + 1, &distance, sizeof(distance));
}

static uint8_t *put_bytes(uint8_t *to, const void *bytes, size_t nr)
{
	memcpy(to, bytes, nr);
	return to + nr;
}

/* What now is the function. */
static uint64_t real_of(const struct plan_entry *n)
{
	return n->by_slots ? n->entry->addr : n->slot + PLAN_THUNK_BYTES;
}

static bool is_of_pair(const struct plan_entry *n)
{
	return n->hook == WIRE_HOOK_acquires || n->hook == WIRE_HOOK_releases;
}

/* r11 and r10 for the hook, and what they were before. */
static uint8_t *put_registers(uint8_t *to, const struct plan *p, const struct plan_entry *n)
{
	/* mov %r11, -8(%rsp); mov %r10, -16(%rsp) */
	static const uint8_t keep[] = {0x4c, 0x89, 0x5c, 0x24, 0xf8, 0x4c, 0x89, 0x54, 0x24, 0xf0};
	static const uint8_t mov_r10[] = {0x49, 0xba}, mov_r11[] = {0x49, 0xbb};
	uint64_t real = real_of(n), more = n->entry->what;

	to = put_bytes(to, keep, sizeof(keep));
	to = put_bytes(to, mov_r11, sizeof(mov_r11));
	to = put_bytes(to, &real, sizeof(real));
	if (n->instead)
		more = plan_real(p, n->instead->addr);
	if (!n->instead && !is_of_pair(n))
		return to;
	to = put_bytes(to, mov_r10, sizeof(mov_r10));
	return put_bytes(to, &more, sizeof(more));
}

static void write_thunk(const struct plan *p, struct plan_entry *n, struct wire_blob *blob)
{
	uint64_t hook = blob->hooks[n->hook], at;
	bool plain = n->hook < WIRE_HOOKS_PLAIN_NR;
	uint8_t *to = n->thunk;

	if (plain)
		blob->reals[n->hook] = real_of(n);
	else
		to = put_registers(to, p, n);
	at = n->slot + (uint64_t)(to - n->thunk);
	if (reaches(at, hook)) {
		put_jump(to, at, hook);
	} else {
		to = put_bytes(to, jump_far, sizeof(jump_far));
		put_bytes(to, &hook, sizeof(hook));
	}
	/* Past a thunk that only jumps: each jump is felt. */
	if (!n->by_slots)
		put_jump(n->jump, n->entry->addr,
			 plain && reaches(n->entry->addr, hook) ? hook : n->slot);
}

static uint64_t thunk_of(const struct plan *p, const struct entry *e)
{
	for (size_t i = 0; i < p->nr_entries; i++)
		if (p->entries[i].entry == e)
			return p->entries[i].slot;
	return 0;
}

static void write_slot(const struct plan *p, struct plan_slot *s)
{
	s->after = thunk_of(p, s->entry);
	if (!s->is_stub)
		return;
	s->landing += p->nears[s->near].start;
	memcpy(s->jump, jump_far, sizeof(jump_far));
	memcpy(s->jump + sizeof(jump_far), &s->after, sizeof(s->after));
	s->after = s->before;
	put_jump((uint8_t *)&s->after, s->addr, s->landing);
}

void thunks_write(struct plan *p, struct wire_blob *blob)
{
	for (size_t i = 0; i < p->nr_entries; i++)
		write_thunk(p, &p->entries[i], blob);
	for (size_t i = 0; i < p->nr_slots; i++)
		write_slot(p, &p->slots[i]);
}
