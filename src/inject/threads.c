/* See threads.h. */
#include "inject/threads.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "target/hold.h"
#include "target/maps.h"
#include "target/registers.h"

#define PIECE_BYTES (64u << 10)
/* More of a stack than this is not looked at: live parts are far smaller. */
#define STACK_MAX_BYTES (16u << 20)

#define NEAR_WORDS 64
#define SMALL_FRAME_WORDS 8
#define SIGNALS_DEEP 8 /* handlers on stacks of their own, one interrupting the other */

/*
 * A signal's frame is known by the words of its struct sigcontext (the kernel's
 * arch/x86/include/uapi/asm/sigcontext.h), whatever code it will return through: each library may
 * have its own. The segments' word has cs and ss, which is 0 from kernels that do not tell it.
 */
#define FRAME_WORDS 18 /* in front of the segments: r8 to r15, then those that follow */
enum { FRAME_BP = 10, FRAME_SP = 15, FRAME_PC, FRAME_FLAGS };
/* In front of these, struct ucontext has the alternate stack: start, flags, bytes. */
#define FRAME_STACK_WORDS 3
#define SEGMENTS UINT64_C(0x002b000000000033)
#define SEGMENTS_WITHOUT_SS UINT64_C(0x33)
#define FLAGS_ALWAYS UINT64_C(0x202) /* of code that runs: interrupts are on */

struct looking {
	struct threads_look *l;
	struct thread_found **found;
	size_t *nr, cap;
	int32_t tid;
	uint64_t piece[PIECE_BYTES / 8];
	uint64_t others[SIGNALS_DEEP]; /* stack pointers of interrupted code on other stacks */
	size_t nr_others;
};

int threads_stop(struct hold *h)
{
	h->shared = false; /* at an earlier stop */
	return hold_stop_only(h);
}

void threads_add_span(struct threads_look *l, uint64_t start, uint64_t end)
{
	size_t at;

	ARRAY_GROW(l->spans, l->nr_spans, l->cap_spans);
	for (at = l->nr_spans++; at && l->spans[at - 1].start > start; at--)
		l->spans[at] = l->spans[at - 1];
	l->spans[at] = (struct code_span){start, end};
}

