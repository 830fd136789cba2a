/* Modules as the recorder meets them: the first return address in one registers it. */
#ifndef SEEP_REC_MODULES_H
#define SEEP_REC_MODULES_H

#include "rec.h"

/* .eh_frame_hdr of the module that holds addr, NULL when there is none. Registers the module. */
const uint8_t *modules_unwind_info(struct wire_header *h, uint64_t addr);
/*
 * May anything have been loaded, to where pc is, since this was asked last? Then all rules are
 * forgotten. For addresses that were in no module: generated code goes, and a library may come to
 * its place.
 */
bool modules_appeared(struct wire_header *h, uint64_t pc);

#endif
