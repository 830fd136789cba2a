/* The first lines of a text listing: the answer as a sentence. */
#ifndef SEEP_FORMAT_HEADLINE_H
#define SEEP_FORMAT_HEADLINE_H

#include <stdint.h>

#include "model/listing.h"

struct palette;
struct str;

void headline_write(struct str *out, const struct listing *l, const struct palette *palette);
/* "site", "sites" … */
const char *listing_noun(enum listing_group group, uint64_t nr);

#endif
