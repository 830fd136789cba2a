/* CSV fields; see csv_writer.h. */
#include "format/csv_writer.h"

#include <string.h>

#include "base/str.h"

void csv_add_field(struct str *out, const char *text)
{
	if (!strpbrk(text, ",\"\r\n")) {
		str_add(out, text);
		return;
	}
	str_add_char(out, '"');
	for (; *text; text++) {
		if (*text == '"')
			str_add_char(out, '"');
		str_add_char(out, *text);
	}
	str_add_char(out, '"');
}
