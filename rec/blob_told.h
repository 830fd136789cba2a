/* How calls of include/seep/seep.h reach the injected recorder. */
#ifndef SEEP_REC_BLOB_TOLD_H
#define SEEP_REC_BLOB_TOLD_H

#include <stdint.h>

#include "told.h"

/* The injector stores its address into the modules that are there. */
extern const struct seep_functions blob_functions;

/* The same for one that has come later, and is met now for the first time. */
void blob_told_by_module(uint64_t start, uint64_t bias);

#endif
