/* Files, whole or not at all; see io.h. */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"

static int write_all(int fd, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * Beyond the limit on file sizes (RLIMIT_FSIZE) write() is to fail and not to end the program. The
 * signal is ignored only meanwhile: what a child inherits is the user's.
 */
int io_write_all(int fd, const void *data, size_t len)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	int r;

	sigaction(SIGXFSZ, &ignore, &before);
	r = write_all(fd, data, len);
	sigaction(SIGXFSZ, &before, NULL);
	return r;
}

long io_read_all(int fd, void *data, size_t len)
{
	char *p = data;
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(fd, p + got, len - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		got += (size_t)n;
	}
	return (long)got;
}

static int read_open_file(int fd, size_t max_bytes, struct str *out)
{
	const size_t piece = 64 * 1024;
	char *buffer = mem_alloc(piece);
	size_t got = 0;
	long n;

	while ((n = io_read_all(fd, buffer, piece)) > 0) {
		got += (size_t)n;
		if (got > max_bytes) {
			n = -EFBIG;
			break;
		}
		str_add_len(out, buffer, (size_t)n);
	}
	free(buffer);
	return (int)n;
}

int io_read_file(const char *path, size_t max_bytes, struct str *out)
{
	size_t len_before = out->len;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = read_open_file(fd, max_bytes, out);
	close(fd);
	if (r < 0)
		str_truncate(out, len_before);
	return r;
}

static int fail_write(const struct replace *r, int err, struct error *e)
{
	error_set(e, err, EXIT_FILE, "cannot write '%s': %s", r->path, error_strerror(err));
	if (err == -ENOSPC || err == -EDQUOT)
		error_hint(e, "free some space, or write to another file system");
	return err;
}

/* Opens a temporary file in the folder of r->real_path. */
static int open_temporary(struct replace *r)
{
	char *copy = mem_strdup(r->real_path);
	char *temp = mem_printf("%s/.seep-XXXXXX", dirname(copy));
	int err = 0;

	free(copy);
	r->fd = mkostemp(temp, O_CLOEXEC);
	if (r->fd < 0) {
		err = -errno;
		free(temp);
	} else {
		r->temp_path = temp;
	}
	return err;
}

static int open_target(struct replace *r)
{
	struct stat st;

	if (!strcmp(r->path, "-")) {
		r->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		return r->fd < 0 ? -errno : 0;
	}
	if (!stat(r->path, &st)) {
		if (S_ISDIR(st.st_mode))
			return -EISDIR;
		if (!S_ISREG(st.st_mode)) {
			r->fd = open(r->path, O_WRONLY | O_CLOEXEC);
			return r->fd < 0 ? -errno : 0;
		}
		r->real_path = realpath(r->path, NULL);
		if (!r->real_path)
			return -errno;
	} else {
		if (errno != ENOENT)
			return -errno;
		r->real_path = mem_strdup(r->path);
	}
	return open_temporary(r);
}

int replace_open(struct replace *r, const char *path, struct error *e)
{
	int err;

	*r = (struct replace){.fd = -1, .path = mem_strdup(path)};
	err = open_target(r);
	if (err < 0) {
		fail_write(r, err, e);
		replace_close(r);
	}
	return err;
}

int replace_write(struct replace *r, const void *data, size_t len, struct error *e)
{
	int err = io_write_all(r->fd, data, len);

	return err < 0 ? fail_write(r, err, e) : 0;
}

int replace_commit(struct replace *r, struct error *e)
{
	int fd = r->fd;

	/* fsync() says EINVAL of pipes and terminals: nothing to make safe there. */
	if (fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
		return fail_write(r, -errno, e);
	r->fd = -1;
	if (close(fd) < 0 && errno != EINTR)
		return fail_write(r, -errno, e);
	if (!r->temp_path)
		return 0;
	if (rename(r->temp_path, r->real_path) < 0)
		return fail_write(r, -errno, e);
	free(r->temp_path);
	r->temp_path = NULL;
	return 0;
}

void replace_close(struct replace *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	if (r->temp_path)
		unlink(r->temp_path);
	free(r->path);
	free(r->real_path);
	free(r->temp_path);
	*r = (struct replace){.fd = -1};
}
