/*
 * The recorder's file (libseep-blob.so), as it will lie in a process: code first, then data, which
 * begins with struct wire_blob. Our own file, so what does not fit is a broken installation.
 */
#ifndef SEEP_INJECT_BLOB_IMAGE_H
#define SEEP_INJECT_BLOB_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "wire/blob.h"

struct error;

struct blob_image {
	char *path;
	uint8_t *bytes; /* text_bytes of code, then data; relocated by blob_image_relocate() */
	size_t bytes_nr;
	uint64_t text_bytes, all_bytes; /* in memory; whole pages */
	uint64_t *relocations;		/* offsets of words that an address is to be added to */
	size_t nr_relocations;
	uint64_t eh_frame_hdr; /* offset */
	uint8_t build_id[20];
	uint8_t build_id_len;
};

#define BLOB_IMAGE_INIT                                                                            \
	{                                                                                          \
		.bytes = NULL                                                                      \
	}

/* Finds and reads it. Errors carry EXIT_TARGET. */
int blob_image_open(struct blob_image *ret, struct error *e);
void blob_image_release(struct blob_image *i);
/* It will lie at base; once only. */
void blob_image_relocate(struct blob_image *i, uint64_t base);
/* What data begins with; to be filled in before it is written. */
struct wire_blob *blob_image_blob(struct blob_image *i);

#endif
