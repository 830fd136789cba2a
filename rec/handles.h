/*
 * Handles of resources that are not memory: descriptors, connections, whatever one function gives
 * and another takes back. They lie beside the blocks of pools, each kind in a pool of its own: a
 * number is never taken for an address. The caller is inside a hook.
 */
#ifndef SEEP_REC_HANDLES_H
#define SEEP_REC_HANDLES_H

#include "arch_x86_64.h"
#include "rec.h"

struct hook;

/* Grows with every handle: what an inner call has noted is told from what was there before. */
uint64_t handles_now(void);
/* began: handles_now() when the call began that has returned it; kind < WIRE_KINDS_MAX. */
void handle_acquired(const struct hook *k, uint32_t kind, uint64_t handle, uint64_t began,
		     const struct arch_caller *caller);
/* What handles_now() was when it was noted; 0: it is not known. */
uint64_t handle_number(const struct hook *k, uint32_t kind, uint64_t handle);
/* number: the one that is meant, if it is still there; 0: whichever is. */
void handle_released(const struct hook *k, uint32_t kind, uint64_t handle, uint64_t number);
/* All of these numbers; none above the highest of the kind ever seen is looked for. */
void handles_released(const struct hook *k, uint32_t kind, uint32_t first, uint32_t last);

#endif
