/* Reading encoded integers within bounds, and the few memory functions that we need without libc.
 */
#ifndef SEEP_REC_BYTES_H
#define SEEP_REC_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void bytes_zero(void *p, size_t n)
{
	volatile uint8_t *b = p;

	while (n--)
		*b++ = 0;
}

static inline void bytes_copy(void *to, const void *from, size_t n)
{
	volatile uint8_t *t = to;
	const uint8_t *f = from;

	while (n--)
		*t++ = *f++;
}

static inline bool bytes_equal(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	while (n--)
		if (*x++ != *y++)
			return false;
	return true;
}

static inline size_t text_length(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

static inline bool text_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static inline bool text_starts(const char *s, const char *prefix)
{
	while (*prefix)
		if (*s++ != *prefix++)
			return false;
	return true;
}

/* Copies at most cap - 1 bytes and terminates. */
static inline void text_copy(char *to, const char *from, size_t cap)
{
	size_t i = 0;

	for (; i + 1 < cap && from[i]; i++)
		to[i] = from[i];
	to[i] = '\0';
}

/* A cursor that never passes its end; bad: it would have. */
struct reader {
	const uint8_t *p, *end;
	bool bad;
};

static inline uint64_t read_fixed(struct reader *r, unsigned n)
{
	uint64_t v = 0;

	if (r->p > r->end || (size_t)(r->end - r->p) < n) {
		r->bad = true;
		return 0;
	}
	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)r->p[i] << (8 * i);
	r->p += n;
	return v;
}

static inline uint64_t read_uleb(struct reader *r)
{
	uint64_t v = 0;
	unsigned shift = 0;

	while (r->p < r->end) {
		uint8_t b = *r->p++;

		if (shift < 64)
			v |= (uint64_t)(b & 127) << shift;
		shift += 7;
		if (!(b & 128))
			return v;
	}
	r->bad = true;
	return 0;
}

static inline int64_t read_sleb(struct reader *r)
{
	uint64_t v = 0;
	unsigned shift = 0;

	while (r->p < r->end) {
		uint8_t b = *r->p++;

		if (shift < 64)
			v |= (uint64_t)(b & 127) << shift;
		shift += 7;
		if (!(b & 128)) {
			if (shift < 64 && (b & 64))
				v |= ~0ull << shift;
			return (int64_t)v;
		}
	}
	r->bad = true;
	return 0;
}

/* Initial length of a DWARF unit: 4 bytes, or 4 + 8. The caller sets r->end afterwards. */
static inline uint64_t read_length(struct reader *r)
{
	uint64_t len = read_fixed(r, 4);

	return len == 0xffffffff ? read_fixed(r, 8) : len;
}

/* DW_EH_PE_* encoded pointer; data_base for 0x30. LSB 5.0, 10.5.1. */
static inline uint64_t read_encoded(struct reader *r, uint8_t enc, uint64_t data_base)
{
	uint64_t at = (uint64_t)r->p, v;

	if (enc == 0xff)
		return 0;
	switch (enc & 15) {
	case 0:
	case 4:
	case 12:
		v = read_fixed(r, 8);
		break;
	case 1:
		v = read_uleb(r);
		break;
	case 2:
		v = read_fixed(r, 2);
		break;
	case 3:
		v = read_fixed(r, 4);
		break;
	case 9:
		v = (uint64_t)read_sleb(r);
		break;
	case 10:
		v = (uint64_t)(int64_t)(int16_t)read_fixed(r, 2);
		break;
	case 11:
		v = (uint64_t)(int64_t)(int32_t)read_fixed(r, 4);
		break;
	default:
		r->bad = true;
		return 0;
	}
	if ((enc & 0x70) == 0x10)
		v += at;
	else if ((enc & 0x70) == 0x30)
		v += data_base;
	if ((enc & 0x80) && !r->bad)
		v = *(const uint64_t *)v;
	return v;
}

#endif
