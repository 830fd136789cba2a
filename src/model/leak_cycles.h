/*
 * Cycles of blocks that nothing outside them points to. Strongly connected components in the form
 * of D. J. Pearce, "A space-efficient algorithm for finding strongly connected components" (2016),
 * without recursion.
 */
#ifndef SEEP_MODEL_LEAK_CYCLES_H
#define SEEP_MODEL_LEAK_CYCLES_H

#include <stdint.h>

struct leak_graph;

#define LEAK_NO_CYCLE UINT32_MAX

/*
 * left: a bit for each node that is to be looked at; whatever points to one of them must be one of
 * them. Returns, by node, the number of its cycle or LEAK_NO_CYCLE; free() it. Numbers are below
 * *ret_numbers.
 */
uint32_t *leak_cycles_find(const struct leak_graph *g, const uint64_t *left, uint32_t *ret_numbers);

#endif
