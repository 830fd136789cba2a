/*
 * Files, whole or not at all: reading with a cap, writing everything, and replacing a file so that
 * a full disk, a crash or Ctrl-C never harms what was there.
 */
#ifndef SEEP_BASE_IO_H
#define SEEP_BASE_IO_H

#include <stddef.h>
#include <stdint.h>

struct error;
struct str;

/* Writes all of it, across short writes and EINTR. 0 or negative errno. */
int io_write_all(int fd, const void *data, size_t len);
/* Reads until len bytes or the end. Number of bytes read, or negative errno. */
long io_read_all(int fd, void *data, size_t len);
/*
 * Appends the whole file, whatever stat() says of its size (works for /proc). -EFBIG: more than
 * max_bytes; *out then has nothing added. 0 or negative errno.
 */
int io_read_file(const char *path, size_t max_bytes, struct str *out);

/*
 * A file that appears under its name only when it is complete: written beside it under a temporary
 * name (mode 0600), then fsync'd and renamed. A name that is a symbolic link is followed; a device
 * or FIFO is written directly; "-" is standard output.
 */
struct replace {
	int fd;
	char *path;	 /* final name, as given: for messages */
	char *real_path; /* what is renamed over; NULL: written directly */
	char *temp_path; /* NULL: nothing to remove */
};

/* On failure *r needs no closing. Errors carry EXIT_FILE and name the path. */
int replace_open(struct replace *r, const char *path, struct error *e);
int replace_write(struct replace *r, const void *data, size_t len, struct error *e);
/* Makes it final. Call replace_close() afterwards in any case. */
int replace_commit(struct replace *r, struct error *e);
/* Without a commit before, the temporary file is removed and the old one stays as it was. */
void replace_close(struct replace *r);

#endif
