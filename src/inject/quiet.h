/* Code of an allocator's that frees what has been freed before; see struct wire_blob. */
#ifndef SEEP_INJECT_QUIET_H
#define SEEP_INJECT_QUIET_H

struct entries;
struct target;
struct wire_blob;

/* Sets quiet_start and quiet_bytes of a blob, where there is such code. */
void quiet_find(struct target *t, const struct entries *entries, struct wire_blob *b);

#endif
