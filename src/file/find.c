/* Where the chunks of a file are; see find.h. */
#include "file/find.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "file/buffer.h"
#include "file/chunk.h"
#include "file/layout.h"
#include "file/tables.h"

/*
 * Each place that looks like a chunk and has a wrong checksum costs the reading of that chunk.
 * Bytes made to consist of such places must not keep us busy for hours.
 */
enum { FALSE_CHUNKS_MAX = 1024 };

/* *ret_offset: of the index, with room for a chunk before the trailer. */
static bool read_trailer(const uint8_t *data, size_t len, uint64_t *ret_offset)
{
	const uint8_t *tail;
	uint64_t offset;

	if (len < FILE_HEADER_BYTES + CHUNK_MIN_BYTES + TRAILER_BYTES)
		return false;
	tail = data + len - TRAILER_BYTES;
	if (memcmp(tail, TRAILER_MAGIC, TRAILER_INDEX_AT) != 0 ||
	    get_le64(tail + TRAILER_CHECKSUM_AT) != hash_bytes(tail, TRAILER_CHECKSUM_AT))
		return false;
	offset = get_le64(tail + TRAILER_INDEX_AT);
	if (offset < FILE_HEADER_BYTES || offset > len - TRAILER_BYTES - CHUNK_MIN_BYTES)
		return false;
	*ret_offset = offset;
	return true;
}

/* Offsets ascend and stay before the index. */
static bool entries_plausible(const struct chunk_entry *entries, size_t nr, uint64_t end)
{
	uint64_t at_least = FILE_HEADER_BYTES;

	for (size_t i = 0; i < nr; i++) {
		if (entries[i].offset < at_least || entries[i].offset > end ||
		    end - entries[i].offset < CHUNK_MIN_BYTES)
			return false;
		at_least = entries[i].offset + CHUNK_MIN_BYTES;
	}
	return true;
}

static bool read_index(struct chunk_list *l, const uint8_t *data, size_t len, uint64_t offset,
		       struct unpacker *u)
{
	size_t room_bytes = len - TRAILER_BYTES - offset;
	struct buffer room = {0};
	struct chunk_entry *entries = NULL;
	const uint8_t *raw;
	struct chunk c;
	bool good = false;

	if (chunk_parse(data + offset, room_bytes, &c) || c.bytes != room_bytes ||
	    c.type != CHUNK_INDEX || c.rows > INDEX_MAX_ROWS || chunk_payload(&c, u, &room, &raw))
		goto out;
	entries = mem_alloc_array(c.rows, sizeof(*entries));
	if (columns_decode(&index_layout, raw, c.raw_len, entries, c.rows) ||
	    !entries_plausible(entries, c.rows, offset))
		goto out;
	l->items = entries;
	l->nr = l->cap = c.rows;
	entries = NULL;
	good = true;
out:
	free(entries);
	buffer_release(&room);
	return good;
}

/* Distance from data to the next place where a chunk could begin; len: there is none. */
static size_t next_magic(const uint8_t *data, size_t len)
{
	uint8_t magic[4];
	const uint8_t *p;

	put_le32(magic, CHUNK_MAGIC);
	p = memmem(data, len, magic, sizeof(magic));
	return p ? (size_t)(p - data) : len;
}

static void scan(struct chunk_list *l, const uint8_t *data, size_t len)
{
	size_t at = FILE_HEADER_BYTES;
	int false_chunks = 0;

	while (at < len && false_chunks < FALSE_CHUNKS_MAX) {
		struct chunk c;
		int err = chunk_parse(data + at, len - at, &c);

		if (err) {
			false_chunks += err == -EILSEQ;
			at++;
			at += next_magic(data + at, len - at);
			continue;
		}
		if (c.type != CHUNK_INDEX)
			ARRAY_PUSH(l->items, l->nr, l->cap,
				   ((struct chunk_entry){.type = c.type,
							 .rows = c.rows,
							 .first_row = c.first_row,
							 .offset = at}));
		at += c.bytes;
	}
}

void chunk_list_find(struct chunk_list *l, const uint8_t *data, size_t len, struct unpacker *u)
{
	uint64_t offset;

	*l = (struct chunk_list){0};
	l->has_end = read_trailer(data, len, &offset);
	l->indexed = l->has_end && read_index(l, data, len, offset, u);
	if (!l->indexed)
		scan(l, data, len);
}

void chunk_list_release(struct chunk_list *l)
{
	free(l->items);
	*l = (struct chunk_list){0};
}
