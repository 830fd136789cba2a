/* See again.h. */
#include "cmd/again.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "cmd/identity.h"

#define NS_PER_S 1000000000ull

static volatile sig_atomic_t stop_requested;

static void on_signal(int sig)
{
	(void)sig;
	stop_requested = 1;
}

void again_begin(struct again *a, uint64_t every_ns)
{
	struct sigaction sa = {.sa_handler = on_signal};
	uint64_t now_ns = clock_monotonic_ns();

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	*a = (struct again){.every_ns = every_ns, .first_ns = now_ns, .last_ns = now_ns};
}

bool again_wait(struct again *a)
{
	uint64_t now_ns = clock_monotonic_ns(), due_ns = a->first_ns + ++a->looks * a->every_ns;
	struct timespec ts;

	if (due_ns < now_ns + (now_ns - a->last_ns))
		due_ns = now_ns + (now_ns - a->last_ns);
	ts = (struct timespec){.tv_sec = (time_t)(due_ns / NS_PER_S),
			       .tv_nsec = (long)(due_ns % NS_PER_S)};
	while (!stop_requested &&
	       clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
	a->last_ns = clock_monotonic_ns();
	return !stop_requested;
}
