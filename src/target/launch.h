/*
 * Starting a program with the recorder in it, and staying beside it until it has ended.
 *
 * The launcher is the program's parent. It holds the tables, drives their clocks, gives further
 * tables to what the program becomes by exec and (follow) to its children, passes on signals that
 * only it gets, and stops and continues with the program. If it is killed, the program goes on
 * unharmed.
 *
 *     launch_start ─▶ program runs ─▶ launch_wait ─▶ ended(…) for each process ─▶ launch_free
 *
 * Signals are blocked from launch_start() to launch_free(). One launch at a time, single thread.
 */
#ifndef SEEP_TARGET_LAUNCH_H
#define SEEP_TARGET_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "target/launch_table.h"
#include "target/mode.h"
#include "target/process.h"

struct error;
struct launch;

enum launch_exit {
	LAUNCH_EXIT_BEFORE = 1, /* main has returned, or exit() or quick_exit() been called */
	LAUNCH_EXIT_AFTER = 2,	/* in the last of its destructors */
};

struct launch_options {
	char *const *argv;    /* the program as typed, and its arguments; NULL at the end */
	const char *recorder; /* from recorder_path() */
	bool follow;	      /* children get tables of their own */
	unsigned int exits;   /* enum launch_exit: where the program waits for events->at_exit */
	struct mode mode;     /* in which each table begins */
	/*
	 * Puts the recorder into a static program that the calling thread holds at the end of its
	 * exec, and gives its table; into others it is preloaded.
	 */
	int (*into_static)(int32_t pid, struct mode mode, struct launch_table *ret,
			   struct error *e);
};

/* One process with a table: the program itself, or a child that is followed. */
struct launched {
	int32_t pid;
	uint32_t image; /* counts the programs that it was, from 1; the table is of the last one */
	bool is_first;	/* the program that was started */
	bool ended;	/* false: still runs, but we were told to stop waiting */
	bool failed;	/* the recorder has said so, and so have we */
	unsigned int seen;	  /* enum launch_exit: events->at_exit was called, of this image */
	int wait_status;	  /* of the first, once ended: as waitpid(2) gives it */
	struct process_info info; /* noted when the image began */
	struct launch_table table;
};

/*
 * On success the program is running: its exec has succeeded. Errors carry EXIT_TARGET; a static
 * program that cannot be recorded has not run any instruction then.
 */
int launch_start(const struct launch_options *o, struct launch **ret, struct error *e);

/* The first process. Valid until launch_wait(). */
const struct launched *launch_first(const struct launch *l);

struct launch_events {
	/*
	 * Once for each process with a table. For the first at the very end, when there is time;
	 * for others at once, and meanwhile nobody is served.
	 */
	void (*ended)(const struct launched *p, void *context);
	/* Soon after the recorder found that it can record nothing in this image. */
	void (*failed)(const struct launched *p, void *context);
	/*
	 * With launch_options.exits: it is there, and stays there until this returns. Who ends
	 * without exit() does not come by. Meanwhile nobody is served.
	 */
	void (*at_exit)(const struct launched *p, enum launch_exit where, void *context);
	/* In mode full: every DRAIN_NS, for each process. NULL: its events are lost. */
	void (*drain)(const struct launched *p, void *context);
	void *context;
};

/*
 * Waits for the program, and with follow for all its descendants. Once the first is gone a signal
 * that would end us ends the waiting; those left are reported with ended false. 0, or negative
 * errno with *e.
 */
int launch_wait(struct launch *l, const struct launch_events *events, int *ret_wait_status,
		struct error *e);

/* Puts signals back as they were. A program that still runs goes on running. */
void launch_free(struct launch *l);

#endif
