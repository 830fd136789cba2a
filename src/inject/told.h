/*
 * Modules of a process that use include/seep/seep.h: each has a word for the address of the
 * recorder's functions. Found by a note, which is read as rec/told.c does.
 */
#ifndef SEEP_INJECT_TOLD_H
#define SEEP_INJECT_TOLD_H

#include <stdint.h>

struct target;
struct threads_look;
struct wire_blob;

/* Fills told[] of *b with those words. Nothing is stopped; t: live. */
void told_find(struct target *t, struct wire_blob *b);
/* All stand still: stores the address. mem: of the process. 0 or negative errno. */
int told_tell(int mem, const struct wire_blob *b);
/*
 * … and takes it back, wherever it stands still. b: as it is there now, and valid. Unless 0, the
 * recorder has to stay.
 */
int told_take_back(int mem, const struct wire_blob *b);

/* The functions, and their table. */
#define TOLD_ADDRESSES_MAX 16
/*
 * A thread that has fetched such an address goes on to call it: what it may have in its registers.
 * Returns how many, 0: nobody has been told of any.
 */
unsigned int told_addresses(int mem, const struct wire_blob *b, uint64_t ret[TOLD_ADDRESSES_MAX]);

#endif
