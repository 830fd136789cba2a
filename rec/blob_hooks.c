/*
 * The functions of an allocator other than its plain malloc and free, as the injected recorder sees
 * them. Whatever such a function calls of its allocator's own is not looked at: self_enter_real().
 */
#include "blob_hooks.h"

#include <sys/mman.h>

#include "bytes.h"
#include "forked.h"
#include "modules.h"
#include "moving.h"
#include "record.h"
#include "sys.h"

static uint64_t call(uint64_t f, const struct hook_call *c)
{
	return blob_out(c->arg, f);
}

struct blob_self *hook_enter(const struct hook_call *c)
{
	struct wire_header *h = rec_gate.header;
	struct blob_self *s = blob_self_find();

	if (!h || (s->hidden && blob_self_is_inside(s, hook_call_sp(c))))
		return NULL;
	if (!s->wire) {
		thread_get(h);
		s = blob_self_find();
	}
	return s;
}

/*
 * A call that is not looked at. What it calls in turn is measured from here: each of our frames
 * takes as much of the stack as a good part of a signal's.
 */
static uint64_t pass(uint64_t f, const struct hook_call *c)
{
	uint64_t sp = hook_call_sp(c), outer = self_go_deeper(sp), r = call(f, c);

	self_come_back(sp, outer);
	return r;
}

static uint64_t product(uint64_t a, uint64_t b)
{
	uint64_t bytes;

	/* One that overflows fails; so does this. */
	return __builtin_mul_overflow(a, b, &bytes) ? UINT64_MAX : bytes;
}

static uint64_t note(const struct hook_call *c, uint64_t p, uint64_t bytes)
{
	return (uint64_t)rec_allocated_wrapper((void *)p, bytes, c->pc, hook_call_sp(c), c->bp);
}

/* ---- allocations ---- */

static uint64_t allocates(struct hook_call *c, uint64_t f, uint64_t bytes)
{
	struct blob_self *s;
	uint64_t p;

	if (!(s = hook_enter(c)))
		return pass(f, c);
	self_enter_real(s, hook_call_sp(c));
	p = call(f, c);
	self_leave_real(s);
	return note(c, p, bytes);
}

HOOK uint64_t hook_allocates_1(struct hook_call *c)
{
	return allocates(c, c->real, c->arg[0]);
}

HOOK uint64_t hook_allocates_2(struct hook_call *c)
{
	return allocates(c, c->real, c->arg[1]);
}

HOOK uint64_t hook_allocates_12(struct hook_call *c)
{
	return allocates(c, c->real, product(c->arg[0], c->arg[1]));
}

HOOK uint64_t hook_allocates_23(struct hook_call *c)
{
	return allocates(c, c->real, product(c->arg[1], c->arg[2]));
}

HOOK uint64_t hook_allocates_string(struct hook_call *c)
{
	struct blob_self *s;
	uint64_t p;

	if (!(s = hook_enter(c)))
		return pass(c->real, c);
	self_enter_real(s, hook_call_sp(c));
	p = call(c->real, c);
	self_leave_real(s);
	return note(c, p, p ? text_length((const char *)p) + 1 : 0);
}

HOOK uint64_t hook_new_1(struct hook_call *c)
{
	return allocates(c, c->instead, c->arg[0]);
}

HOOK uint64_t hook_fills_1_3(struct hook_call *c)
{
	struct blob_self *s;
	uint64_t r;

	if (!(s = hook_enter(c)))
		return pass(c->real, c);
	self_enter_real(s, hook_call_sp(c));
	r = call(c->real, c);
	self_leave_real(s);
	if ((int)r == 0)
		note(c, *(uint64_t *)c->arg[0], c->arg[2]);
	return r;
}

/* ---- frees ---- */

/* They return nothing, so that a caller may know that they leave rax alone. */
HOOK uint64_t hook_frees_1(struct hook_call *c)
{
	struct blob_self *s;

	if (!c->arg[0] || !(s = hook_enter(c))) {
		pass(c->real, c);
		return c->rax;
	}
	rec_freed((void *)c->arg[0]);
	self_enter_real(s, hook_call_sp(c));
	call(c->real, c);
	self_leave_real(s);
	return c->rax;
}

/* Called by code that also frees what has been freed before; see struct wire_blob. */
HOOK uint64_t hook_frees_quietly(struct hook_call *c)
{
	bool known = false;
	struct hook k;

	if (hook_begin(&k, hook_call_sp(c))) {
		known = table_find(k.h, c->arg[0]);
		hook_end(&k);
	}
	if (known)
		rec_freed((void *)c->arg[0]);
	return call(c->real, c);
}

/* ---- reallocations ---- */

