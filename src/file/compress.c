/* The only file that includes zstd; see compress.h. */
#include "file/compress.h"

#include <errno.h>
#include <stdlib.h>

#include <zstd.h>

#include "base/mem.h"

/* Columns of small numbers are easy prey: higher levels cost time and win a few percent. */
enum { LEVEL = 3 };

/* Frames that ask for a larger window are refused: no chunk is larger than this. */
enum { WINDOW_LOG_MAX = 23 };

struct packer {
	ZSTD_CCtx *context;
};

struct unpacker {
	ZSTD_DCtx *context;
};

struct packer *packer_new(void)
{
	struct packer *p = mem_alloc(sizeof(*p));

	p->context = ZSTD_createCCtx();
	return p;
}

void packer_free(struct packer *p)
{
	if (!p)
		return;
	ZSTD_freeCCtx(p->context);
	free(p);
}

size_t packer_bound(size_t len)
{
	return ZSTD_compressBound(len);
}

long packer_pack(struct packer *p, const void *raw, size_t len, void *out, size_t cap)
{
	size_t n;

	if (!p->context)
		return -ENOMEM;
	n = ZSTD_compressCCtx(p->context, out, cap, raw, len, LEVEL);
	return ZSTD_isError(n) ? -ENOSPC : (long)n;
}

struct unpacker *unpacker_new(void)
{
	struct unpacker *u = mem_alloc(sizeof(*u));

	u->context = ZSTD_createDCtx();
	if (u->context)
		ZSTD_DCtx_setParameter(u->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	return u;
}

void unpacker_free(struct unpacker *u)
{
	if (!u)
		return;
	ZSTD_freeDCtx(u->context);
	free(u);
}

int unpacker_unpack(struct unpacker *u, const void *packed, size_t len, void *raw, size_t raw_len)
{
	size_t n;

	if (!u->context)
		return -ENOMEM;
	if (ZSTD_getFrameContentSize(packed, len) != raw_len)
		return -EBADMSG;
	n = ZSTD_decompressDCtx(u->context, raw, raw_len, packed, len);
	return ZSTD_isError(n) || n != raw_len ? -EBADMSG : 0;
}
