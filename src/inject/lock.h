/* One seep at a time changes a process. */
#ifndef SEEP_INJECT_LOCK_H
#define SEEP_INJECT_LOCK_H

struct error;
struct hold;

/* Held until hold_release(), and by nobody once we have ended. -EBUSY with *e: another has it. */
int lock_process(const struct hold *h, struct error *e);

#endif
