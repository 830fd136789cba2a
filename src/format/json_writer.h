/*
 * Writes JSON into a string: commas and nesting are kept here, so that callers only name values.
 * Texts may hold any bytes: what is not UTF-8 becomes U+FFFD, control characters are escaped.
 */
#ifndef SEEP_FORMAT_JSON_WRITER_H
#define SEEP_FORMAT_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

struct str;

struct json {
	struct str *out;
	bool needs_comma;
};

void json_init(struct json *j, struct str *out);
/* key NULL: an element of an array, or the document itself. */
void json_open(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *j, char bracket);		       /* '}' or ']' */
void json_text(struct json *j, const char *key, const char *text);
void json_count(struct json *j, const char *key, uint64_t n);
void json_number(struct json *j, const char *key, int64_t n);
/* One digit after the point; not a finite number: null. */
void json_real(struct json *j, const char *key, double n);
/* Four digits after the point, for what lies between 0 and 1. */
void json_fraction(struct json *j, const char *key, double n);
void json_bool(struct json *j, const char *key, bool b);
void json_null(struct json *j, const char *key);
void json_address(struct json *j, const char *key, uint64_t address); /* "0x…" */

#endif
