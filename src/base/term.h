/* What the terminal can do: is it one, how wide is it, may it be coloured. */
#ifndef SEEP_BASE_TERM_H
#define SEEP_BASE_TERM_H

#include <stdbool.h>

/* --color=auto|always|never, in this order. */
enum colour_mode { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };

/* Escape sequences, all "" when colour is off, so that they can be printed without asking. */
struct palette {
	const char *reset;
	const char *bold;
	const char *dim;
	const char *bad;    /* red: grew, failed */
	const char *good;   /* green: shrank, freed */
	const char *notice; /* yellow: incomplete, doubtful */
	const char *name;   /* cyan: functions, files */
};

/* Off when not a tty, TERM is dumb or unset, or NO_COLOR is set to anything but "". */
const struct palette *term_palette(int fd, enum colour_mode mode);
bool term_is_tty(int fd);
/* Columns of the terminal behind fd; COLUMNS when set; `otherwise` when it is not a terminal. */
unsigned int term_width(int fd, unsigned int otherwise);

#endif
