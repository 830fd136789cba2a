/* What the files of the launcher share: launch.c starts, launch_watch.c waits, launch_serve.c hands
 * out. */
#ifndef SEEP_TARGET_LAUNCH_PRIVATE_H
#define SEEP_TARGET_LAUNCH_PRIVATE_H

#include <stddef.h>

#include "target/launch.h"
#include "target/launch_signals.h"

#define LAUNCH_PROCESSES_MAX 1024 /* with a table at the same time */

/* A process and what it takes to see its end. */
struct launch_process {
	struct launched seen;
	int pidfd;    /* readable once it has ended */
	bool waiting; /* its table was made before it asked for one */
};

/* What an event of the epoll descriptor is about: the kind above, a pid below. */
enum launch_event {
	LAUNCH_EVENT_SIGNAL = 1,
	LAUNCH_EVENT_TIMER,
	LAUNCH_EVENT_SOCKET,
	LAUNCH_EVENT_PROCESS,
	LAUNCH_EVENT_OTHER, /* of whoever runs a loop of his own */
};

struct launch {
	bool follow;
	unsigned int exits; /* enum launch_exit */
	struct mode mode;
	int epoll, timer, listener;
	bool timer_slow;
	char socket_name[64];
	struct launch_signals signals;
	struct launch_process **processes; /* [0]: the first, until it has ended */
	size_t nr, cap;
	int32_t first_pid; /* 0: ended and collected */
};

/* launch.c; 0 or negative errno */
int launch_watch(struct launch *l, int fd, enum launch_event event, int32_t pid);
/* Takes over the table. The process must exist still; NULL: it does not, and the table is released.
 */
struct launch_process *launch_add(struct launch *l, int32_t pid, struct launch_table *table);
/* Takes it off the list, and frees it. */
void launch_remove(struct launch *l, struct launch_process *p);
struct launch_process *launch_find(const struct launch *l, int32_t pid);
/* Notes who the process is now. What is not known any more stays as it was. */
void launch_note(struct launched *p);

/* launch_watch.c: quick ticks from now on, until all tables are old. 0 or negative errno. */
int launch_clock_start(struct launch *l);

/* Sets the clocks of all tables; the timer has fired. */
void launch_tick(struct launch *l, const struct launch_events *events);

/* launch_serve.c */
int launch_serve_open(struct launch *l); /* socket_name, listener; 0 or negative errno */
void launch_serve(struct launch *l);	 /* answers whoever waits */

#endif
