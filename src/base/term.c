/* What the terminal can do; see term.h. */
#include "base/term.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/units.h"

static const struct palette palette_none = {
	.reset = "",
	.bold = "",
	.dim = "",
	.bad = "",
	.good = "",
	.notice = "",
	.name = "",
};

static const struct palette palette_ansi = {
	.reset = "\033[0m",
	.bold = "\033[1m",
	.dim = "\033[2m",
	.bad = "\033[31m",
	.good = "\033[32m",
	.notice = "\033[33m",
	.name = "\033[36m",
};

static bool wants_colour(int fd)
{
	const char *term = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");

	if (no_color && *no_color)
		return false;
	if (!term || !*term || !strcmp(term, "dumb"))
		return false;
	return term_is_tty(fd);
}

const struct palette *term_palette(int fd, enum colour_mode mode)
{
	if (mode == COLOUR_ALWAYS || (mode == COLOUR_AUTO && wants_colour(fd)))
		return &palette_ansi;
	return &palette_none;
}

bool term_is_tty(int fd)
{
	return isatty(fd);
}

unsigned int term_width(int fd, unsigned int otherwise)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	uint64_t n;

	if (columns && !parse_count(columns, &n) && n > 0 && n < 10000)
		return (unsigned int)n;
	if (!ioctl(fd, TIOCGWINSZ, &size) && size.ws_col > 0)
		return size.ws_col;
	return otherwise;
}
