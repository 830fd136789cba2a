/*
 * A thread that waits for the end of one process and then kills another: a frozen clone shares its
 * original's descriptors, so while the clone lives a dead server's port stays taken, and its
 * clients see no end. Better to lose the look.
 */
#ifndef SEEP_TARGET_DEATHWATCH_H
#define SEEP_TARGET_DEATHWATCH_H

#include <stdbool.h>
#include <stdint.h>

struct deathwatch;

/*
 * watched: still the process that is meant, as the caller has checked; victim: a child or tracee of
 * ours that is not collected before deathwatch_end(). 0, or negative errno: there is no watch
 * (pidfd_open() needs Linux 5.3).
 */
int deathwatch_start(int32_t watched, int32_t victim, struct deathwatch **ret);
/* Has it happened? NULL: no. */
bool deathwatch_has_struck(const struct deathwatch *w);
/* NULL is fine. */
void deathwatch_end(struct deathwatch *w);

#endif
