/* Growable bytes; see buffer.h. */
#include "file/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

uint8_t *buffer_reserve(struct buffer *b, size_t bytes)
{
	size_t cap = b->cap ? b->cap : 4096;

	while (cap - b->len < bytes)
		cap *= 2;
	if (cap != b->cap) {
		b->data = mem_realloc(b->data, cap);
		b->cap = cap;
	}
	return b->data + b->len;
}

void buffer_add(struct buffer *b, const void *bytes, size_t len)
{
	if (!len)
		return;
	memcpy(buffer_reserve(b, len), bytes, len);
	b->len += len;
}

void buffer_release(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){0};
}
