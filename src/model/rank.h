/* The order of rows and of the stacks in them; ties fall to blocks, then to the input order. */
#ifndef SEEP_MODEL_RANK_H
#define SEEP_MODEL_RANK_H

#include "model/listing.h"

/* Within each row: the largest change first, whichever way it goes. */
void rank_members(struct listing *l);
/* Rows by `sort`: numbers descending (what grew first, what shrank last), sites by name. */
void rank_rows(struct listing *l, enum listing_sort sort);

#endif
