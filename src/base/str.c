/* A growable string; see str.h. */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

char str_empty[1];

static void reserve(struct str *s, size_t extra)
{
	size_t cap = s->cap ? s->cap : 64;

	while (cap < s->len + extra + 1)
		cap *= 2;
	if (cap == s->cap)
		return;
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
	if (!len)
		return;
	reserve(s, len);
	memcpy(s->data + s->len, text, len);
	s->len += len;
	s->data[s->len] = '\0';
}

void str_add_char(struct str *s, char c)
{
	str_add_len(s, &c, 1);
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
	reserve(s, (size_t)n);
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