/* p: what a function like realloc returned for old. */
static void moved(const struct hook_call *c, const struct moving *m, uint64_t old, uint64_t p,
		  uint64_t bytes, bool freed)
{
	if (!moving_end(m, (void *)old, (void *)p, bytes, freed))
		note(c, p, bytes);
}

/* frees: when it fails, the old block is freed all the same. */
static uint64_t reallocs(struct hook_call *c, uint64_t old, uint64_t bytes, bool frees)
{
	struct blob_self *s;
	struct moving m;
	uint64_t p;

	if (!(s = hook_enter(c)))
		return pass(c->real, c);
	m = moving_begin((void *)old, hook_call_sp(c));
	self_enter_real(s, hook_call_sp(c));
	p = call(c->real, c);
	self_leave_real(s);
	moved(c, &m, old, p, bytes, bytes == 0 || frees);
	return p;
}

HOOK uint64_t hook_reallocs_1_2(struct hook_call *c)
{
	return reallocs(c, c->arg[0], c->arg[1], false);
}

HOOK uint64_t hook_reallocs_1_23(struct hook_call *c)
{
	return reallocs(c, c->arg[0], product(c->arg[1], c->arg[2]), false);
}

HOOK uint64_t hook_reallocs_2_3(struct hook_call *c)
{
	return reallocs(c, c->arg[1], c->arg[2], false);
}

HOOK uint64_t hook_reallocs_2_34(struct hook_call *c)
{
	return reallocs(c, c->arg[1], product(c->arg[2], c->arg[3]), false);
}

HOOK uint64_t hook_reallocs_or_frees_1_2(struct hook_call *c)
{
	return reallocs(c, c->arg[0], c->arg[1], true);
}

HOOK uint64_t hook_reallocs_or_frees_2_3(struct hook_call *c)
{
	return reallocs(c, c->arg[1], c->arg[2], true);
}

/* reallocarr(&block, nr, bytes): what is read from there is what the real one will read. */
HOOK uint64_t hook_replaces_1_23(struct hook_call *c)
{
	struct blob_self *s;
	uint64_t *place = (uint64_t *)c->arg[0], old, bytes = product(c->arg[1], c->arg[2]), r;
	struct moving m;
	bool done;

	if (!place || !(s = hook_enter(c)))
		return pass(c->real, c);
	old = *place;
	m = moving_begin((void *)old, hook_call_sp(c));
	self_enter_real(s, hook_call_sp(c));
	r = call(c->real, c);
	self_leave_real(s);
	done = (int)r == 0;
	moved(c, &m, old, done ? *place : 0, bytes, done);
	return r;
}

/* The block stays where it is, with at least so many bytes when the real one says so. */
HOOK uint64_t hook_resizes_1_2(struct hook_call *c)
{
	struct blob_self *s;
	bool out = false; /* taken out of the table: this caller's stack is better */
	struct hook k;
	uint64_t usable;

	if (!(s = hook_enter(c)))
		return pass(c->real, c);
	self_enter_real(s, hook_call_sp(c));
	usable = call(c->real, c);
	self_leave_real(s);
	if (usable < c->arg[1])
		return usable;
	if (hook_begin(&k, hook_call_sp(c))) {
		out = table_find(k.h, c->arg[0]) && !record_resize(k.h, k.w, c->arg[0], c->arg[1]);
		hook_end(&k);
	}
	if (out)
		note(c, c->arg[0], c->arg[1]);
	return usable;
}

/* ---- others ---- */

/* After an unload, what was learnt of the code there is void. */
HOOK uint64_t hook_closes_1(struct hook_call *c)
{
	struct wire_header *h = rec_gate.header;
	uint64_t r;

	if (h)
		modules_unloading(h);
	r = call(c->real, c);
	if (h && rec_gate.header == h)
		modules_unloaded(h);
	return r;
}

/* See hook_mlockall() of hooks.c. */
HOOK uint64_t hook_locks(struct hook_call *c)
{
	int flags = (int)c->arg[0];
	uint64_t r;

	if (!rec_gate.tables || !(flags & MCL_CURRENT) || (flags & ~(MCL_CURRENT | MCL_FUTURE)))
		return pass(c->real, c);
	if (flags & MCL_FUTURE) {
		c->arg[0] = MCL_FUTURE;
		r = call(c->real, c);
		c->arg[0] = (uint64_t)flags;
		if ((int)r)
			return r;
	}
	if (rec_lock_mappings())
		return 0;
	sys0(SYS_munlockall);
	return call(c->real, c);
}

/* fork() and what does the same: the child returns from here, too. */
HOOK uint64_t hook_forks(struct hook_call *c)
{
	struct forking f;
	uint64_t r;

	forking_begin(&f);
	r = call(c->real, c);
	forking_end(&f, (int)r == 0);
	return r;
}
