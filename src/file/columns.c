/* Rows of structs to and from columns of bytes; see columns.h. */
#include "file/columns.h"

#include <errno.h>
#include <string.h>

#include "file/buffer.h"
#include "file/layout.h"

enum { VARINT_MAX_BYTES = 10 };

static uint64_t load_field(const uint8_t *p, unsigned int width)
{
	uint64_t v64;
	uint32_t v32;
	uint16_t v16;

	switch (width) {
	case 8:
		memcpy(&v64, p, 8);
		return v64;
	case 4:
		memcpy(&v32, p, 4);
		return v32;
	case 2:
		memcpy(&v16, p, 2);
		return v16;
	default:
		return *p;
	}
}

static void store_field(uint8_t *p, unsigned int width, uint64_t v)
{
	uint32_t v32 = (uint32_t)v;
	uint16_t v16 = (uint16_t)v;

	switch (width) {
	case 8:
		memcpy(p, &v, 8);
		break;
	case 4:
		memcpy(p, &v32, 4);
		break;
	case 2:
		memcpy(p, &v16, 2);
		break;
	default:
		*p = (uint8_t)v;
		break;
	}
}

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

/* Where the number ends, or NULL: it runs over the end or beyond 64 bits. */
static const uint8_t *get_varint(const uint8_t *p, const uint8_t *end, uint64_t *ret_value)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; p < end && shift < 64; shift += 7) {
		uint64_t bits = *p & 0x7f;

		if (shift == 63 && bits > 1)
			return NULL;
		v |= bits << shift;
		if (!(*p++ & 0x80)) {
			*ret_value = v;
			return p;
		}
	}
	return NULL;
}

static uint64_t zigzag(uint64_t v)
{
	return (v << 1) ^ (0 - (v >> 63));
}

static uint64_t unzigzag(uint64_t v)
{
	return (v >> 1) ^ (0 - (v & 1));
}

static uint8_t *encode_numbers(const struct column *c, const uint8_t *field, size_t row_bytes,
			       size_t nr, uint8_t *p)
{
	uint64_t before = 0;

	for (; nr; nr--, field += row_bytes) {
		uint64_t v = load_field(field, c->width);

		if (c->encoding == COLUMN_DELTA) {
			uint64_t step = v - before;

			before = v;
			v = zigzag(step);
		}
		p = put_varint(p, v);
	}
	return p;
}

static void put_column_header(uint8_t *p, uint16_t id, uint8_t encoding, uint8_t width, size_t len)
{
	p[0] = (uint8_t)id;
	p[1] = (uint8_t)(id >> 8);
	p[2] = encoding;
	p[3] = width;
	put_le32(p + 4, (uint32_t)len);
}

static void encode_column(const struct column *c, const uint8_t *rows, size_t row_bytes, size_t nr,
			  struct buffer *out)
{
	bool plain = c->encoding == COLUMN_BYTES;
	size_t most = nr * (plain ? c->width : VARINT_MAX_BYTES);
	uint8_t *head = buffer_reserve(out, COLUMN_HEADER_BYTES + most);
	uint8_t *start = head + COLUMN_HEADER_BYTES, *p = start;

	rows += c->offset;
	if (plain) {
		for (size_t i = 0; i < nr; i++, p += c->width)
			memcpy(p, rows + i * row_bytes, c->width);
	} else {
		p = encode_numbers(c, rows, row_bytes, nr, p);
	}
	put_column_header(head, c->id, c->encoding, plain ? c->width : 0, (size_t)(p - start));
	out->len += (size_t)(p - head);
}

void columns_encode(const struct row_layout *l, const void *rows, size_t nr, struct buffer *out)
{
	for (size_t i = 0; i < l->nr_columns; i++)
		encode_column(&l->columns[i], rows, l->row_bytes, nr, out);
}

void columns_add_bytes(struct buffer *out, uint16_t id, enum column_encoding encoding,
		       const void *bytes, size_t len)
{
	put_column_header(buffer_reserve(out, COLUMN_HEADER_BYTES), id, (uint8_t)encoding, 0, len);
	out->len += COLUMN_HEADER_BYTES;
	buffer_add(out, bytes, len);
}

/* Header of the column with this id, its bytes being within the payload; NULL: not there. */
static const uint8_t *find_header(const uint8_t *payload, size_t len, uint16_t id)
{
	for (int i = 0; i < COLUMNS_MAX && len >= COLUMN_HEADER_BYTES; i++) {
		size_t bytes = get_le32(payload + 4);

		if (bytes > len - COLUMN_HEADER_BYTES)
			return NULL;
		if ((payload[0] | payload[1] << 8) == id)
			return payload;
		payload += COLUMN_HEADER_BYTES + bytes;
		len -= COLUMN_HEADER_BYTES + bytes;
	}
	return NULL;
}

const uint8_t *columns_find(const uint8_t *payload, size_t len, uint16_t id,
			    enum column_encoding encoding, size_t *ret_len)
{
	const uint8_t *head = find_header(payload, len, id);

	if (!head || head[2] != encoding)
		return NULL;
	*ret_len = get_le32(head + 4);
	return head + COLUMN_HEADER_BYTES;
}

static int decode_numbers(const struct column *c, bool delta, const uint8_t *p, size_t len,
			  uint8_t *field, size_t row_bytes, size_t nr)
{
	uint64_t most = c->width == 8 ? UINT64_MAX : (1ull << (8 * c->width)) - 1;
	const uint8_t *end = p + len;
	uint64_t before = 0;

	for (; nr; nr--, field += row_bytes) {
		uint64_t v;

		p = get_varint(p, end, &v);
		if (!p)
			return -EBADMSG;
		if (delta) {
			v = before + unzigzag(v);
			before = v;
		}
		if (v > most)
			return -EBADMSG;
		store_field(field, c->width, v);
	}
	return p == end ? 0 : -EBADMSG;
}

static void fill_column(const struct column *c, uint8_t *field, size_t row_bytes, size_t nr)
{
	for (; nr && c->missing; nr--, field += row_bytes)
		store_field(field, c->width, c->missing);
}

static int decode_column(const struct column *c, const uint8_t *payload, size_t len, uint8_t *rows,
			 size_t row_bytes, size_t nr)
{
	const uint8_t *head = find_header(payload, len, c->id);
	size_t bytes;

	rows += c->offset;
	if (!head && c->optional) {
		fill_column(c, rows, row_bytes, nr);
		return 0;
	}
	if (!head)
		return -EBADMSG;
	bytes = get_le32(head + 4);
	if (c->encoding != COLUMN_BYTES) {
		if (head[2] != COLUMN_VARINT && head[2] != COLUMN_DELTA)
			return -EBADMSG;
		return decode_numbers(c, head[2] == COLUMN_DELTA, head + COLUMN_HEADER_BYTES, bytes,
				      rows, row_bytes, nr);
	}
	if (head[2] != COLUMN_BYTES || head[3] != c->width || bytes != nr * c->width)
		return -EBADMSG;
	for (size_t i = 0; i < nr; i++)
		memcpy(rows + i * row_bytes, head + COLUMN_HEADER_BYTES + i * c->width, c->width);
	return 0;
}

int columns_decode(const struct row_layout *l, const uint8_t *payload, size_t len, void *rows,
		   size_t nr)
{
	for (size_t i = 0; i < l->nr_columns; i++) {
		int err = decode_column(&l->columns[i], payload, len, rows, l->row_bytes, nr);

		if (err)
			return err;
	}
	return 0;
}
