/*
 * Rows of the table of pools (struct wire_pool_row), of which the recorder has two uses: pools that
 * the program tells of (pools.c), and handles of resources (handles.c). The caller is inside a
 * hook.
 */
#ifndef SEEP_REC_POOL_ROWS_H
#define SEEP_REC_POOL_ROWS_H

#include "arch_x86_64.h"
#include "rec.h"

struct hook;

uint64_t rows_key(const void *p, uint64_t kind);
uint64_t rows_new_generation(struct wire_header *h);
/* NULL: there is none, there is no room. */
struct wire_pool_row *rows_find(const struct wire_header *h, uint64_t key);
struct wire_pool_row *rows_find_block(const struct wire_header *h, uint64_t key, uint64_t number);
struct wire_pool_row *rows_claim(struct wire_header *h, uint64_t key);
bool rows_is_stale(const struct wire_header *h, uint64_t key, uint64_t owner);
void rows_change(struct wire_header *h, uint64_t *word, uint64_t value);
/* Completes a claimed row. */
void rows_write(struct wire_header *h, struct wire_pool_row *r, uint64_t key, uint64_t stack,
		uint64_t size, uint64_t owner);
/* The node of the caller's stack. */
uint32_t rows_stack(const struct hook *k, const struct arch_caller *c);
/*
 * A new block of a pool; one that still stands at its address is forgotten, as is told. False:
 * there is no room.
 */
bool rows_enter(const struct hook *k, struct wire_pool_row *pool, const void *block, uint64_t bytes,
		uint32_t node);
void rows_forget(struct wire_header *h, const struct wire_pool_row *block);
/* No room for it, which is counted. */
void rows_drop(struct wire_header *h, uint64_t size);

#endif
