/*
 * The events of a process whose recorder is in mode full: taken out of its rings, and their clock
 * kept. Somebody has to do so every few milliseconds, or they are lost (and counted). One at a
 * time.
 *
 *   drain_open ─▶ mode_change(full) ─▶ drain_take … ─▶ mode_change(lite) ─▶ drain_take ─▶
 * drain_close
 *
 * The rings are the target's: an event may hold anything.
 */
#ifndef SEEP_TARGET_DRAIN_H
#define SEEP_TARGET_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

struct error;
struct table;

#define DRAIN_NS 2000000 /* how often to take */

struct drain;

/*
 * Takes over. from_start: with what is in the rings already, else that is forgotten. The table must
 * outlive it. Errors: -EBUSY, somebody drains already.
 */
int drain_open(struct table *t, bool from_start, struct drain **ret, struct error *e);
void drain_close(struct drain *d);
/*
 * Sets the clock of the events that come, and takes out those that have come, in order, at most
 * cap; if there are more, the order suffers. What one call takes comes before what later ones take:
 * events of the last DRAIN_NS stay, for one with a lower number may be on its way into a ring. all:
 * they do not; nobody is there any more who could put one in. Returns how many.
 */
size_t drain_take(struct drain *d, struct wire_event *room, size_t cap, bool all);
/* Events lost so far, rings having been full. */
uint64_t drain_lost(const struct drain *d);

/* Stack nodes from number `first` on, in an array that the caller frees. 0 or negative errno. */
int drain_nodes(struct drain *d, uint32_t first, struct wire_node **ret, size_t *ret_nr,
		struct error *e);
int drain_modules(struct drain *d, struct wire_module **ret, size_t *ret_nr, struct error *e);

#endif
