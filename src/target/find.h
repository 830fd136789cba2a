/* Whether a name that a user typed means a process; process_find_one() has the search itself. */
#ifndef SEEP_TARGET_FIND_H
#define SEEP_TARGET_FIND_H

#include <stdbool.h>

struct process_info;

/*
 * comm (which the kernel cuts after 15 characters), or the last part of exe or argv0, is exactly
 * this name.
 */
bool find_name_fits(const struct process_info *p, const char *name);

#endif
