/*
 * A signal handler leaves a coroutine by siglongjmp in the middle of what it does, again and again;
 * mostly that is an allocation. The calls that were interrupted never end. Afterwards the program
 * goes on for long, and then keeps blocks whose stacks a test looks at.
 *
 * Wants an allocator that may be interrupted. regress-jump-out [--wait]
 */
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#include "truth.h"

#define JUMPS 40
#define CALLS_AFTERWARDS 400000
#define KEPT 1000
#define STACK_BYTES (1 << 17)

static sigjmp_buf way_out;
static ucontext_t main_context, context;

static void jump(int signal)
{
	(void)signal;
	siglongjmp(way_out, 1);
}

static NOINLINE void *descend(unsigned int levels, size_t size)
{
	void *p = levels ? descend(levels - 1, size) : malloc(size);

	truth_touch(p);
	return p;
}

static void allocate_forever(void)
{
	for (unsigned int i = 0;; i++)
		free(descend(i * 7919 % 37, 1 + i % 97));
}

static void leave_one(int nr)
{
	struct itimerval soon = {.it_value = {.tv_usec = 2000 + nr * 37}};

	if (sigsetjmp(way_out, 1))
		return;
	getcontext(&context);
	context.uc_stack.ss_sp =
		mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	context.uc_stack.ss_size = STACK_BYTES;
	context.uc_link = &main_context;
	makecontext(&context, allocate_forever, 0);
	setitimer(ITIMER_REAL, &soon, NULL);
	swapcontext(&main_context, &context);
}

static NOINLINE void kept_afterwards(void)
{
	struct truth_site *s = truth_at(__func__);

	for (int i = 0; i < KEPT; i++)
		truth_born(s, malloc(opaque(50)), 50);
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = jump, .sa_flags = SA_NODEFER};

	sigaction(SIGALRM, &action, NULL);
	for (volatile int i = 0; i < JUMPS; i++)
		leave_one(i);
	for (int i = 0; i < CALLS_AFTERWARDS; i++)
		free(descend(3, 20));
	kept_afterwards();
	truth_print("jump-out", "end");
	truth_wait(argc, argv);
	return truth_status();
}
