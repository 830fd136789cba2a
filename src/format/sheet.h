/* Writing a sheet (model/sheet.h) as text for people, CSV, or JSON. */
#ifndef SEEP_FORMAT_SHEET_H
#define SEEP_FORMAT_SHEET_H

#include <stdbool.h>
#include <stddef.h>

struct palette;
struct sheet;
struct str;

struct sheet_format_options {
	const struct palette *palette; /* text; never NULL */
	unsigned int width;	       /* text: of the terminal; 0: as wide as it gets */
	const char *version;	       /* json: of seep */
};

/* Heading, table, parts each with their heading, notes. */
void sheet_write_text(const struct sheet *s, const struct sheet_format_options *o, struct str *out);
/* One header line and the rows of the first table; parts and totals are not in it. */
void sheet_write_csv(const struct sheet *s, const struct sheet_format_options *o, struct str *out);
/* {"schema", "seep", "totals": {…}, "rows": [{…}], "KEY": [rows of a part] …, "notes": […]} */
void sheet_write_json(const struct sheet *s, const struct sheet_format_options *o, struct str *out);

#endif
