/*
 * Takes a .seep file apart and puts it together again with right checksums and a right index, so
 * that tests can lie in ways that a checksum does not catch.
 */
#ifndef FORGE_H
#define FORGE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "file/buffer.h"
#include "file/chunk.h"
#include "file/compress.h"
#include "file/layout.h"
#include "file/tables.h"

enum { FORGE_CHUNKS_MAX = 64 };

struct forge_chunk {
	uint32_t type, rows;
	uint64_t first_row;
	struct buffer raw;
};

struct forge {
	struct forge_chunk chunks[FORGE_CHUNKS_MAX];
	size_t nr;
};

static inline void forge_add(struct forge *f, uint32_t type, uint64_t first_row, uint32_t rows,
			     const void *raw, size_t len)
{
	struct forge_chunk *c = &f->chunks[f->nr++];

	*c = (struct forge_chunk){.type = type, .rows = rows, .first_row = first_row};
	buffer_reserve(&c->raw, 1);
	buffer_add(&c->raw, raw, len);
}

/* All chunks of a good file but its index. False: not a good file, or too many chunks. */
static inline bool forge_take(struct forge *f, const uint8_t *data, size_t len)
{
	struct unpacker *u = unpacker_new();
	struct buffer room = {0};
	size_t at = FILE_HEADER_BYTES;
	const uint8_t *raw;
	struct chunk c;

	f->nr = 0;
	while (at < len && f->nr < FORGE_CHUNKS_MAX && !chunk_parse(data + at, len - at, &c)) {
		if (c.type == CHUNK_INDEX || chunk_payload(&c, u, &room, &raw))
			break;
		forge_add(f, c.type, c.first_row, c.rows, raw, c.raw_len);
		at += c.bytes;
	}
	buffer_release(&room);
	unpacker_free(u);
	return f->nr > 0 && at < len;
}

static inline struct forge_chunk *forge_find(struct forge *f, uint32_t type)
{
	for (size_t i = 0; i < f->nr; i++)
		if (f->chunks[i].type == type)
			return &f->chunks[i];
	return NULL;
}

static inline void forge_header(struct buffer *out, uint32_t version)
{
	uint8_t head[FILE_HEADER_BYTES] = {0};

	memcpy(head, FILE_MAGIC, FILE_MAGIC_BYTES);
	put_le32(head + FILE_VERSION_AT, version);
	put_le32(head + FILE_ORDER_AT, FILE_ORDER_MARK);
	put_le32(head + FILE_HEADER_LEN_AT, FILE_HEADER_BYTES);
	put_le64(head + FILE_CHECKSUM_AT, hash_bytes(head, FILE_CHECKSUM_AT));
	out->len = 0;
	buffer_add(out, head, sizeof(head));
}

static inline void forge_trailer(struct buffer *out, uint64_t index)
{
	uint8_t tail[TRAILER_BYTES];

	memcpy(tail, TRAILER_MAGIC, TRAILER_INDEX_AT);
	put_le64(tail + TRAILER_INDEX_AT, index);
	put_le64(tail + TRAILER_CHECKSUM_AT, hash_bytes(tail, TRAILER_CHECKSUM_AT));
	buffer_add(out, tail, sizeof(tail));
}

/* Replaces *out by a whole file. */
static inline void forge_make(const struct forge *f, struct buffer *out)
{
	struct chunk_entry entries[FORGE_CHUNKS_MAX] = {0};
	struct packer *p = packer_new();
	struct buffer one = {0}, index = {0};
	uint64_t index_at;

	forge_header(out, 1);
	for (size_t i = 0; i < f->nr; i++) {
		const struct forge_chunk *c = &f->chunks[i];

		entries[i] = (struct chunk_entry){c->type, c->rows, c->first_row, out->len};
		chunk_build(p, c->type, c->first_row, c->rows, &c->raw, &one);
		buffer_add(out, one.data, one.len);
	}
	index_at = out->len;
	columns_encode(&index_layout, entries, f->nr, &index);
	chunk_build(p, CHUNK_INDEX, 0, (uint32_t)f->nr, &index, &one);
	buffer_add(out, one.data, one.len);
	forge_trailer(out, index_at);
	buffer_release(&one);
	buffer_release(&index);
	packer_free(p);
}

static inline void forge_release(struct forge *f)
{
	for (size_t i = 0; i < f->nr; i++)
		buffer_release(&f->chunks[i].raw);
	f->nr = 0;
}

#endif
