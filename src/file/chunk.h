/* One chunk: header, payload (zstd or as it is), checksum. Sizes are checked before use. */
#ifndef SEEP_FILE_CHUNK_H
#define SEEP_FILE_CHUNK_H

#include <stddef.h>
#include <stdint.h>

struct buffer;
struct packer;
struct unpacker;

struct chunk {
	uint32_t type, flags, rows;
	uint64_t first_row; /* number of the first row within its array */
	uint32_t raw_len, packed_len;
	const uint8_t *payload; /* within the bytes that were parsed */
	size_t bytes;		/* header, payload and checksum */
};

/* Makes *out a whole chunk around the payload. -EFBIG: too large a payload. */
int chunk_build(struct packer *p, uint32_t type, uint64_t first_row, uint32_t rows,
		const struct buffer *raw, struct buffer *out);
/*
 * The chunk at the beginning of data[len]. -EBADMSG: no chunk, or one that does not fit in;
 * -EILSEQ: a chunk whose checksum is wrong (this had to read all of it).
 */
int chunk_parse(const uint8_t *data, size_t len, struct chunk *ret);
/*
 * The payload's bytes, chunk->raw_len of them, valid until *room changes or data goes. -EBADMSG:
 * too large for the number of rows, or not decompressible.
 */
int chunk_payload(const struct chunk *c, struct unpacker *u, struct buffer *room,
		  const uint8_t **ret_raw);

#endif
