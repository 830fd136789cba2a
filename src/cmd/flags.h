/* What the parts of `seep flags` share, and the reminder that `seep top` gives. */
#ifndef SEEP_CMD_FLAGS_H
#define SEEP_CMD_FLAGS_H

#include <stddef.h>
#include <stdint.h>

#include "cmd/show.h"

struct flag;
struct flag_places;
struct flag_registry;

uint64_t flags_now_s(void); /* seconds since 1970 */

/* Lists them, or only those that match this name; returns an exit status. */
int flags_show(const struct flag_registry *r, const struct flag_places *places,
	       enum show_format format, const char *output);

/*
 * "+ust is on for every start of nginx and 2 more images, since 3h 05m (seep flags)". image: the
 * path of a program that is named first if it is among them; NULL: none. NULL: it is not on, or not
 * to be read. Caller frees.
 */
char *flags_reminder(const char *image);

#endif
