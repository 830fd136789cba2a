/* Reading /proc: folders, files, links and the "Key:  value kB" lines in them. */
#include "target/proc.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define READ_PIECE 65536

int proc_open(int32_t pid)
{
	char path[32];
	int fd;

	if (pid <= 0)
		return -ESRCH;
	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	return errno == ENOENT ? -ESRCH : -errno;
}

int proc_read_file(int dir, const char *name, struct str *out)
{
	char *piece;
	size_t total = 0;
	int fd, r = 0;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	piece = mem_alloc(READ_PIECE);
	for (;;) {
		ssize_t got = read(fd, piece, READ_PIECE);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			r = -errno;
		if (got <= 0)
			break;
		total += (size_t)got;
		if (total > PROC_FILE_MAX) {
			r = -EFBIG;
			break;
		}
		str_add_len(out, piece, (size_t)got);
	}
	free(piece);
	close(fd);
	return r;
}

int proc_read_link(int dir, const char *name, char **ret)
{
	char text[PATH_MAX];
	ssize_t len = readlinkat(dir, name, text, sizeof(text));

	if (len < 0)
		return -errno;
	*ret = mem_strndup(text, (size_t)len);
	return 0;
}

/* Only plain decimal numbers that fit: "12", not "+12", "12a", "" or 20 digits. */
static bool parse_number(const char *text, int32_t *ret)
{
	int64_t value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (!isdigit((unsigned char)*text))
			return false;
		value = value * 10 + (*text - '0');
		if (value > INT32_MAX)
			return false;
	}
	*ret = (int32_t)value;
	return true;
}

static int by_number(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

int proc_list_numbers(int dir, const char *name, int32_t **ret, size_t *ret_nr)
{
	int32_t *items = NULL, number;
	size_t nr = 0, cap = 0;
	struct dirent *entry;
	DIR *list;
	int fd, r;

	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	list = fdopendir(fd);
	if (!list) {
		r = -errno;
		close(fd);
		return r;
	}
	errno = 0;
	while ((entry = readdir(list))) {
		if (parse_number(entry->d_name, &number))
			ARRAY_PUSH(items, nr, cap, number);
		errno = 0;
	}
	r = -errno;
	closedir(list);
	if (r < 0) {
		free(items);
		return r;
	}
	if (nr)
		qsort(items, nr, sizeof(*items), by_number);
	*ret = items;
	*ret_nr = nr;
	return 0;
}

int proc_list_pids(int32_t **ret, size_t *ret_nr)
{
	int dir, r;

	dir = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	r = proc_list_numbers(dir, ".", ret, ret_nr);
	close(dir);
	return r;
}

const char *proc_find_line(const char *text, const char *key, size_t *ret_len)
{
	size_t key_len = strlen(key);

	while (text && *text) {
		const char *end = strchrnul(text, '\n');

		if (!strncmp(text, key, key_len) && text[key_len] == ':') {
			text += key_len + 1;
			while (text < end && (*text == ' ' || *text == '\t'))
				text++;
			*ret_len = (size_t)(end - text);
			return text;
		}
		text = *end ? end + 1 : end;
	}
	return NULL;
}

bool proc_find_value(const char *text, const char *key, uint64_t *ret)
{
	unsigned long long value;
	const char *line;
	size_t len;
	char *end;

	line = proc_find_line(text, key, &len);
	if (!line || !len || !isdigit((unsigned char)*line))
		return false;
	errno = 0;
	value = strtoull(line, &end, 10);
	if (errno || end > line + len)
		return false;
	if (!strncmp(end, " kB", 3)) {
		if (value > UINT64_MAX / 1024)
			return false;
		value *= 1024;
	}
	*ret = value;
	return true;
}
