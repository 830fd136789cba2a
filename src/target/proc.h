/*
 * Reading /proc: the raw part. Opens one process's folder and reads small and large files in it.
 *
 * Every function takes the folder's descriptor, not a pid: a descriptor keeps naming the process it
 * was opened for, so a pid that is given to another process meanwhile reads as -ESRCH, never as
 * somebody else's numbers. Everything read here is hostile input (names are chosen by the process).
 */
#ifndef SEEP_TARGET_PROC_H
#define SEEP_TARGET_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Descriptor of /proc/PID, or negative errno. -ESRCH: no such process. */
int proc_open(int32_t pid);

/*
 * Appends a file of the folder to *out, at most PROC_FILE_MAX bytes (-EFBIG beyond). 0 or negative
 * errno; -ESRCH once the process has gone. On failure *out holds what came before it.
 */
#define PROC_FILE_MAX (256u << 20)
int proc_read_file(int dir, const char *name, struct str *out);

/*
 * Target of a symbolic link in the folder ("exe", "map_files/…"), in a string of its own that the
 * caller frees. 0 or negative errno.
 */
int proc_read_link(int dir, const char *name, char **ret);

/*
 * The entries of a folder that are decimal numbers ("task", "fd", or "." for a listing of /proc
 * itself), ascending; caller frees. 0 or negative errno.
 */
int proc_list_numbers(int dir, const char *name, int32_t **ret, size_t *ret_nr);

/* All pids that this user may see. 0 or negative errno. */
int proc_list_pids(int32_t **ret, size_t *ret_nr);

/*
 * Value of a line "KEY:   123 kB" or "KEY:  123" of /proc/PID/status or smaps_rollup, in bytes
 * where the line says kB. False when there is no such line, or no number in it.
 */
bool proc_find_value(const char *text, const char *key, uint64_t *ret);

/* The text of line KEY up to its end, without leading blanks; NULL when there is none. */
const char *proc_find_line(const char *text, const char *key, size_t *ret_len);

#endif
