/*
 * Rows of structs to and from columns of bytes. A payload is one column after the other:
 *
 *   u16 id | u8 encoding | u8 width | u32 bytes | that many bytes        (once for each column)
 *
 * A reader takes the columns it knows by id and skips the others, so later writers may add some; a
 * column that was added later is optional to a reader and has a value where it is missing.
 */
#ifndef SEEP_FILE_COLUMNS_H
#define SEEP_FILE_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer;

enum column_encoding {
	COLUMN_VARINT = 0, /* LEB128, as in DWARF; width 0 */
	COLUMN_DELTA = 1,  /* difference to the row before (0 before the first), zigzag, LEB128 */
	COLUMN_BYTES = 2,  /* `width` bytes a row as they are */
	COLUMN_TEXT = 3, /* bytes of all rows without separators; another column has the lengths */
};

enum { COLUMN_HEADER_BYTES = 8 };

struct column {
	uint16_t id;
	uint8_t encoding;
	uint8_t width;	  /* bytes of the field: 1, 2, 4, 8; COLUMN_BYTES: any */
	uint16_t offset;  /* of the field in the row */
	bool optional;	  /* files of earlier writers lack it; COLUMN_BYTES never is */
	uint32_t missing; /* what the field is then */
};

/* How to find the columns of rows. */
struct row_layout {
	size_t row_bytes;
	const struct column *columns;
	size_t nr_columns;
};

/* Appends the columns of nr rows. */
void columns_encode(const struct row_layout *l, const void *rows, size_t nr, struct buffer *out);
/*
 * Fills nr rows of zeroes from a payload. -EBADMSG: a column that must be there is missing, too
 * short or too long for nr rows, or holds a number that does not fit the field.
 */
int columns_decode(const struct row_layout *l, const uint8_t *payload, size_t len, void *rows,
		   size_t nr);

/* For payloads that are not structs: appends a column whose bytes are ready. */
void columns_add_bytes(struct buffer *out, uint16_t id, enum column_encoding encoding,
		       const void *bytes, size_t len);
/* Finds the column; *ret_len bytes at the result, NULL: not there, or of another encoding. */
const uint8_t *columns_find(const uint8_t *payload, size_t len, uint16_t id,
			    enum column_encoding encoding, size_t *ret_len);

#endif
