/*
 * Numbers of the .seep format, version 1, shared by its writer and its reader; doc/file-format.md
 * tells the same in prose. All integers in the file are little endian.
 *
 *   header | META STRS… MODS… SYMS… FRMS… NODE… STKS… MARK… GENS… HEAP… THRD… REGN… SPAN…
 *          CHCK… MODE… BLKS… | RFBL… RFED… RFOW… RFRT… RFPT… | META INDX | trailer
 *
 * A chunk: magic type flags rows first_row raw_len packed_len | payload | checksum of these
 */
#ifndef SEEP_FILE_LAYOUT_H
#define SEEP_FILE_LAYOUT_H

#include <stdint.h>

#define FOURCC(a, b, c, d)                                                                         \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/* As in PNG: a byte that is no text, and line ends that a text-mode transfer would change. */
#define FILE_MAGIC "\x89SEEP\r\n\x1a"
#define FILE_MAGIC_BYTES 8
#define FILE_ORDER_MARK 0x01020304u
#define FILE_ORDER_OTHER 0x04030201u
enum {
	FILE_VERSION_AT = 8,
	FILE_ORDER_AT = 12,
	FILE_HEADER_LEN_AT = 16,
	FILE_CHECKSUM_AT = 24,
	FILE_HEADER_BYTES = 32,
};

#define CHUNK_MAGIC FOURCC(0xd5, 'C', 'H', 'K')
#define CHUNK_ZSTD 1u /* flag: the payload is a zstd frame; no other flag is known */
enum {
	CHUNK_TYPE_AT = 4,
	CHUNK_FLAGS_AT = 8,
	CHUNK_ROWS_AT = 12,
	CHUNK_FIRST_AT = 16,
	CHUNK_RAW_AT = 24,
	CHUNK_PACKED_AT = 28,
	CHUNK_HEADER_BYTES = 32,
	CHUNK_CHECKSUM_BYTES = 8,
	CHUNK_MIN_BYTES = CHUNK_HEADER_BYTES + CHUNK_CHECKSUM_BYTES,
};

#define TRAILER_MAGIC "SEEP.END"
enum {
	TRAILER_INDEX_AT = 8,
	TRAILER_CHECKSUM_AT = 16,
	TRAILER_BYTES = 24,
};

/* Limits that a reader enforces and a writer keeps. */
enum {
	CHUNK_MAX_ROWS = 1 << 16,
	CHUNK_MAX_TEXT = 1 << 20, /* bytes of texts in one chunk; a longer text is cut to this */
	INDEX_MAX_ROWS = 1 << 19,
	CHUNK_MAX_RAW = 1 << 23,
	ROW_MAX_RAW = 256,	/* bytes that one row can need, columns of later writers included */
	COLUMNS_MAX_RAW = 4096, /* and what the columns themselves can */
	COLUMNS_MAX = 256,
};

#define CHUNK_META FOURCC('M', 'E', 'T', 'A')
#define CHUNK_STRINGS FOURCC('S', 'T', 'R', 'S')
#define CHUNK_INDEX FOURCC('I', 'N', 'D', 'X')

static inline void put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline void put_le64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static inline uint32_t get_le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t get_le64(const uint8_t *p)
{
	return get_le32(p) | (uint64_t)get_le32(p + 4) << 32;
}

#endif
