/* More than one stack: signal frames, alternate stacks, coroutines of every kind. */
#include "adv.h"

#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#if defined(__x86_64__)
#include "../victims/fiber.h"
#endif
#if defined(__cpp_impl_coroutine)
#include <coroutine>
#include <thread>
#endif

static void *map_stack(size_t size)
{
	void *stack =
		mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stack == MAP_FAILED)
		abort();
	return stack;
}

static void handle(int signal, void (*handler)(int), int flags)
{
	struct sigaction action = {};

	action.sa_handler = handler;
	action.sa_flags = flags;
	sigaction(signal, &action, nullptr);
}

/* --- Signals that the program raises itself, at many depths, one inside the other. */

static void inner_handler(int)
{
	churn(33);
	stay();
}

static void outer_handler(int)
{
	volatile char room[64];

	room[0] = 1;
	churn(32);
	if (dice() % 3 == 0)
		raise(SIGUSR2);
	churn(64);
	touch(room);
}

static NOINLINE int raise_at(int depth)
{
	volatile char room[40];
	int below;

	room[0] = (char)depth;
	if (depth <= 0) {
		churn(10);
		raise(SIGUSR1);
		churn(11);
		return 1;
	}
	below = raise_at(depth - 1) + raise_at(depth - 2);
	return below + room[0];
}

static void raised_signals()
{
	handle(SIGUSR1, outer_handler, 0);
	handle(SIGUSR2, inner_handler, 0);
	raise_at(8);
}

/* The alternate stack is a different piece of memory each time, often at an old address. */
static void alternate_stacks()
{
	handle(SIGUSR1, outer_handler, SA_ONSTACK);
	handle(SIGUSR2, inner_handler, SA_ONSTACK);
	for (int i = 0; i < 20; i++) {
		size_t size = 65536 + (size_t)(i % 3) * 4096;
		stack_t stack = {}, off = {};

		stack.ss_sp = map_stack(size);
		stack.ss_size = size;
		off.ss_flags = SS_DISABLE;
		sigaltstack(&stack, nullptr);
		raise_at(5);
		sigaltstack(&off, nullptr);
		munmap(stack.ss_sp, size);
	}
	handle(SIGUSR1, SIG_DFL, 0);
	handle(SIGUSR2, SIG_DFL, 0);
}

static sigjmp_buf out_of_handler;
static int jumps; /* static, because siglongjmp may undo what registers hold */

static void leaving_handler(int)
{
	churn(34);
	siglongjmp(out_of_handler, 1);
}

static void jumps_out_of_handlers()
{
	handle(SIGUSR1, leaving_handler, 0);
	for (jumps = 0; jumps < 100; jumps++) {
		if (sigsetjmp(out_of_handler, 1) == 0)
			raise_at((int)(dice() % 5));
		churn(35);
	}
	handle(SIGUSR1, SIG_DFL, 0);
}

/* --- Signals that come at any instruction: prologues and epilogues, half-made frames. */

static volatile sig_atomic_t ticks;

static void tick_handler(int)
{
	churn(36);
	ticks = ticks + 1;
}

/* Never in the allocator, where a handler that allocates would break the allocator itself. */
static NOINLINE unsigned int wander(unsigned int depth)
{
	volatile unsigned int room[6];

	room[depth % 6] = depth;
	return depth ? wander(depth - 1) + room[depth % 6] : 1;
}

static NOINLINE unsigned int wander_realigned(unsigned int depth)
{
	alignas(64) volatile unsigned int room[16];

	room[depth % 16] = depth;
	return depth ? wander_realigned(depth - 1) + wander(depth % 4) + room[depth % 16] : 1;
}

static NOINLINE unsigned int wander_variable(unsigned int depth)
{
	char *room = static_cast<char *>(__builtin_alloca(16 + (depth % 5) * 16));

	room[0] = 1;
	touch(room);
	return depth ? wander_variable(depth - 1) + (unsigned int)room[0] : 1;
}

static void asynchronous_signals()
{
	struct itimerval timer = {}, off = {};
	unsigned int sum = 0;

	timer.it_interval.tv_usec = timer.it_value.tv_usec = 50;
	ticks = 0;
	handle(SIGALRM, tick_handler, SA_RESTART);
	setitimer(ITIMER_REAL, &timer, nullptr);
	while (ticks < 3000) {
		sum += wander(sum % 40);
		sum += wander_realigned(sum % 13);
		sum += wander_variable(sum % 17);
	}
	setitimer(ITIMER_REAL, &off, nullptr);
	handle(SIGALRM, SIG_IGN, 0);
}

/* --- Coroutines; both kinds of switch share the body. */

#define COROUTINES 8

struct coroutine {
	int id;
	bool done;
	char *stack;
	size_t stack_size;
	ucontext_t context;
	void *sp;
	void (*yield)(coroutine *);
};

static coroutine coroutines[COROUTINES];

static NOINLINE void live_at(coroutine *c, int depth)
{
	char *room = static_cast<char *>(__builtin_alloca(16 + (size_t)(depth % 3) * 16));

	room[0] = 1;
	touch(room);
	if (depth > 0) {
		live_at(c, depth - 1);
		if (dice() & 1)
			churn((size_t)depth + 1);
		return;
	}
	for (int i = 0; i < 20; i++) {
		churn(100 + (size_t)c->id);
		c->yield(c);
		churn(50);
	}
}

