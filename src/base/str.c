/* A growable string; see str.h. */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

char str_empty[1];

void str_reserve(struct str *s, size_t extra)
{
	size_t cap = s->cap ? s->cap : 64;

	if (s->len + extra < s->cap)
		return;
	while (cap < s->len + extra + 1)
		cap *= 2;
	s->data = mem_realloc(s->cap ? s->data : NULL, cap);
	s->data[s->len] = '\0';
	s->cap = cap;
}

void str_init(struct str *s)
{
	*s = (struct str)STR_INIT;
}

void str_release(struct str *s)
{
	if (!s)
		return;
	if (s->cap)
		free(s->data);
	str_init(s);
}

void str_clear(struct str *s)
{
	s->len = 0;
	if (s->cap)
		s->data[0] = '\0';
}

void str_truncate(struct str *s, size_t len)
{
	if (len >= s->len)
		return;
	s->len = len;
	s->data[len] = '\0';
}

void str_add(struct str *s, const char *text)
{
	str_add_len(s, text, strlen(text));
}

void str_add_len(struct str *s, const char *text, size_t len)
{
	if (len)
		memcpy(str_extend(s, len), text, len);
}

char *str_extend(struct str *s, size_t len)
{
	char *at;

	str_reserve(s, len);
	at = s->data + s->len;
	s->len += len;
	s->data[s->len] = '\0';
	return at;
}

void str_add_char(struct str *s, char c)
{
	str_add_len(s, &c, 1);
}

void str_add_decimal(struct str *s, uint64_t n)
{
	char text[20], *end = text + sizeof(text), *at = end;

	do {
		*--at = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	str_add_len(s, at, (size_t)(end - at));
}

void str_add_hex(struct str *s, uint64_t n)
{
	char text[2 + 16], *end = text + sizeof(text), *at = end;

	do {
		*--at = "0123456789abcdef"[n % 16];
		n /= 16;
	} while (n);
	*--at = 'x';
	*--at = '0';
	str_add_len(s, at, (size_t)(end - at));
}

void str_printf(struct str *s, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n <= 0)
		return;
	str_reserve(s, (size_t)n);
	va_start(ap, format);
	vsnprintf(s->data + s->len, (size_t)n + 1, format, ap);
	va_end(ap);
	s->len += (size_t)n;
}

char *str_detach(struct str *s)
{
	char *data = s->cap ? s->data : mem_strdup("");

	str_init(s);
	return data;
}
