/*
 * Functions that acquire and release resources, by what the injector says of each (struct
 * pair_call, what). No wrapper of such a function knows all of its arguments and results, so every
 * register is as it was, before and after; and because some of them wait for long, are left by an
 * exception, or by a thread that is cancelled, our frame is one that can be unwound and that can be
 * let go (see WIRE_PAIR_FRAME_BYTES). Ends are noted before, and leave no frame, unless the result
 * tells whether it is one.
 */
#include <fcntl.h>

#include "blob_hooks.h"
#include "blob_image.h"
#include "bytes.h"
#include "handles.h"
#include "record.h"
#include "sys.h"

#define STACKED 15

/* On the stack, as entry_blob_x86_64.S builds it. */
struct pair_call {
	uint64_t stacked[STACKED]; /* arguments behind the sixth, for the real one */
	uint64_t arg[6];
	uint64_t what; /* see WIRE_PAIR_KIND */
	uint64_t real;
	uint64_t began; /* handles_now() */
	uint64_t old;	/* what was where the handle goes to; or which one may end */
	uint64_t r10, r11;
	uint64_t pc; /* where the caller's call returns to */
};
_Static_assert(offsetof(struct pair_call, arg) == 120 && offsetof(struct pair_call, what) == 168 &&
		       offsetof(struct pair_call, real) == 176 &&
		       offsetof(struct pair_call, r10) == 200 &&
		       offsetof(struct pair_call, pc) == WIRE_PAIR_FRAME_BYTES,
	       "as entry_blob_x86_64.S has it");

void pair_begins(struct pair_call *c);
void pair_acquired(struct pair_call *c, uint64_t result, uint64_t bp);
void pair_releases(struct pair_call *c);

/* ---- what a call says ---- */

static uint64_t pair_sp(const struct pair_call *c)
{
	return (uint64_t)(&c->pc + 1);
}

static uint32_t kind_of(const struct pair_call *c)
{
	return c->what & WIRE_PAIR_KIND;
}

/* The argument that is meant, 0: the result is. */
static uint32_t place_of(const struct pair_call *c)
{
	return c->what >> WIRE_PAIR_PLACE_SHIFT & WIRE_PAIR_PLACE;
}

static uint64_t argument(const struct pair_call *c)
{
	return c->arg[place_of(c) - 1];
}

/*
 * A child of vfork() uses our memory, but descriptors of its own; and what the allocator calls is
 * its own affair.
 */
static bool counts(const struct pair_call *c)
{
	return rec_gate.header && !self_is_inside(pair_sp(c)) &&
	       (uint64_t)sys0(SYS_getpid) == rec_blob.pid;
}

static bool is_none(const struct pair_call *c, uint64_t handle)
{
	return c->what & WIRE_PAIR_NUMBER ? (int32_t)handle < 0 : !handle;
}

static bool is_stream(const struct pair_call *c)
{
	return c->what & (WIRE_PAIR_FILE | WIRE_PAIR_DIR);
}

static uint64_t handle_of(const struct pair_call *c, uint64_t value)
{
	const uint64_t args[6] = {value};
	uint64_t ask = c->what & WIRE_PAIR_FILE ? rec_blob.file_number : rec_blob.dir_number;

	if (is_stream(c))
		value = ask && value ? blob_out(args, ask) : UINT32_MAX;
	return c->what & WIRE_PAIR_NUMBER ? (uint32_t)value : value;
}

