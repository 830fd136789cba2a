/*
 * A growable string. `STR_INIT` is empty and owns nothing; `data` is always NUL-terminated and
 * never NULL, so it can be printed at any time. Release with str_release(); str_detach() hands the
 * text over.
 */
#ifndef SEEP_BASE_STR_H
#define SEEP_BASE_STR_H

#include <stddef.h>
#include <stdint.h>

struct str {
	char *data;
	size_t len, cap; /* cap 0: data is the shared empty string */
};

extern char str_empty[1];
#define STR_INIT                                                                                   \
	{                                                                                          \
		.data = str_empty                                                                  \
	}

void str_init(struct str *s);
void str_release(struct str *s);
void str_clear(struct str *s);		      /* length 0, memory kept */
void str_truncate(struct str *s, size_t len); /* len beyond the end: nothing happens */
void str_add(struct str *s, const char *text);
void str_add_len(struct str *s, const char *text, size_t len);
void str_add_char(struct str *s, char c);
/* Decimal, and hexadecimal with "0x": what str_printf() would add, several times as fast. */
void str_add_decimal(struct str *s, uint64_t n);
void str_add_hex(struct str *s, uint64_t n);
/* len bytes more, to be written by the caller, who may not add anything before that. */
char *str_extend(struct str *s, size_t len);
void str_reserve(struct str *s, size_t extra); /* so that so much more moves nothing */
void str_printf(struct str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *str_detach(struct str *s); /* caller frees; s is empty afterwards */

#endif
