/*
 * Reading words here and there in a target: pages are kept for a while, so that lists whose links
 * stay close together do not cost a system call a step.
 */
#ifndef SEEP_HEAP_SCATTER_H
#define SEEP_HEAP_SCATTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target;

struct scatter {
	struct target *target;
	uint8_t *bytes;
	uint64_t *pages; /* address of what each line holds, 1: nothing */
	uint32_t *have;	 /* bytes of it that could be read */
	size_t lines;	 /* a power of two */
};

/* lines 0: a good default (1 MiB). */
void scatter_init(struct scatter *s, struct target *t, size_t lines);
void scatter_release(struct scatter *s);
/* All or nothing. */
bool scatter_read(struct scatter *s, uint64_t addr, void *buffer, size_t len);
/* A word of the target's size. */
bool scatter_word(struct scatter *s, uint64_t addr, uint64_t *ret);
bool scatter_int(struct scatter *s, uint64_t addr, uint32_t *ret);

#endif
