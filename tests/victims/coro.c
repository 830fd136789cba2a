/*
 * A thousand coroutines of each kind (ucontext, and a switch written by hand) that allocate at
 * several depths, switch in the middle, and whose stacks are mapped and unmapped all the time.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "truth.h"
#ifdef __x86_64__
#include "fiber.h"
#endif

#define TOGETHER 50
#define BATCHES 20
#define ROUNDS 10

struct coroutine {
	int id;
	int done;
	void *stack;
	size_t stack_size;
	ucontext_t context;
	void *sp;
	void (*yield)(struct coroutine *);
};

static struct coroutine all[TOGETHER];
static struct truth_site *work_site, *leak_site;
static ucontext_t main_context;

static NOINLINE void leak_in_coroutine(void)
{
	truth_born(leak_site, malloc(opaque(24)), 24);
}

static NOINLINE void work_in_coroutine(struct coroutine *c, int depth)
{
	size_t size = 100 + (size_t)(depth * 10 + c->id);
	void *p = truth_born(work_site, malloc(size), size);

	if (depth > 0)
		work_in_coroutine(c, depth - 1);
	else
		c->yield(c);
	truth_died(work_site, size);
	free(p);
}

static void live(struct coroutine *c)
{
	leak_in_coroutine();
	for (int round = 0; round < ROUNDS; round++)
		work_in_coroutine(c, (c->id + round) % 7);
	c->done = 1;
}

static void map_stack(struct coroutine *c, int id, int batch)
{
	c->id = id;
	c->done = 0;
	c->stack_size = 32768 + (size_t)(batch % 3) * 8192;
	c->stack = mmap(NULL, c->stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	if (c->stack == MAP_FAILED)
		abort();
}

static void unmap_stacks(void)
{
	for (int i = 0; i < TOGETHER; i++)
		munmap(all[i].stack, all[i].stack_size);
}

static void yield_context(struct coroutine *c)
{
	swapcontext(&c->context, &main_context);
}

static void start_context(int id)
{
	live(&all[id]);
}

static void run_contexts(int batch)
{
	for (int i = 0; i < TOGETHER; i++) {
		map_stack(&all[i], i, batch);
		all[i].yield = yield_context;
		getcontext(&all[i].context);
		all[i].context.uc_stack.ss_sp = all[i].stack;
		all[i].context.uc_stack.ss_size = all[i].stack_size;
		all[i].context.uc_link = &main_context;
		makecontext(&all[i].context, (void (*)(void))start_context, 1, i);
	}
	for (int left = TOGETHER; left > 0;) {
		for (int i = 0; i < TOGETHER; i++) {
			if (all[i].done)
				continue;
			swapcontext(&main_context, &all[i].context);
			left -= all[i].done;
		}
	}
	unmap_stacks();
}

#ifdef __x86_64__
static void *main_sp;

static void yield_fiber(struct coroutine *c)
{
	fiber_switch(&c->sp, main_sp);
}

static void start_fiber(void *arg)
{
	live(arg);
	yield_fiber(arg);
	abort();
}

static void run_fibers(int batch)
{
	for (int i = 0; i < TOGETHER; i++) {
		map_stack(&all[i], i, batch);
		all[i].yield = yield_fiber;
		all[i].sp = fiber_new(all[i].stack, all[i].stack_size, start_fiber, &all[i]);
	}
	for (int left = TOGETHER; left > 0;) {
		for (int i = 0; i < TOGETHER; i++) {
			if (all[i].done)
				continue;
			fiber_switch(&main_sp, all[i].sp);
			left -= all[i].done;
		}
	}
	unmap_stacks();
}
#endif

int main(int argc, char **argv)
{
	work_site = truth_at("work_in_coroutine");
	leak_site = truth_at("leak_in_coroutine");
	for (int batch = 0; batch < BATCHES; batch++) {
		run_contexts(batch);
#ifdef __x86_64__
		run_fibers(batch);
#endif
	}
	truth_print("coro", "end");
	truth_wait(argc, argv);
	return truth_status();
}