/* How many handles the call has brought; at most 2. */
static int acquired(const struct pair_call *c, uint64_t result, uint64_t handles[2])
{
	uint32_t two[2];

	if (c->what & WIRE_PAIR_TWO) {
		if ((int)result || !blob_read(argument(c), two, sizeof(two)))
			return 0;
		handles[0] = two[0];
		handles[1] = two[1];
		return 2;
	}
	if (place_of(c)) {
		/* One that has failed may have left there what was there. */
		if (!blob_read(argument(c), &handles[0],
			       c->what & WIRE_PAIR_NUMBER ? sizeof(int) : sizeof(uint64_t)) ||
		    ((int)result && handles[0] == c->old))
			return 0;
	} else if (is_stream(c) ? !result : is_none(c, result)) {
		return 0;
	} else {
		handles[0] = result;
	}
	if ((c->what & WIRE_PAIR_DUP && (uint32_t)c->arg[0] == (uint32_t)result) ||
	    (c->what & WIRE_PAIR_FCNTL && (int)c->arg[1] != F_DUPFD &&
	     (int)c->arg[1] != F_DUPFD_CLOEXEC))
		return 0;
	handles[0] = handle_of(c, handles[0]);
	return !is_none(c, handles[0]);
}

/* ---- a function that acquires ---- */

/* The real one looks for its further arguments where it is called from: in our frame. */
static void copy_stacked(struct pair_call *c)
{
	uint64_t from = pair_sp(c), all = sizeof(c->stacked);
	uint64_t certain = stackmap_certain(from) - from, n = certain < all ? certain : all;

	bytes_copy(c->stacked, (const void *)from, n);
	if (n < all)
		blob_read(from + n, (char *)c->stacked + n, all - n);
}

/* The handle that is about to be released may be another's as soon as it is. */
static void note_judged(struct pair_call *c)
{
	struct hook k;

	if (!counts(c) || !hook_begin(&k, pair_sp(c)))
		return;
	c->old = handle_number(&k, kind_of(c), handle_of(c, argument(c)));
	hook_end(&k);
}

HOOK void pair_begins(struct pair_call *c)
{
	copy_stacked(c);
	c->began = handles_now();
	c->old = 0;
	if (c->what & WIRE_PAIR_JUDGED)
		note_judged(c);
	else if (place_of(c) && !(c->what & WIRE_PAIR_TWO))
		blob_read(argument(c), &c->old,
			  c->what & WIRE_PAIR_NUMBER ? sizeof(int) : sizeof(uint64_t));
}

static void judge(struct pair_call *c, uint64_t result)
{
	struct hook k;

	if ((int)result || !c->old || !hook_begin(&k, pair_sp(c)))
		return;
	handle_released(&k, kind_of(c), handle_of(c, argument(c)), c->old);
	k.w->last_block = 0;
	hook_end(&k);
}

HOOK void pair_acquired(struct pair_call *c, uint64_t result, uint64_t bp)
{
	const struct arch_caller caller = {c->pc, pair_sp(c), bp};
	uint64_t handles[2] = {0};
	struct hook k;
	int nr;

	if (!rec_gate.header)
		return;
	if (c->what & WIRE_PAIR_JUDGED) {
		judge(c, result);
		return;
	}
	nr = acquired(c, result, handles);
	if (!nr || !counts(c) || !hook_begin(&k, caller.sp))
		return;
	for (int i = 0; i < nr; i++)
		handle_acquired(&k, kind_of(c), handles[i], c->began, &caller);
	k.w->last_block = 0;
	hook_end(&k);
}

/* ---- a function that releases ---- */

static void release_range(const struct hook *k, const struct pair_call *c)
{
	uint32_t first = (uint32_t)argument(c), last = (uint32_t)c->arg[place_of(c)];

	if ((uint32_t)c->arg[place_of(c) + 1]) /* flags: nothing is closed now, or not ours */
		return;
	handles_released(k, kind_of(c), first, last);
}

HOOK void pair_releases(struct pair_call *c)
{
	uint64_t handle;
	struct hook k;

	if (!rec_gate.header)
		return;
	handle = handle_of(c, argument(c));
	if (is_none(c, handle) || !counts(c) || !hook_begin(&k, pair_sp(c)))
		return;
	if (c->what & WIRE_PAIR_RANGE)
		release_range(&k, c);
	else
		handle_released(&k, kind_of(c), handle, 0);
	k.w->last_block = 0;
	hook_end(&k);
}
