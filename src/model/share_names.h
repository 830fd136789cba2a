/* Names once looked up serve every snapshot in which the same code occurs. */
#ifndef SEEP_MODEL_SHARE_NAMES_H
#define SEEP_MODEL_SHARE_NAMES_H

#include <stddef.h>

struct snapshot;

/*
 * Gives nameless frames of `to` the names that the same frames (module by build-id or path, offset
 * in it) have in `from`. Returns how many frames got names. Code in no module is left alone: what
 * lies at an address may have changed.
 */
size_t share_names(const struct snapshot *from, struct snapshot *to);

#endif
