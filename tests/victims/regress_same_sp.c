/*
 * One call site at one stack pointer: first deep in the calls of a coroutine on a big stack, then
 * near the top of a small stack in the same place, with nothing mapped above it. Whoever believes
 * what was learnt about the first stack reads beyond the end of the second.
 *
 * Exit status 0: done; 77: the stacks do not meet on this machine.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "truth.h"

#define BIG_BYTES (1 << 17)
#define SMALL_BYTES (1 << 14)
#define AROUND 32768 /* kept free of other mappings */
#define PAGE 4096

static ucontext_t main_context, context;
static uintptr_t leaf_frame;

static NOINLINE void leaf(void)
{
	void *p = malloc(opaque(24));

	leaf_frame = (uintptr_t)__builtin_frame_address(0);
	truth_touch(p);
	free(p);
}

static NOINLINE void descend(int levels)
{
	char frame[1000];

	truth_touch(frame);
	if (levels > 0)
		descend(levels - 1);
	else
		leaf();
	truth_touch(frame);
}

static void run_deep(void)
{
	for (volatile int i = 0; i < 9; i++)
		descend(45);
	swapcontext(&context, &main_context);
}

static void run_shallow(void)
{
	for (volatile int i = 0; i < 4; i++)
		descend(0);
	swapcontext(&context, &main_context);
}

/* Returns where the innermost frame was. */
static uintptr_t run_on(void (*run)(void), uintptr_t stack, size_t bytes)
{
	getcontext(&context);
	context.uc_stack.ss_sp = (void *)stack;
	context.uc_stack.ss_size = bytes;
	context.uc_link = &main_context;
	makecontext(&context, run, 0);
	swapcontext(&main_context, &context);
	return leaf_frame;
}

static uintptr_t map(uintptr_t at, size_t bytes, int prot)
{
	void *p = mmap((void *)at, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0),
		       -1, 0);

	if (p == MAP_FAILED)
		abort();
	return (uintptr_t)p;
}

/* How far below the top of its stack run_shallow() has its innermost frame. */
static size_t shallow_depth(void)
{
	uintptr_t stack = map(0, SMALL_BYTES, PROT_READ | PROT_WRITE);

	return stack + SMALL_BYTES - run_on(run_shallow, stack, SMALL_BYTES);
}

int main(void)
{
	uintptr_t place = map(0, BIG_BYTES + 2 * AROUND, PROT_NONE) + AROUND, deep, top, low;
	size_t depth = shallow_depth();

	map(place, BIG_BYTES, PROT_READ | PROT_WRITE);
	deep = run_on(run_deep, place, BIG_BYTES);
	munmap((void *)place, BIG_BYTES);
	top = deep + depth;
	low = (top - SMALL_BYTES) / PAGE * PAGE;
	map(low, (top - low + PAGE - 1) / PAGE * PAGE, PROT_READ | PROT_WRITE);
	return run_on(run_shallow, top - SMALL_BYTES, SMALL_BYTES) == deep ? 0 : SKIPPED;
}
