/*
 * A line on a terminal for work that takes longer than a second: "reading blocks  42 %". Nothing is
 * written when the descriptor is not a terminal, when the work is quick, or when p is NULL; so code
 * of any layer may report steps, and the command decides whether anybody sees them.
 */
#ifndef SEEP_BASE_PROGRESS_H
#define SEEP_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	int fd;		  /* usually STDERR_FILENO */
	const char *what; /* "reading blocks"; borrowed */
	uint64_t total;	  /* 0: not known, then only the count is shown */
	uint64_t done;
	uint64_t start_ns, shown_ns;
	bool terminal, shown;
};

/* total 0: unknown. what is not copied. */
void progress_start(struct progress *p, int fd, const char *what, uint64_t total);
/* More of it is done. Cheap: looks at the clock, writes at most ten times a second. */
void progress_step(struct progress *p, uint64_t more);
/* Wipes the line. Always call it, before anything else is written. */
void progress_end(struct progress *p);

#endif
