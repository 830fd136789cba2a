/* The chunks of the string table; see texts.h. */
#include "file/texts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "file/buffer.h"
#include "file/columns.h"
#include "file/layout.h"
#include "model/strings.h"

enum { TEXT_COLUMN = 2 };

static const struct column length_column = {.id = 1, .encoding = COLUMN_VARINT, .width = 4};
static const struct row_layout length_layout = {4, &length_column, 1};

/* Longer texts are cut, so that one chunk can hold any. */
static uint32_t stored_len(const struct strings *t, size_t id)
{
	return (uint32_t)strnlen(strings_get(t, (uint32_t)id), CHUNK_MAX_TEXT);
}

uint32_t texts_chunk_rows(const struct strings *t, size_t first)
{
	size_t id = first, bytes = 0;

	for (; id < t->nr && id - first < CHUNK_MAX_ROWS; id++) {
		bytes += stored_len(t, id);
		if (bytes > CHUNK_MAX_TEXT && id > first)
			break;
	}
	return (uint32_t)(id - first);
}

void texts_encode(const struct strings *t, size_t first, uint32_t rows, struct buffer *out)
{
	uint32_t *lengths = mem_alloc_array(rows, sizeof(*lengths));
	struct buffer texts = {0};

	for (uint32_t i = 0; i < rows; i++) {
		lengths[i] = stored_len(t, first + i);
		buffer_add(&texts, strings_get(t, (uint32_t)(first + i)), lengths[i]);
	}
	columns_encode(&length_layout, lengths, rows, out);
	columns_add_bytes(out, TEXT_COLUMN, COLUMN_TEXT, texts.data, texts.len);
	buffer_release(&texts);
	free(lengths);
}

/* Do the lengths add up to the bytes that are there, is there no NUL, and is there room? */
static int check_texts(const struct strings *t, size_t first, const uint32_t *lengths,
		       uint32_t rows, const uint8_t *texts, size_t len)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < rows; i++)
		sum += lengths[i];
	if (sum != len || (len && memchr(texts, '\0', len)))
		return -EBADMSG;
	if (!first && lengths[0])
		return -EBADMSG;
	return t->len + len + rows > STRINGS_MAX_BYTES ? -EBADMSG : 0;
}

int texts_decode(struct strings *t, size_t first, uint32_t rows, const uint8_t *raw, size_t len)
{
	uint32_t *lengths = mem_alloc_array(rows, sizeof(*lengths));
	const uint8_t *texts;
	size_t texts_len;
	int err = columns_decode(&length_layout, raw, len, lengths, rows);

	if (err || !rows)
		goto out;
	texts = columns_find(raw, len, TEXT_COLUMN, COLUMN_TEXT, &texts_len);
	err = texts ? check_texts(t, first, lengths, rows, texts, texts_len) : -EBADMSG;
	if (err)
		goto out;
	for (uint32_t i = 0; i < rows; i++) {
		if (first + i)
			strings_append(t, (const char *)texts, lengths[i]);
		texts += lengths[i];
	}
out:
	free(lengths);
	return err;
}
