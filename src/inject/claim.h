/*
 * What an attach has taken in a process before its recorder is there to say so: the file for the
 * tables, and addresses. The file says it, so that a seep that is killed at any of these moments
 * leaves nothing that the next one would not know:
 *
 *   the file is made        it has the tables' name, and is empty
 *   addresses are taken     by a mapping of that file, which cannot be read: the process will not
 *                           have them for anything else
 *   … and claimed           struct claim is written into the file
 *   memory takes its place
 *   the recorder says what is its own; the file is emptied
 */
#ifndef SEEP_INJECT_CLAIM_H
#define SEEP_INJECT_CLAIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct calls;
struct hold;
struct wire_blob;

/*
 * Maps memory at a place that is free. number: of the process; fd: the same file, ours. 0 or
 * negative errno, as mmap has it; -EEXIST: it is not free.
 */
int claim_map(struct calls *c, int number, int fd, uint64_t start, uint64_t bytes);
/* It is known otherwise from now on. 0 or negative errno. */
int claim_end(int fd);

/* Descriptors of a process that may be its tables, or say what is claimed. */
struct claims {
	int32_t *numbers;
	size_t nr;
};

/* Nothing is stopped. 0 or negative errno. */
int claims_find(const struct hold *h, struct claims *ret);
void claims_release(struct claims *c);
/* Is any of them a claim, and not somebody's table? */
bool claims_any(const struct hold *h, const struct claims *found);
/*
 * Gives back what is claimed, and closes the files but that of b. b: the recorder's, as it is there
 * now; NULL: there is none. 0 or negative errno.
 */
int claims_clear(struct calls *c, const struct claims *found, const struct wire_blob *b);

#endif
