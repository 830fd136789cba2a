/*
 * Looking again and again (--watch, --every): at instants so far apart, counted from the first
 * look, until Ctrl-C. Between two looks at least as long passes as the last one took, what was done
 * with it included: a target that is slow to look at has half of its time to itself.
 */
#ifndef SEEP_CMD_AGAIN_H
#define SEEP_CMD_AGAIN_H

#include <stdbool.h>
#include <stdint.h>

struct again {
	uint64_t every_ns;
	uint64_t first_ns; /* when the first look began; monotonic time */
	uint64_t last_ns;  /* when the last one did */
	uint64_t looks;
};

/* The first look begins now. From here on Ctrl-C, and SIGTERM, end a wait instead of the program.
 */
void again_begin(struct again *a, uint64_t every_ns);
/* A look is over. Returns true when the next one is due, false for Ctrl-C. */
bool again_wait(struct again *a);

#endif
