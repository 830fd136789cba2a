/*
 * Reading a target in ascending order without a system call a word: a window that moves with the
 * reader. Small jumps within it are free; jumping back re-reads. After a jump it fetches a page and
 * then twice as much each time, up to some hundred KiB, for as long as the reader goes on upwards:
 * who looks at a word here and there does not pay for what lies around.
 */
#ifndef SEEP_TARGET_WINDOW_H
#define SEEP_TARGET_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target;

struct window {
	struct target *target;
	uint8_t *bytes;
	size_t cap;	/* bytes that one read may fetch */
	uint64_t start; /* of what is in bytes */
	size_t len;
	size_t ahead;	/* bytes that the last read was to fetch */
	uint64_t limit; /* reads never go beyond this address; 0: no limit */
};

/* cap 0: a good default. */
void window_init(struct window *w, struct target *t, size_t cap);
void window_release(struct window *w);
/* len bytes at addr (len <= cap), valid until the next call; NULL: they cannot all be read. */
const uint8_t *window_get(struct window *w, uint64_t addr, size_t len);
/*
 * As much as is there at addr, at most cap: not all that could be had, so go on behind it. *ret_len
 * 0: nothing can be read at addr.
 */
const uint8_t *window_some(struct window *w, uint64_t addr, size_t *ret_len);
/* The word of the target's size at addr. */
bool window_word(struct window *w, uint64_t addr, uint64_t *ret);
/* Forget what was read (the target may have changed). */
void window_forget(struct window *w);

#endif
