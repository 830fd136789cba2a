/* Signals that end a command which lasts: Ctrl-C and its like. */
#ifndef SEEP_CMD_END_SIGNALS_H
#define SEEP_CMD_END_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/*
 * SIGINT, SIGTERM and SIGHUP, unless they are ignored: under nohup, hanging up stays so. To be
 * blocked, or noted, before anything is begun that their default would leave half done.
 */
void end_signals(sigset_t *ret);

/* The last that came while they were noted; 0: none. */
extern volatile sig_atomic_t end_signal;
/* They are noted, and end nothing; or end us again. */
void end_signals_note(bool on);

#endif
