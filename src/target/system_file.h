/* Files of the whole system (below /etc): readable by everybody, replaced at once or not at all. */
#ifndef SEEP_TARGET_SYSTEM_FILE_H
#define SEEP_TARGET_SYSTEM_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct error;

/* Mode and owner stay what they were; a new file is 0644. 0, or negative errno with *e. */
int system_file_replace(const char *path, const void *data, size_t len, struct error *e);
/* What is not there need not be removed. */
int system_file_remove(const char *path, struct error *e);
/* Says in *e that path cannot be written, and to whom it is allowed. Returns err. */
int system_file_explain(const char *path, int err, struct error *e);
/*
 * May every user read this file, through all folders on the way to it? Otherwise *ret_stops (caller
 * frees) is the first part of the path that stops them.
 */
bool system_file_is_public(const char *path, char **ret_stops);

#endif
