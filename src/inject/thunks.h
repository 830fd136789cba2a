/*
 * The machine code of a plan: what entries become, the thunks that they lead to, and the words and
 * landings of slots. Known only once it is known where everything is to be.
 */
#ifndef SEEP_INJECT_THUNKS_H
#define SEEP_INJECT_THUNKS_H

struct plan;
struct wire_blob;

/*
 * Completes the plan, once. blob: of the image, relocated to its place; it is told what the plain
 * malloc and free are.
 */
void thunks_write(struct plan *p, struct wire_blob *blob);

#endif
