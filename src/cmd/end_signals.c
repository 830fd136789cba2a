/* See end_signals.h. */
#include "cmd/end_signals.h"

#include <stddef.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

volatile sig_atomic_t end_signal;

static void note(int sig)
{
	end_signal = sig;
}

void end_signals(sigset_t *ret)
{
	struct sigaction now;

	sigemptyset(ret);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &now) < 0 || now.sa_handler != SIG_IGN)
			sigaddset(ret, signals[i]);
}

void end_signals_note(bool on)
{
	struct sigaction sa = {.sa_handler = on ? note : SIG_DFL};
	sigset_t ends;

	end_signals(&ends);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigismember(&ends, signals[i]))
			sigaction(signals[i], &sa, NULL);
}
