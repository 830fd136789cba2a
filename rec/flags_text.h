/* Small things that the files of the stub share. */
#ifndef SEEP_REC_FLAGS_TEXT_H
#define SEEP_REC_FLAGS_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* Not an error of a system call. */
static inline bool ok(long r)
{
	return r >= 0 || r < -4095;
}

/* Both return where the text ends. */
static inline char *put_text(char *to, const char *s)
{
	while (*s)
		*to++ = *s++;
	*to = '\0';
	return to;
}

static inline char *put_number(char *to, uint64_t n)
{
	char digits[20];
	int nr = 0;

	do
		digits[nr++] = (char)('0' + n % 10);
	while (n /= 10);
	while (nr)
		*to++ = digits[--nr];
	*to = '\0';
	return to;
}

#endif
