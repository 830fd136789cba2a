/*
 * Entries become jumps, and themselves again: while all threads stand still; likewise the slots of
 * entries that cannot. Each is written by one write within one page, so that there is nothing
 * between before and after.
 */
#ifndef SEEP_INJECT_PATCH_H
#define SEEP_INJECT_PATCH_H

#include <stdbool.h>

#include "inject/threads.h"
#include "wire/blob.h"

struct calls;
struct hold;
struct plan;

/* Are slots still what they were when they were read? The loader binds them as they are called. */
bool patch_slots_hold(const struct calls *c, const struct plan *p);
/*
 * 0; -EAGAIN: a thread is in the way, try again later; -ESTALE: an entry is not what it was when it
 * was read; or negative errno of writing. Unless 0, no entry is changed.
 */
int patch_apply(const struct calls *c, const struct plan *p);
/*
 * Puts back what stands at the entries, where our jumps are still there: those by which unwinders
 * find our frames (last), or all others. *left: and how many could not be put back.
 */
void patch_restore(const struct calls *c, const struct wire_blob *b, bool last, size_t *left);
/* Is any thread in the recorder's code, or will it come back there? Fills the first. */
bool patch_in_use(const struct calls *c, const struct wire_blob *b, struct thread_found *ret);

#endif
