/* Names of PLT stubs: "malloc@plt". A stub has no symbol; its jump tells which one it stands for.
 */
#ifndef SEEP_SYM_PLT_H
#define SEEP_SYM_PLT_H

#include <stdint.h>

#include "base/map.h"

struct image;

struct plt {
	const struct image *image;
	struct map by_slot;  /* address of the GOT entry -> index + 1 into names */
	struct map by_index; /* index into .rela.plt -> the same */
	char **names;
	size_t nr, cap;
	bool read;
};

void plt_init(struct plt *p, const struct image *image);
void plt_release(struct plt *p);
/* "name@plt" or NULL when addr is in no stub that names a symbol. *ret_start: where the stub
 * starts. */
const char *plt_find(struct plt *p, uint64_t addr, uint64_t *ret_start);

#endif
