/*
 * Names by symbol table alone: which symbol an address belongs to, when several overlap, share an
 * address or have no size. An address beyond every symbol's size gets no name rather than a wrong
 * one.
 */
#ifndef SEEP_SYM_SYMTAB_H
#define SEEP_SYM_SYMTAB_H

#include <stddef.h>
#include <stdint.h>

#include "sym/ranges.h"

struct debug;
struct image;

struct symtab {
	struct entry *entries;
	size_t nr, cap;
	struct ranges ranges;
};

/* image: for the ends of sections; NULL: symbols without a size are not used. */
void symtab_init(struct symtab *t, struct debug *d, const struct image *image);
/* The same of variables; those without a size are not used. */
void symtab_init_data(struct symtab *t, struct debug *d);
void symtab_release(struct symtab *t);
/* Linker's name, perhaps with "@VERSION", or NULL. *ret_start: address of the symbol. */
const char *symtab_find(const struct symtab *t, uint64_t addr, uint64_t *ret_start);

#endif
