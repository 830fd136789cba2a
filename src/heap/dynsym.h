/* Exported symbols of a module, read from its dynamic section in the target's memory. */
#ifndef SEEP_HEAP_DYNSYM_H
#define SEEP_HEAP_DYNSYM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scatter;
struct target_module;

struct dynsym {
	struct scatter *memory;
	unsigned int word;
	uint64_t bias;
	uint64_t symbols, strings;     /* addresses of the tables; 0: there is none */
	uint64_t gnu_hash, plain_hash; /* either may be 0 */
};

/* False: the module has no dynamic section that can be read (static program). */
bool dynsym_open(struct dynsym *d, struct scatter *memory, unsigned int word,
		 const struct target_module *module);
/* Address of a defined symbol of any version; *ret_size may be NULL. */
bool dynsym_find(struct dynsym *d, const char *name, uint64_t *ret, uint64_t *ret_size);

#endif
