/*
 * A growable string. `STR_INIT` is empty and owns nothing; `data` is always NUL-terminated and
 * never NULL, so it can be printed at any time. Release with str_release(); str_detach() hands the
 * text over.
 */
#ifndef SEEP_BASE_STR_H
#define SEEP_BASE_STR_H

#include <stddef.h>

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
void str_printf(struct str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *str_detach(struct str *s); /* caller frees; s is empty afterwards */

#endif
