/* Free addresses near others, where nothing that grows will want to go. */
#ifndef SEEP_INJECT_GAP_H
#define SEEP_INJECT_GAP_H

#include <stdint.h>

struct maps;

/*
 * A place of so many bytes (whole pages) that is less than reach away, all of it, from every
 * address of [low, high]. 0: there is none.
 */
uint64_t gap_find(const struct maps *maps, uint64_t low, uint64_t high, uint64_t bytes,
		  uint64_t reach);

#endif
