/*
 * Signal handlers that use the allocator, at a high rate.
 *
 * Three phases. In the first two the handler really allocates and frees, on the normal stack and
 * then on an alternate one; the program keeps signals blocked while it is in the allocator itself,
 * because nothing else is safe. In the third they come at any time, in the middle of the program's
 * own calls too, and the handler makes only calls that fail or do nothing before the allocator
 * touches its data: harmless without a recorder, and so with one.
 */
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

#include "truth.h"

#define SIGNALS 1000
#define PERIOD_US 100

static struct truth_site *handler_site, *main_site;
static volatile sig_atomic_t signals;
static void *handler_keeps;
static char alternate[64 * 1024];

static NOINLINE void allocate_in_handler(int signal)
{
	int saved = errno;

	(void)signal;
	if (handler_keeps) {
		truth_died(handler_site, 48);
		free(handler_keeps);
	}
	handler_keeps = truth_born(handler_site, malloc(opaque(48)), 48);
	if (signals % 10 == 0)
		truth_born(handler_site, malloc(opaque(32)), 32);
	signals = signals + 1;
	errno = saved;
}

static NOINLINE void fail_in_handler(int signal)
{
	int saved = errno;
	void *p = &p;

	(void)signal;
	/* More than PTRDIFF_MAX: glibc refuses at once, without a look at its lists. */
	truth_touch(malloc(opaque(SIZE_MAX)));
	truth_touch(calloc(opaque(SIZE_MAX / 2), opaque(3)));
	truth_touch(realloc((void *)opaque(0), opaque(SIZE_MAX)));
	free((void *)opaque(0));
	truth_check(posix_memalign(&p, opaque(3), opaque(8)) == EINVAL, "posix_memalign refuses");
	truth_check(malloc_usable_size((void *)opaque(0)) == 0, "usable size of NULL is 0");
	signals = signals + 1;
	errno = saved;
}

static void mask(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(how, &set, NULL);
}

/* Somewhere for a signal to arrive: frames of changing depth that do nothing. */
static NOINLINE unsigned int wander(unsigned int depth)
{
	volatile unsigned int frame[8];

	frame[depth % 8] = depth;
	if (depth == 0)
		return 1;
	return wander(depth - 1) + frame[depth % 8];
}

static NOINLINE void allocate_in_main(unsigned int round)
{
	size_t size = 16 + round % 700;
	void *p = truth_born(main_site, malloc(size), size);

	p = truth_born(main_site, realloc(p, size * 2), size * 2);
	truth_died(main_site, size);
	errno = (int)round;
	truth_died(main_site, size * 2);
	free(p);
	truth_check(errno == (int)round, "a handler does not change errno");
}

static void run_phase(void (*handler)(int), int flags, int polite)
{
	struct itimerval timer = {.it_interval.tv_usec = PERIOD_US, .it_value.tv_usec = PERIOD_US};
	struct itimerval off = {.it_value.tv_sec = 0};
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags | SA_RESTART};
	unsigned int round = 0;

	signals = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	while (signals < SIGNALS) {
		if (polite)
			mask(SIG_BLOCK);
		for (int i = 0; i < 20; i++)
			allocate_in_main(round++);
		if (polite)
			mask(SIG_UNBLOCK);
		truth_touch((void *)(uintptr_t)wander(round % 50));
	}
	setitimer(ITIMER_REAL, &off, NULL);
	mask(SIG_BLOCK);
	mask(SIG_UNBLOCK); /* takes the last one that may be pending */
}

int main(int argc, char **argv)
{
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};

	handler_site = truth_at("allocate_in_handler");
	main_site = truth_at("allocate_in_main");
	run_phase(allocate_in_handler, 0, 1);
	sigaltstack(&stack, NULL);
	run_phase(allocate_in_handler, SA_ONSTACK, 1);
	run_phase(fail_in_handler, 0, 0);
	run_phase(fail_in_handler, SA_ONSTACK, 0);
	truth_print("sighandler", "end");
	truth_wait(argc, argv);
	return truth_status();
}
