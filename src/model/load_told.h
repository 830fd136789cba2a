/* What the program has told the recorder, on its way to a snapshot; for load.c. */
#ifndef SEEP_MODEL_LOAD_TOLD_H
#define SEEP_MODEL_LOAD_TOLD_H

#include <stddef.h>
#include <stdint.h>

#include "wire/sample.h"

struct generation_row;
struct load_input;
struct snapshot;
struct wire_block;

/* A sum of weights in blocks, rounded. */
static inline uint64_t load_whole_blocks(uint64_t weights)
{
	return (weights >> WIRE_WEIGHT_SHIFT) + (weights >> (WIRE_WEIGHT_SHIFT - 1) & 1);
}

/* How many of the marks are not younger than this time code. */
uint32_t load_generation(const struct load_input *in, uint32_t time_code);

void load_marks(struct snapshot *s, const struct load_input *in);

/*
 * Of each block (first those of the heap, then those of pools), the bytes that lie in blocks inside
 * of it. NULL: there are no pools. Freed by the caller.
 */
uint64_t *load_covered(const struct load_input *in);

/* Rows of (stack, generation) that are added to in any order, and put into the snapshot at the end.
 */
struct load_generations;
struct load_generations *load_generations_new(const struct load_input *in); /* NULL: no marks */
/* weight (wire/sample.h) and bytes: what the block stands for. */
void load_generations_add(struct load_generations *g, uint32_t stack, const struct wire_block *b,
			  uint64_t weight, uint64_t bytes);
/* Ascending by stack, then generation; belongs to the caller. Frees g. */
struct generation_row *load_generations_finish(struct load_generations *g, size_t *ret_nr);

#endif
