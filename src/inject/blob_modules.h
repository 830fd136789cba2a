/* What is loaded in a process, in the words of the injected recorder. */
#ifndef SEEP_INJECT_BLOB_MODULES_H
#define SEEP_INJECT_BLOB_MODULES_H

#include <stdbool.h>

#include "wire/blob.h"

struct blob_image;
struct target;

/*
 * Fills blob->modules: the recorder itself first. stay: none of them will ever be unloaded (a
 * static program).
 */
void blob_modules_fill(struct target *t, const struct blob_image *image, uint64_t base, bool stay,
		       struct wire_blob *blob);
/* The main program's table of frames is at this address. */
void blob_modules_set_frames(struct wire_blob *blob, uint64_t table);

#endif
