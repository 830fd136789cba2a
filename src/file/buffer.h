/* Growable bytes, for payloads. All zero is empty; release frees. */
#ifndef SEEP_FILE_BUFFER_H
#define SEEP_FILE_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *data;
	size_t len, cap;
};

/* Room for `bytes` more after data + len; returns where it begins. len is not changed. */
uint8_t *buffer_reserve(struct buffer *b, size_t bytes);
void buffer_add(struct buffer *b, const void *bytes, size_t len);
void buffer_release(struct buffer *b);

#endif
