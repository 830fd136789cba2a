/* Looking through the writable data of a target's modules for something that can be recognised. */
#ifndef SEEP_HEAP_SCAN_H
#define SEEP_HEAP_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target;
struct target_module;

/* A piece of writable private data (.data, .bss) of a module, without gaps. Begin with {0}. */
struct scan_range {
	const struct target_module *module;
	uint64_t start, end;
	size_t next_map;
};

/* The next one, ascending; false: there is none. */
bool scan_next_data(const struct target *t, struct scan_range *r);

/* Is all of [start, end) mapped, and private to the process? */
bool scan_is_private(const struct target *t, uint64_t start, uint64_t end);

/* Is it known that nothing of [start, end) was ever written? */
bool scan_never_touched(struct target *t, uint64_t start, uint64_t end);

struct scan_word {
	uint64_t addr, value;
};

/* Words of eight bytes that are not 0, ascending. */
struct scan_words {
	struct scan_word *items;
	size_t nr, cap;
};

/*
 * Reads [start, end) as far as it is readable, appends at most max words. What was never touched is
 * not read where that can be known.
 */
void scan_words_read(struct target *t, uint64_t start, uint64_t end, size_t max,
		     struct scan_words *out);
void scan_words_release(struct scan_words *w);
/* Index of the first word at or above addr. */
size_t scan_first(const struct scan_words *w, uint64_t addr);

#endif
