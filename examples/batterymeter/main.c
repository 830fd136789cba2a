/*
 * batterymeter: a small meter for the terminal that loses memory, for learning how to find where.
 */
#include <argp.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "meter.h"
#include "session.h"

struct options {
	bool headless, truth;
	double for_s; /* negative: not given */
	double rate;
	uint64_t turns; /* METER_NO_LIMIT: not given */
};

static const struct argp_option option_table[] = {
	{"headless", 'h', NULL, 0, "No screen: read commands from standard input", 0},
	{"for", 'f', "SECONDS", 0, "End after so long; fractions are welcome", 0},
	{"rate", 'r', "N", 0, "Turns a second (default 100; 0 = as fast as possible)", 0},
	{"turns", 't', "N", 0, "Halt the worker after exactly N turns", 0},
	{"truth", 'T', NULL, 0, "At the end print what is true, as one line of JSON", 0},
	{0},
};

static double parse_number(const char *text, struct argp_state *state)
{
	char *end;
	double number;

	errno = 0;
	number = strtod(text, &end);
	if (errno || end == text || *end || !isfinite(number) || number < 0)
		argp_error(state, "not a number: '%s'", text);
	return number;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'h':
		o->headless = true;
		return 0;
	case 'T':
		o->truth = true;
		return 0;
	case 'f':
		o->for_s = parse_number(arg, state);
		return 0;
	case 'r':
		o->rate = parse_number(arg, state);
		return 0;
	case 't':
		o->turns = (uint64_t)parse_number(arg, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

uint64_t session_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

int session_poll_ms(uint64_t ns)
{
	uint64_t now = session_now_ns();

	if (!ns)
		return -1;
	if (ns <= now)
		return 0;
	/* Long waits are cut short; the caller looks at the clock and waits again. */
	return ns - now > 3600000000000ull ? 3600000 : (int)((ns - now + 999999) / 1000000);
}

bool session_told_to_end(struct session *s)
{
	struct signalfd_siginfo info;

	if (read(s->signal_fd, &info, sizeof(info)) != sizeof(info))
		return false;
	return info.ssi_signo != SIGWINCH;
}

/* Before the first thread starts, so that all threads leave the signals to the descriptor. */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool has_screen(void)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term &&
	       strcmp(term, "dumb") != 0 && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		.options = option_table,
		.parser = parse_option,
		.doc = "Shows battery and CPU temperature, and leaks 7632 bytes a turn on purpose.",
	};
	struct options o = {.for_s = -1, .rate = 100, .turns = METER_NO_LIMIT};
	static struct meter meter;
	struct session s = {.meter = &meter};
	int err;

	setlocale(LC_CTYPE, "");
	argp_parse(&argp, argc, argv, 0, NULL, &o);
	s.signal_fd = open_signals();
	s.turns_limited = o.turns != METER_NO_LIMIT;
	if (o.for_s >= 0)
		s.end_ns = session_now_ns() + (uint64_t)(o.for_s * 1e9);
	err = meter_start(&meter, o.rate, o.turns);
	if (err) {
		fprintf(stderr, "batterymeter: cannot start the worker: %s\n", strerror(-err));
		return 1;
	}
	if (o.headless || !has_screen())
		headless_run(&s);
	else
		screen_run(&s);
	meter_stop(&meter);
	close(s.signal_fd);
	if (o.truth)
		totals_print(&meter.view.totals, "stopped");
	return 0;
}
