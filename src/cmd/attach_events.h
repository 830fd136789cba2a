/* seep attach --mode full: every event to a file for as long as we stay, then the recorder is taken
 * out. */
#ifndef SEEP_CMD_ATTACH_EVENTS_H
#define SEEP_CMD_ATTACH_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

struct attach;
struct error;

struct attach_events {
	const char *path;
	uint64_t window_ns; /* 0: all is kept */
	uint64_t for_ns;    /* 0: until a signal */
	bool quiet;
	int (*attached)(const struct attach *a, void *context); /* says that it is done */
	void *context;
};

/* Runs what was planned, in mode full. An exit status; what went wrong was told. */
int attach_events(const struct attach_events *o, struct attach *a);

#endif
