/*
 * Small reads all over a target without a system call each: pages that were read lately are kept.
 * For structures that point at each other; blocks in a row are read with target/window.h.
 */
#ifndef SEEP_HEAP_PEEK_H
#define SEEP_HEAP_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target;

struct peek_page {
	uint64_t start;
	uint32_t len; /* bytes that could be read from start on; 0: none of them */
	bool used;
};

struct peek {
	struct target *target;
	struct peek_page *pages; /* direct-mapped by address */
	uint8_t *bytes;
};

void peek_init(struct peek *p, struct target *t);
void peek_release(struct peek *p);
/* All or nothing. */
bool peek_read(struct peek *p, uint64_t addr, void *buffer, size_t len);
/* A word of eight bytes, whatever the target's word is. */
bool peek_u64(struct peek *p, uint64_t addr, uint64_t *ret);
bool peek_u32(struct peek *p, uint64_t addr, uint32_t *ret);
/* The word of the target's size. */
bool peek_word(struct peek *p, uint64_t addr, uint64_t *ret);

#endif
