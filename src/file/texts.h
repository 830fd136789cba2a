/* The chunks of the string table: one column of lengths, one of the texts without separators. */
#ifndef SEEP_FILE_TEXTS_H
#define SEEP_FILE_TEXTS_H

#include <stddef.h>
#include <stdint.h>

struct buffer;
struct strings;

/* How many strings from id `first` go into one chunk: at least 1 while there are any. */
uint32_t texts_chunk_rows(const struct strings *t, size_t first);
void texts_encode(const struct strings *t, size_t first, uint32_t rows, struct buffer *out);
/*
 * Appends the texts, which get the ids from `first` on; id 0 is there already and must be "".
 * -EBADMSG with nothing added: lengths and texts do not agree, a text has a NUL, the table is full.
 */
int texts_decode(struct strings *t, size_t first, uint32_t rows, const uint8_t *raw, size_t len);

#endif
