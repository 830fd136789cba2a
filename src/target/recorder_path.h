/* Where the recorder's library is: named by the user, installed beside seep, or in seep's build
 * folder. */
#ifndef SEEP_TARGET_RECORDER_PATH_H
#define SEEP_TARGET_RECORDER_PATH_H

#include <stdbool.h>

struct error;

#define RECORDER_VARIABLE "SEEP_RECORDER"

/*
 * named: a path, or NULL for $SEEP_RECORDER and then the usual places. check: the library that
 * compares every stack with another unwinder's. *ret is an absolute path that LD_PRELOAD can carry,
 * in a string of its own that the caller frees. Errors carry EXIT_TARGET.
 */
int recorder_path(const char *named, bool check, char **ret, struct error *e);

#define BLOB_VARIABLE "SEEP_BLOB"

/* The same of the recorder that is put into running processes: $SEEP_BLOB, or the usual places. */
int recorder_blob_path(char **ret, struct error *e);

#endif
