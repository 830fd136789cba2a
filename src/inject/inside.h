/* The injected recorder in a process, as it is found there: by its mark, in the process's memory.
 */
#ifndef SEEP_INJECT_INSIDE_H
#define SEEP_INJECT_INSIDE_H

#include <stddef.h>
#include <stdint.h>

#include "wire/blob.h"

struct maps;

/* The address of its struct wire_blob, 0: it is not there. mem: of the process. */
uint64_t inside_find(int mem, const struct maps *maps);
/*
 * What is there, all counts within their arrays; without modules. 0, or -EBADMSG: it is not ours,
 * or of another version; or negative errno. The process may have written anything there.
 */
int inside_read(int mem, uint64_t addr, struct wire_blob *ret);
/* Writes one field. 0 or negative errno. */
int inside_poke(int mem, uint64_t addr, const void *bytes, size_t len);
#define INSIDE_POKE(mem, addr, field, value)                                                       \
	inside_poke((mem), (addr) + offsetof(struct wire_blob, field), &(value), sizeof(value))

#endif
