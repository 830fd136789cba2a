/*
 * Signals around a launched program. The terminal sends its signals to the whole process group, so
 * the program has them already and the launcher only ignores its own copy; what somebody sends to
 * the launcher alone is passed on. When the program is stopped from the terminal, the launcher
 * stops too, so that the shell gets its terminal back; when it is continued, so is the program.
 */
#ifndef SEEP_TARGET_LAUNCH_SIGNALS_H
#define SEEP_TARGET_LAUNCH_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct launch_signals {
	int fd; /* becomes readable when there is something for launch_signals_handle() */
	sigset_t old_mask;
	struct sigaction old_chld;
	bool stop_typed; /* SIGTSTP came from the terminal: the program will stop, one way or
			    another */
	int stopped_by;	 /* the program is stopped, by this signal; 0: it runs */
};

/* Blocks, and makes the descriptor. 0 or negative errno. */
int launch_signals_open(struct launch_signals *s);
/* In the child, before exec: as if seep had never been there. */
void launch_signals_restore(const struct launch_signals *s);
void launch_signals_close(struct launch_signals *s);

/*
 * Handles what has come. pid: the program, 0 once it has been collected. True: we are told to end
 * (only when there is no program any more that the signal could have been meant for).
 */
bool launch_signals_handle(struct launch_signals *s, int32_t pid);

#endif
