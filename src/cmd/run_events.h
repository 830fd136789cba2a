/* seep run --events: every event of the program, and with --follow of its children, into files. */
#ifndef SEEP_CMD_RUN_EVENTS_H
#define SEEP_CMD_RUN_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct launched;
struct mode;
struct opt;
struct run_event_file;

struct run_events {
	const char *path; /* NULL: not wanted */
	uint64_t window_ns;
	bool quiet;
	int status; /* what went wrong on our side, EXIT_DONE: nothing */
	struct run_event_file **files;
	size_t nr, cap;
};

/* Do the options go together, and with the mode? --events alone makes it full. */
int run_events_prepare(const struct run_events *r, const char *mode_text, struct mode *mode);
void run_events_drain(struct run_events *r, const struct launched *p);
void run_events_ended(struct run_events *r, const struct launched *p);
void run_events_release(struct run_events *r);

#endif
