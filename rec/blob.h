/* What the injector has told us. */
#ifndef SEEP_REC_BLOB_H
#define SEEP_REC_BLOB_H

#include "wire/blob.h"

extern struct wire_blob rec_blob;

#endif
