/* --mode of the commands that begin a recording. */
#ifndef SEEP_CMD_MODE_OPTION_H
#define SEEP_CMD_MODE_OPTION_H

#include <stdbool.h>

#include "target/mode.h"

/*
 * text NULL: not given, lite. full is for commands that stay and write the events; others refuse
 * it. EXIT_DONE, or EXIT_USAGE after an explanation.
 */
int mode_option(const char *command, const char *text, bool stays, struct mode *ret);

#endif
