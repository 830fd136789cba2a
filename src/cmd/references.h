/* References for a snapshot (model/references.h), from the memory that it was made of. */
#ifndef SEEP_CMD_REFERENCES_H
#define SEEP_CMD_REFERENCES_H

struct error;
struct look;
struct symbolize_options;

/*
 * Adds them to look->snapshot; the look's memory is at hand. names: how names of variables are
 * looked up. -ENOTSUP: no block is known. -EAGAIN: only the recorder knows them, and the look is a
 * clone. On failure the look is released.
 */
int references_take(struct look *look, const struct symbolize_options *names, struct error *e);

#endif
