/* See patch.h. */
#include "inject/patch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inject/calls.h"
#include "inject/plan.h"
#include "inject/told.h"
#include "target/hold.h"
#include "target/registers.h"
#include "target/tracing.h"

static int write_code(const struct calls *c, uint64_t addr, const void *bytes, size_t len)
{
	const struct freeze *f = &c->hold->freeze;
	ssize_t done = pwrite(c->mem, bytes, len, (off_t)addr);
	int r = done < 0 ? -errno : done == (ssize_t)len ? 0 : -EFAULT;

	for (size_t i = 0; i < f->nr && r == -EIO; i++)
		if (f->threads[i].state == FROZEN_STOPPED)
			r = tracing_write(f->threads[i].tid, addr, bytes, len);
	return r;
}

static bool holds(const struct calls *c, uint64_t addr, const uint8_t *bytes, size_t len)
{
	uint8_t now[MOVED_CODE_MAX];

	return len <= sizeof(now) && pread(c->mem, now, len, (off_t)addr) == (ssize_t)len &&
	       !memcmp(now, bytes, len);
}

static struct threads_look look_of(const struct calls *c)
{
	return (struct threads_look){
		.hold = c->hold,
		.mem = c->mem,
		.maps = &c->maps,
	};
}

/* Where the instruction is now that was at pc, 0: none began there. */
static uint64_t moved_place(const struct plan *p, uint64_t pc)
{
	for (size_t i = 0; i < p->nr_entries; i++) {
		const struct plan_entry *n = &p->entries[i];

		for (uint8_t s = 0; s < n->moved.nr_steps; s++)
			if (n->entry->addr + n->moved.steps[s].from == pc)
				return n->slot + PLAN_THUNK_BYTES + n->moved.steps[s].to;
	}
	return 0;
}

/* Those inside of what becomes a jump go on in its copy. 0; -EAGAIN: one cannot be moved. */
static int move_threads(const struct calls *c, const struct plan *p)
{
	struct threads_look l = look_of(c);
	struct thread_found *found;
	size_t nr;
	int r = 0;

	/* At the very entry a thread may stay. */
	for (size_t i = 0; i < p->nr_entries; i++)
		if (!p->entries[i].by_slots)
			threads_add_span(&l, p->entries[i].entry->addr + 1,
					 p->entries[i].entry->addr + PLAN_JUMP_BYTES);
	threads_look(&l, &found, &nr);
	for (size_t i = 0; i < nr && !r; i++)
		if (found[i].is != THREAD_AT || !moved_place(p, found[i].pc))
			r = -EAGAIN;
	for (size_t i = 0; i < nr && !r; i++)
		if (!registers_set_pc(found[i].tid, moved_place(p, found[i].pc)))
			r = -EAGAIN;
	free(found);
	free(l.spans);
	return r;
}

bool patch_slots_hold(const struct calls *c, const struct plan *p)
{
	for (size_t i = 0; i < p->nr_slots; i++)
		if (!holds(c, p->slots[i].addr, (const uint8_t *)&p->slots[i].before,
			   WIRE_SLOT_BYTES))
			return false;
	return true;
}

static bool entries_hold(const struct calls *c, const struct plan *p)
{
	for (size_t i = 0; i < p->nr_entries; i++)
		if (!p->entries[i].by_slots &&
		    !holds(c, p->entries[i].entry->addr, p->entries[i].entry->bytes,
			   p->entries[i].moved.taken))
			return false;
	return true;
}

/* Entry or slot i of them all; forth, or back. */
static int write_one(const struct calls *c, const struct plan *p, size_t i, bool forth)
{
	if (i < p->nr_entries) {
		const struct plan_entry *n = &p->entries[i];

		return n->by_slots ? 0
				   : write_code(c, n->entry->addr,
						forth ? n->jump : n->entry->bytes, PLAN_JUMP_BYTES);
	}
	i -= p->nr_entries;
	return write_code(c, p->slots[i].addr, forth ? &p->slots[i].after : &p->slots[i].before,
			  WIRE_SLOT_BYTES);
}

int patch_apply(const struct calls *c, const struct plan *p)
{
	size_t done = 0, nr = p->nr_entries + p->nr_slots;
	int r;

	if (!entries_hold(c, p))
		return -ESTALE;
	r = move_threads(c, p);
	while (!r && done < nr) {
		r = write_one(c, p, done, true);
		if (!r)
			done++;
	}
	while (r && done--)
		write_one(c, p, done, false);
	return r;
}

/* A jump or a breakpoint that is not ours: another tool has been here after us, and may use it. */
static bool is_taken_over(const struct calls *c, const struct wire_patch *p)
{
	const struct map *m = maps_find(&c->maps, p->addr);
	uint8_t first;

	/* Its module was unloaded, and what is there now is no code. */
	if (!m || !(m->prot & MAP_EXEC))
		return false;
	if (pread(c->mem, &first, 1, (off_t)p->addr) != 1)
		return false; /* its module was unloaded */
	return first != p->original[0] && (first == 0xe9 || first == 0xcc || first == 0xff);
}

/*
 * Another tool has put a function of its own into a slot since, and may call what it found there.
 * One that was just being bound when we came has the real function; and what is no longer mapped
 * from the same file is no slot.
 */
static bool slot_is_taken_over(const struct calls *c, const struct wire_patch *p)
{
	const struct map *m = maps_find(&c->maps, p->addr), *code;
	uint64_t now, before, real, inode;

	memcpy(&before, p->original, sizeof(before));
	memcpy(&real, p->original + WIRE_SLOT_BYTES, sizeof(real));
	memcpy(&inode, p->patched + WIRE_SLOT_BYTES, sizeof(inode));
	if (!m || m->inode != inode ||
	    pread(c->mem, &now, sizeof(now), (off_t)p->addr) != (ssize_t)sizeof(now) ||
	    now == before || now == real)
		return false;
	code = maps_find(&c->maps, now);
	return code && code->prot & MAP_EXEC;
}

static bool is_left(const struct calls *c, const struct wire_patch *p)
{
	if (holds(c, p->addr, p->patched, p->bytes_nr))
		return write_code(c, p->addr, p->original, p->bytes_nr) < 0;
	return p->is_slot ? slot_is_taken_over(c, p) : is_taken_over(c, p);
}

static bool is_last(const struct wire_patch *p)
{
	return p->hook == WIRE_HOOK_finds_object || p->hook == WIRE_HOOK_iterates_1_2;
}

void patch_restore(const struct calls *c, const struct wire_blob *b, bool last, size_t *left)
{
	for (uint32_t i = 0; i < b->patches_nr; i++)
		if (is_last(&b->patches[i]) == last)
			*left += is_left(c, &b->patches[i]);
}

bool patch_in_use(const struct calls *c, const struct wire_blob *b, struct thread_found *ret)
{
	uint64_t calls[TOLD_ADDRESSES_MAX];
	struct threads_look l = look_of(c);
	struct thread_found *found;
	size_t nr;

	l.returns = b->returns;
	l.nr_returns = sizeof(b->returns) / sizeof(b->returns[0]) - 1; /* of the last: let_go() */
	l.calls = calls;
	l.nr_calls = told_addresses(c->mem, b, calls);
	for (uint32_t i = 0; i < b->mapped_nr; i++)
		if (b->mapped[i].end > b->mapped[i].start)
			threads_add_span(&l, b->mapped[i].start, b->mapped[i].end);
	threads_look(&l, &found, &nr);
	if (nr)
		*ret = found[0];
	free(found);
	free(l.spans);
	return nr;
}
