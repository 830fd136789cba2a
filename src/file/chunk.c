/* Building and taking apart of single chunks; see chunk.h. */
#include "file/chunk.h"

#include <errno.h>

#include "base/hash.h"
#include "file/buffer.h"
#include "file/compress.h"
#include "file/layout.h"

static void put_header(uint8_t *p, uint32_t type, uint64_t first_row, uint32_t rows)
{
	put_le32(p, CHUNK_MAGIC);
	put_le32(p + CHUNK_TYPE_AT, type);
	put_le32(p + CHUNK_ROWS_AT, rows);
	put_le64(p + CHUNK_FIRST_AT, first_row);
}

int chunk_build(struct packer *p, uint32_t type, uint64_t first_row, uint32_t rows,
		const struct buffer *raw, struct buffer *out)
{
	size_t bound = packer_bound(raw->len);
	uint32_t flags = CHUNK_ZSTD;
	uint8_t *head;
	long packed;

	if (raw->len > CHUNK_MAX_RAW)
		return -EFBIG;
	out->len = 0;
	head = buffer_reserve(out, CHUNK_MIN_BYTES + bound);
	put_header(head, type, first_row, rows);
	out->len = CHUNK_HEADER_BYTES;
	packed = packer_pack(p, raw->data, raw->len, head + CHUNK_HEADER_BYTES, bound);
	if (packed < 0)
		return (int)packed;
	if ((size_t)packed >= raw->len) {
		flags = 0;
		packed = 0;
		buffer_add(out, raw->data, raw->len);
	}
	out->len += (size_t)packed;
	put_le32(head + CHUNK_FLAGS_AT, flags);
	put_le32(head + CHUNK_RAW_AT, (uint32_t)raw->len);
	put_le32(head + CHUNK_PACKED_AT, (uint32_t)(out->len - CHUNK_HEADER_BYTES));
	put_le64(head + out->len, hash_bytes(head, out->len));
	out->len += CHUNK_CHECKSUM_BYTES;
	return 0;
}

int chunk_parse(const uint8_t *data, size_t len, struct chunk *ret)
{
	struct chunk c;
	size_t hashed;

	if (len < CHUNK_MIN_BYTES || get_le32(data) != CHUNK_MAGIC)
		return -EBADMSG;
	c = (struct chunk){
		.type = get_le32(data + CHUNK_TYPE_AT),
		.flags = get_le32(data + CHUNK_FLAGS_AT),
		.rows = get_le32(data + CHUNK_ROWS_AT),
		.first_row = get_le64(data + CHUNK_FIRST_AT),
		.raw_len = get_le32(data + CHUNK_RAW_AT),
		.packed_len = get_le32(data + CHUNK_PACKED_AT),
		.payload = data + CHUNK_HEADER_BYTES,
	};
	if (c.packed_len > CHUNK_MAX_RAW || c.packed_len > len - CHUNK_MIN_BYTES)
		return -EBADMSG;
	hashed = CHUNK_HEADER_BYTES + (size_t)c.packed_len;
	if (get_le64(data + hashed) != hash_bytes(data, hashed))
		return -EILSEQ;
	c.bytes = hashed + CHUNK_CHECKSUM_BYTES;
	*ret = c;
	return 0;
}

int chunk_payload(const struct chunk *c, struct unpacker *u, struct buffer *room,
		  const uint8_t **ret_raw)
{
	uint64_t most = COLUMNS_MAX_RAW + (uint64_t)c->rows * ROW_MAX_RAW;
	int err;

	if (c->flags & ~CHUNK_ZSTD)
		return -EBADMSG;
	/* Texts have no bound by row, only the one for all. */
	if (c->raw_len > CHUNK_MAX_RAW || (c->type != CHUNK_STRINGS && c->raw_len > most))
		return -EBADMSG;
	if (!(c->flags & CHUNK_ZSTD)) {
		if (c->raw_len != c->packed_len)
			return -EBADMSG;
		*ret_raw = c->payload;
		return 0;
	}
	room->len = 0;
	buffer_reserve(room, c->raw_len);
	err = unpacker_unpack(u, c->payload, c->packed_len, room->data, c->raw_len);
	if (err)
		return err;
	room->len = c->raw_len;
	*ret_raw = room->data;
	return 0;
}
