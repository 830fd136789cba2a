/*
 * The meter: one worker thread that wakes at a given rate, takes a battery and a CPU information,
 * and keeps what the screen shows.
 *
 * All memory of a turn is allocated by the worker, so glibc puts it into the worker's own heap (its
 * thread arena). Every question to a running meter waits until the worker is between two turns, so
 * the totals that come back always describe a whole number of turns.
 */
#ifndef BATTERYMETER_METER_H
#define BATTERYMETER_METER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache.h"
#include "sensor.h"
#include "totals.h"

#define METER_NO_LIMIT UINT64_MAX

struct view {
	struct totals totals;
	int battery, temperature;
	char battery_text[32], temperature_text[32];
	bool paused;
	int trend_len;
	unsigned char trend[CACHE_MAX]; /* temperatures, oldest first */
};

struct meter {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;   /* to the worker: a condition below has changed */
	pthread_cond_t rested; /* from the worker: it stands between two turns */
	atomic_int asking;     /* callers that want the worker to rest for a moment */
	bool at_rest, paused, stop;
	uint64_t limit;	    /* the worker rests when so many turns are done */
	uint64_t period_ns; /* 0: as fast as possible */

	/* The worker's own; others look only while it is at rest. */
	struct sensor battery, temperature;
	struct cache cache;
	struct view view;
};

/* rate: turns a second, 0 = as fast as possible. Returns 0 or a negative errno. */
int meter_start(struct meter *m, double rate, uint64_t limit);

/* Ends the worker and frees what the program does not leak. The totals stay readable. */
void meter_stop(struct meter *m);

/* Copies what there is to show or to tell. */
void meter_look(struct meter *m, struct view *ret_view);

/* Halts and releases the worker; both return when it has obeyed. */
void meter_pause(struct meter *m, bool paused);

/* Does exactly `turns` more turns, and rests afterwards. Returns at once; meter_wait(). */
void meter_turn_more(struct meter *m, uint64_t turns);

/* Lifts the limit and any pause. */
void meter_go(struct meter *m);

/* Waits until the turns asked for are done and the worker rests; with no limit returns at once. */
void meter_wait(struct meter *m);

#endif
