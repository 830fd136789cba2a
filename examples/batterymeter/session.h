/*
 * The two ways to run the meter: on a full screen, or headless with commands on standard input.
 */
#ifndef BATTERYMETER_SESSION_H
#define BATTERYMETER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

struct meter;

struct session {
	struct meter *meter;
	int signal_fd;	    /* SIGINT, SIGTERM, SIGHUP: end; SIGWINCH: draw again */
	uint64_t end_ns;    /* CLOCK_MONOTONIC, 0 = until told */
	bool turns_limited; /* --turns was given */
};

uint64_t session_now_ns(void);

/* Milliseconds for poll() until `ns`, rounded up; -1 for never (ns = 0). */
int session_poll_ms(uint64_t ns);

/* True when a signal has arrived that ends the program. */
bool session_told_to_end(struct session *s);

/*
 * Reads commands, one a line, and answers each with one line of JSON:
 *
 *	truth	 the totals; the worker goes on
 *	pause	 halt the worker, then the totals
 *	go	 let it run, without limit; the totals
 *	turn N	 do exactly N more turns, halt, then the totals
 *	quit	 end, no answer
 *
 * Returns when told to end, or when the time is over. End of input ends the program too (after the
 * turns asked for), unless --for was given.
 */
void headless_run(struct session *s);

/* Draws until the user quits, a signal arrives, or the time is over; then restores the terminal. */
void screen_run(struct session *s);

#endif