static void make_coroutine(int id, int round)
{
	coroutine &c = coroutines[id];

	c.id = id;
	c.done = false;
	c.stack_size = 32768 + (size_t)(round % 3) * 8192;
	c.stack = static_cast<char *>(map_stack(c.stack_size));
}

/* Switches to each in turn until all are done, each time from another depth of this stack. */
static NOINLINE int resume_all(void (*resume)(coroutine *), int depth)
{
	volatile char room[64];
	int left = 0;

	room[0] = 0;
	if (depth > 0)
		return resume_all(resume, depth - 1) + room[0];
	for (coroutine &c : coroutines) {
		if (!c.done)
			resume(&c);
		left += !c.done;
	}
	return left;
}

static void run_all(void (*resume)(coroutine *))
{
	while (resume_all(resume, (int)(dice() % 8)) > 0)
		churn(51);
	for (coroutine &c : coroutines)
		munmap(c.stack, c.stack_size);
}

static ucontext_t main_context;

static void yield_context(coroutine *c)
{
	swapcontext(&c->context, &main_context);
}

static void resume_context(coroutine *c)
{
	swapcontext(&main_context, &c->context);
}

static void enter_context(int id)
{
	live_at(&coroutines[id], 3 + id);
	coroutines[id].done = true;
}

/* On its own, because getcontext may return twice as far as the compiler knows. */
static NOINLINE void prepare_context(coroutine *c)
{
	c->yield = yield_context;
	getcontext(&c->context);
	c->context.uc_stack.ss_sp = c->stack;
	c->context.uc_stack.ss_size = c->stack_size;
	c->context.uc_link = &main_context;
	makecontext(&c->context, reinterpret_cast<void (*)()>(enter_context), 1, c->id);
}

static void ucontext_coroutines()
{
	for (int round = 0; round < 30; round++) {
		for (int id = 0; id < COROUTINES; id++) {
			make_coroutine(id, round);
			prepare_context(&coroutines[id]);
		}
		run_all(resume_context);
	}
}

#if defined(__x86_64__)
static void *main_sp;

static void yield_fiber(coroutine *c)
{
	fiber_switch(&c->sp, main_sp);
}

static void resume_fiber(coroutine *c)
{
	fiber_switch(&main_sp, c->sp);
}

static void enter_fiber(void *arg)
{
	coroutine *c = static_cast<coroutine *>(arg);

	live_at(c, 2 + c->id % 3);
	c->done = true;
	yield_fiber(c);
	abort();
}

static void hand_written_switches()
{
	for (int round = 0; round < 30; round++) {
		for (int id = 0; id < COROUTINES; id++) {
			coroutine &c = coroutines[id];

			make_coroutine(id, round);
			c.yield = yield_fiber;
			c.sp = fiber_new(c.stack, c.stack_size, enter_fiber, &c);
		}
		run_all(resume_fiber);
	}
}
#endif

/* --- Coroutines of the language: frames in the heap, resumed from anywhere, other threads too. */

#if defined(__cpp_impl_coroutine)
struct generator {
	struct promise_type {
		int value = 0;
		generator get_return_object()
		{
			counted(); /* the coroutine's frame */
			return {std::coroutine_handle<promise_type>::from_promise(*this)};
		}
		std::suspend_always initial_suspend() noexcept
		{
			return {};
		}
		std::suspend_always final_suspend() noexcept
		{
			return {};
		}
		std::suspend_always yield_value(int v)
		{
			value = v;
			return {};
		}
		void return_void()
		{
		}
		void unhandled_exception()
		{
			abort();
		}
	};
	std::coroutine_handle<promise_type> handle;
};

static generator count_up(int from, int depth)
{
	for (int i = 0; i < 10; i++) {
		churn((size_t)(from + i));
		co_yield from + i;
		churn((size_t)depth + 1);
	}
	if (depth > 0) {
		generator inner = count_up(from, depth - 1);

		while (!inner.handle.done()) {
			inner.handle.resume();
			co_yield inner.handle.promise().value;
		}
		inner.handle.destroy();
	}
}

static NOINLINE void resume_from(std::coroutine_handle<generator::promise_type> handle, int depth)
{
	volatile char room[40];

	room[0] = 1;
	if (depth > 0)
		resume_from(handle, depth - 1);
	else
		handle.resume();
	touch(room);
}

static void language_coroutines()
{
	for (int i = 0; i < 40; i++) {
		generator g = count_up(i, 3);

		while (!g.handle.done()) {
			if (dice() % 16 == 0)
				std::thread([&g] { resume_from(g.handle, 2); }).join();
			else
				resume_from(g.handle, (int)(dice() % 6));
		}
		g.handle.destroy();
	}
}
#endif

const adversarial_case stack_cases[] = {
	{"raised_signals", raised_signals},
	{"alternate_stacks", alternate_stacks},
	{"jumps_out_of_handlers", jumps_out_of_handlers},
	{"asynchronous_signals", asynchronous_signals},
	{"ucontext_coroutines", ucontext_coroutines},
#if defined(__x86_64__)
	{"hand_written_switches", hand_written_switches},
#endif
#if defined(__cpp_impl_coroutine)
	{"language_coroutines", language_coroutines},
#endif
	{nullptr, nullptr},
};