static bool in_spans(const struct threads_look *l, uint64_t pc)
{
	size_t low = 0, high = l->nr_spans;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (l->spans[middle].end <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	return low < l->nr_spans && pc >= l->spans[low].start;
}

static bool is_return(const struct threads_look *l, uint64_t word)
{
	for (size_t i = 0; i < l->nr_returns; i++)
		if (l->returns[i] == word)
			return true;
	return false;
}

static void add(struct looking *k, enum thread_is is, uint64_t pc, uint64_t at)
{
	struct thread_found f = {.tid = k->tid, .is = is, .pc = pc, .at = at};

	ARRAY_PUSH(*k->found, *k->nr, k->cap, f);
}

static bool is_segments(uint64_t word)
{
	return word == SEGMENTS || word == SEGMENTS_WITHOUT_SS;
}

/* ---- calls that are about to be made ---- */

static bool is_call(const struct threads_look *l, const uint64_t *words, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		for (size_t k = 0; k < l->nr_calls; k++)
			if (words[i] == l->calls[k])
				return true;
	return false;
}

/* From fetching the address to the call there is no system call. */
static bool is_behind_system_call(const struct threads_look *l, uint64_t pc)
{
	static const uint8_t wanted[] = {0x0f, 0x05};
	uint8_t code[sizeof(wanted)];

	return pread(l->mem, code, sizeof(code), (off_t)(pc - sizeof(code))) == sizeof(code) &&
	       !memcmp(code, wanted, sizeof(code));
}

/*
 * Code that is not optimised keeps the address on the stack, in the frame that it is in; where that
 * ends is not known without a frame pointer, but those of seep.h's functions are small. And a call
 * by way of a return has it at its top.
 */
static void look_for_call(struct looking *k, const uint64_t *registers, size_t nr, uint64_t pc,
			  uint64_t sp, uint64_t bp)
{
	uint64_t frame[NEAR_WORDS];
	size_t words = bp > sp && bp - sp <= sizeof(frame) ? (size_t)(bp - sp) / 8 : 0;

	if (words < SMALL_FRAME_WORDS)
		words = SMALL_FRAME_WORDS;
	if (!k->l->nr_calls || is_behind_system_call(k->l, pc))
		return;
	if (is_call(k->l, registers, nr) ||
	    (pread(k->l->mem, frame, words * 8, (off_t)sp) == (ssize_t)(words * 8) &&
	     is_call(k->l, frame, words)))
		add(k, THREAD_CALLS, pc, 0);
}

/* ---- stacks ---- */

/*
 * Is it a frame on an alternate stack that the stack pointer is not on? The handler has ended then,
 * or is another thread's. In Go such stacks lie behind those of goroutines, in one mapping.
 */
static bool is_elsewhere(const uint64_t stack[FRAME_STACK_WORDS], uint64_t addr, uint64_t from)
{
	uint64_t start = stack[0], bytes = stack[2];

	return addr - start < bytes && from - start >= bytes;
}

/* The frame of a handler may have its segments at addr. */
static void look_at_frame(struct looking *k, uint64_t addr, uint64_t from, uint64_t end)
{
	uint64_t frame[FRAME_STACK_WORDS + FRAME_WORDS], pc, sp;
	const uint64_t *words = frame + FRAME_STACK_WORDS;

	if (pread(k->l->mem, frame, sizeof(frame), (off_t)(addr - sizeof(frame))) !=
		    (ssize_t)sizeof(frame) ||
	    (words[FRAME_FLAGS] & FLAGS_ALWAYS) != FLAGS_ALWAYS || is_elsewhere(frame, addr, from))
		return;
	pc = words[FRAME_PC];
	sp = words[FRAME_SP];
	if (in_spans(k->l, pc))
		add(k, THREAD_INTERRUPTED, pc, addr);
	else
		look_for_call(k, words, FRAME_PC, pc, sp, words[FRAME_BP]);
	if ((sp < from || sp >= end) && k->nr_others < SIGNALS_DEEP)
		k->others[k->nr_others++] = sp;
}

static uint64_t stack_end(const struct threads_look *l, uint64_t sp)
{
	const struct map *m = maps_find(l->maps, sp);

	/* One that is newer than the list ends where it cannot be read any more. */
	return m && m->end - sp < STACK_MAX_BYTES ? m->end : sp + STACK_MAX_BYTES;
}

static void look_at_stack(struct looking *k, uint64_t sp)
{
	uint64_t from = sp & ~UINT64_C(7), end = stack_end(k->l, from), at = from;
	size_t first = *k->nr;

	while (at < end) {
		size_t len = end - at < PIECE_BYTES ? (size_t)(end - at) : PIECE_BYTES;
		ssize_t got = pread(k->l->mem, k->piece, len, (off_t)at);

		for (ssize_t i = 0; i < got / 8; i++) {
			uint64_t word = k->piece[i];

			if (is_segments(word))
				look_at_frame(k, at + (uint64_t)i * 8, from, end);
			else if ((*k->nr == first || k->l->all_returns) && is_return(k->l, word))
				add(k, THREAD_CALLED, word, at + (uint64_t)i * 8);
		}
		if (got < (ssize_t)len)
			return;
		at += (uint64_t)got;
	}
}

static void look_at_stopped(struct looking *k, const struct frozen_thread *thread)
{
	struct registers_place place;

	if (!registers_get_place(thread->tid, &place))
		return;
	if (in_spans(k->l, place.pc))
		add(k, THREAD_AT, place.pc, 0);
	else
		look_for_call(k, place.general, REGISTERS_GENERAL_NR, place.pc, place.sp, place.bp);
	look_at_stack(k, place.sp);
}

static void look_at_sleeper(struct looking *k, const struct frozen_thread *thread)
{
	struct sleeper s;

	if (!freeze_read_sleeper(k->l->hold->freeze.dir, thread->tid, &s))
		return;
	if (in_spans(k->l, s.pc))
		add(k, THREAD_ASLEEP, s.pc, 0);
	else if (k->l->nr_calls && s.call < 0)
		add(k, THREAD_CALLS, s.pc, 0); /* maybe: its registers are not to be had */
	look_at_stack(k, s.sp);
}

void threads_look(struct threads_look *l, struct thread_found **ret, size_t *ret_nr)
{
	struct freeze *f = &l->hold->freeze;
	struct looking *k = mem_alloc(sizeof(*k));

	*ret = NULL;
	*ret_nr = 0;
	k->l = l;
	k->found = ret;
	k->nr = ret_nr;
	for (size_t i = 0; i < f->nr; i++) {
		k->tid = f->threads[i].tid;
		k->nr_others = 0;
		if (f->threads[i].state == FROZEN_STOPPED)
			look_at_stopped(k, &f->threads[i]);
		else if (f->threads[i].state == FROZEN_KERNEL)
			look_at_sleeper(k, &f->threads[i]);
		for (size_t s = 0; s < k->nr_others; s++)
			look_at_stack(k, k->others[s]);
	}
	free(k);
}
