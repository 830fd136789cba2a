/*
 * Unwind information that is there, but has no table to be searched by: programs that are linked
 * statically have .eh_frame and no .eh_frame_hdr. We make one (LSB 5.0, 10.6.2), sorted.
 */
#ifndef SEEP_INJECT_FRAMES_H
#define SEEP_INJECT_FRAMES_H

#include <stddef.h>
#include <stdint.h>

struct target;

struct frame_entry {
	uint64_t code, description; /* mapped addresses: where it begins, its FDE */
};

struct frames {
	struct frame_entry *entries; /* ascending by code */
	size_t nr, cap;
};

/* Of the main program, if it needs one; otherwise, or where it cannot be had, none. */
void frames_read(struct target *t, struct frames *ret);
void frames_release(struct frames *f);
size_t frames_bytes(const struct frames *f); /* 0: there is no table to make */
/* The table as it will be at address `at`, which is less than 2 GiB from all of the program. */
void frames_write(const struct frames *f, uint64_t at, uint8_t *to);

#endif
