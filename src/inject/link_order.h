/* In which order the loader looks for a symbol: the program, then libraries as it lists them. */
#ifndef SEEP_INJECT_LINK_ORDER_H
#define SEEP_INJECT_LINK_ORDER_H

#include <stddef.h>
#include <stdint.h>

struct target;

/*
 * Indices of all modules of t, one for each: those of the loader's list first, as it has them; then
 * the others (other namespaces, or all when there is no loader), the program first of them.
 * r_debug: address of struct r_debug, 0 none. *ret_listed: how many are of the list. Caller frees.
 */
size_t *link_order(struct target *t, uint64_t r_debug, size_t *ret_listed);

#endif
