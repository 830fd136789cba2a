/* One field of CSV as RFC 4180 wants it: in quotes when it holds a comma, a quote or a line end. */
#ifndef SEEP_FORMAT_CSV_WRITER_H
#define SEEP_FORMAT_CSV_WRITER_H

struct str;

/* Appends the field only; commas and "\r\n" are the caller's. */
void csv_add_field(struct str *out, const char *text);

#endif
