/*
 * Names of code that was made at run time, from the file that JIT compilers write for perf:
 * /tmp/perf-PID.map, lines "START SIZE name" in hexadecimal. Where lines overlap the later one
 * counts, because compilers reuse memory.
 */
#ifndef SEEP_SYM_PERFMAP_H
#define SEEP_SYM_PERFMAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "sym/ranges.h"

struct sym_options;

struct perfmap {
	struct str text;
	struct jit *entries;
	size_t nr, cap;
	struct ranges ranges;
};

/*
 * Looks under the target's root (-1: ours) by the pid that it has in its own namespace, then in our
 * own /tmp. No such file, or one that neither root, we nor the target's user wrote: an empty map.
 */
void perfmap_init(struct perfmap *p, const struct sym_options *o, int root_fd);
void perfmap_release(struct perfmap *p);
/* Name or NULL. *ret_start: where the function begins. */
const char *perfmap_find(const struct perfmap *p, uint64_t addr, uint64_t *ret_start);

#endif
