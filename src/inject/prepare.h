/* The recorder's memory in a process: all that is done before entries are changed. */
#ifndef SEEP_INJECT_PREPARE_H
#define SEEP_INJECT_PREPARE_H

#include <stdint.h>

struct attach;
struct calls;
struct error;

/*
 * With a thread that makes calls. The recorder is complete afterwards, with its gate open, and
 * nobody calls it yet. *ret_blob is set as soon as there is something to clear away.
 */
int prepare_inside(struct attach *a, struct calls *c, uint64_t *ret_blob, struct error *e);

#endif
