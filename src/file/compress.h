/* Compression of one payload; the only door to zstd. Contexts are kept between calls. */
#ifndef SEEP_FILE_COMPRESS_H
#define SEEP_FILE_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

struct packer;
struct unpacker;

struct packer *packer_new(void);
void packer_free(struct packer *p);
/* Worst-case size of len bytes compressed. */
size_t packer_bound(size_t len);
/* Compressed size in out[cap], or negative errno (-ENOSPC: does not fit in cap). */
long packer_pack(struct packer *p, const void *raw, size_t len, void *out, size_t cap);

struct unpacker *unpacker_new(void);
void unpacker_free(struct unpacker *u);
/*
 * Exactly raw_len bytes into raw. -EBADMSG: not a zstd frame of that many bytes; nothing beyond
 * raw_len is ever written, whatever the frame claims.
 */
int unpacker_unpack(struct unpacker *u, const void *packed, size_t len, void *raw, size_t raw_len);

#endif
