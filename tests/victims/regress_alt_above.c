/*
 * A thread's stack and, just above it in the same mapping, the alternate stack of a signal handler
 * that allocates, many thousand times a second. Stack pointers do not tell which one is inside the
 * other.
 *
 * Wants an allocator that may be interrupted, and to be linked with -z now.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "truth.h"

#define STACK_BYTES 262144
#define ALTERNATE_BYTES 65536
#define SIGNALS 3000
#define PERIOD_NS 50000
#define CALLS_MOST 3000000

static char *pool;
static volatile int signals;

static NOINLINE void *odd(size_t size)
{
	void *p = malloc(size + 1);

	truth_touch(p);
	return p;
}

static NOINLINE void *by_size(size_t size)
{
	void *p = size & 1 ? odd(size) : malloc(size + 2);

	truth_touch(p);
	return p;
}

static NOINLINE void *descend(int levels, size_t size)
{
	void *p = levels > 0 ? descend(levels - 1, size) : by_size(size);

	truth_touch(p);
	return p;
}

static void handle(int signal)
{
	(void)signal;
	signals++;
	descend(signals % 7, 24);
}

static int start_timer(timer_t *ret)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
	struct itimerspec often = {{0, PERIOD_NS}, {0, PERIOD_NS}};

	event._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, ret) < 0)
		return -1;
	return timer_settime(*ret, 0, &often, NULL);
}

static void *run(void *arg)
{
	stack_t alternate = {.ss_sp = pool + STACK_BYTES, .ss_size = ALTERNATE_BYTES};
	timer_t timer;

	if (sigaltstack(&alternate, NULL) < 0 || start_timer(&timer) < 0)
		return arg;
	for (unsigned int i = 0; signals < SIGNALS && i < CALLS_MOST; i++)
		free(descend((int)(i * 7919 % 37), i % 97));
	timer_delete(timer);
	return arg;
}

int main(void)
{
	struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK | SA_RESTART};
	pthread_attr_t attributes;
	pthread_t thread;

	pool = mmap(NULL, STACK_BYTES + ALTERNATE_BYTES, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pool == MAP_FAILED)
		return 2;
	sigaction(SIGUSR1, &action, NULL);
	pthread_attr_init(&attributes);
	if (pthread_attr_setstack(&attributes, pool, STACK_BYTES) ||
	    pthread_create(&thread, &attributes, run, NULL) || pthread_join(thread, NULL))
		return 2;
	truth_note("signals", "%d", signals);
	truth_print("alt-above", "end");
	return signals > 0 ? 0 : 1;
}
