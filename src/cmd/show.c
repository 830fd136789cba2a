/* Writing a sheet; see show.h. */
#include "cmd/show.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/str.h"
#include "base/term.h"
#include "cmd/cmd.h"
#include "format/sheet.h"

static bool is_file(const char *path)
{
	return path && strcmp(path, "-") != 0;
}

int show_text(const char *text, size_t len, const char *path)
{
	struct replace file;
	struct error e = {0};
	int err;

	if (!is_file(path))
		return cmd_print(text, len);
	err = replace_open(&file, path, &e);
	if (err < 0)
		return cmd_fail(&e);
	err = replace_write(&file, text, len, &e);
	if (err == 0)
		err = replace_commit(&file, &e);
	replace_close(&file);
	return err < 0 ? cmd_fail(&e) : EXIT_DONE;
}

unsigned int show_width(const char *path)
{
	return is_file(path) ? 0 : term_width(STDOUT_FILENO, 0);
}

static int show(const struct sheet *s, enum show_format format, const char *path,
		unsigned int width)
{
	const struct sheet_format_options o = {
		.palette = is_file(path) ? term_palette(-1, COLOUR_NEVER) : cmd_palette(),
		.width = width,
		.version = SEEP_VERSION,
	};
	struct str out = STR_INIT;
	int status;

	switch (format) {
	case SHOW_TEXT:
		sheet_write_text(s, &o, &out);
		break;
	case SHOW_JSON:
		sheet_write_json(s, &o, &out);
		break;
	case SHOW_CSV:
		sheet_write_csv(s, &o, &out);
		break;
	}
	status = show_text(out.data, out.len, path);
	str_release(&out);
	return status;
}

int show_sheet(const struct sheet *s, enum show_format format, const char *path)
{
	return show(s, format, path, show_width(path));
}

int show_sheet_wide(const struct sheet *s, enum show_format format, const char *path)
{
	return show(s, format, path, 0);
}
