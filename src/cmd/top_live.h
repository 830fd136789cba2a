/*
 * The terminal while `seep top` redraws its table in place: no echo, no line buffering, no cursor;
 * put back as it was whenever we leave, stop (Ctrl-Z) or are told to end.
 */
#ifndef SEEP_CMD_TOP_LIVE_H
#define SEEP_CMD_TOP_LIVE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

/* Why a wait ended. */
enum top_wake {
	TOP_WAKE_TIME = 0, /* the deadline has come */
	TOP_WAKE_REDRAW,   /* the terminal has another size, or we were stopped and go on */
	TOP_WAKE_SORT,	   /* key s: next order */
	TOP_WAKE_END,	   /* q, Ctrl-C, or the terminal is gone */
};

struct top_live {
	bool terminal;	       /* keys are read and the screen is drawn */
	struct termios before; /* terminal: as we found it */
	sigset_t mask_before;  /* signals are let in only while waiting */
	size_t lines_drawn;
	unsigned int columns, rows; /* of the terminal */
};

/*
 * Catches SIGINT, SIGTERM, SIGHUP (and with a terminal SIGTSTP and SIGWINCH), which from here on
 * only end a wait. terminal: standard input and output are one. Only one at a time.
 */
void top_live_begin(struct top_live *l, bool terminal);
/* Restores everything: a signal that comes later ends us as usual. Safe to call twice. */
void top_live_end(struct top_live *l);

/* Sleeps until CLOCK_MONOTONIC deadline, a key or a signal. */
enum top_wake top_live_wait(struct top_live *l, uint64_t deadline_ns);

/* Replaces what was drawn before by text (whole lines), cut to the size of the terminal. */
void top_live_draw(struct top_live *l, const char *text);

/* The signal that asked us to end, 0: none did. */
int top_live_signal(void);

#endif
