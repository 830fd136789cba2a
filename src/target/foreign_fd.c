/* See foreign_fd.h. */
#include "target/foreign_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mem.h"
#include "target/maps.h"
#include "target/proc.h"
#include "wire/wire.h"

int foreign_memory(int dir)
{
	int fd = openat(dir, "mem", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int foreign_read(int mem, uint64_t addr, void *buffer, size_t len)
{
	ssize_t got = pread(mem, buffer, len, (off_t)addr);

	return got < 0 ? -errno : got == (ssize_t)len ? 0 : -EFAULT;
}

int foreign_open(int dir, int number)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "fd/%d", number);
	fd = openat(dir, path, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

bool foreign_identify(int dir, int number, struct foreign_file *ret)
{
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "fd/%d", number);
	if (fstatat(dir, path, &st, 0) < 0)
		return false;
	*ret = (struct foreign_file){st.st_dev, st.st_ino, (uint64_t)st.st_size};
	return true;
}

bool foreign_is_mapped(const struct foreign_file *f, const struct map *m)
{
	return m->inode == f->inode && m->dev_major == major(f->device) &&
	       m->dev_minor == minor(f->device);
}

/* Its descriptors whose file is called link, or all the others. */
static int choose(int dir, const char *link, bool others, int32_t **ret, size_t *ret_nr)
{
	int32_t *numbers;
	size_t nr, found = 0;
	int r = proc_list_numbers(dir, "fd", &numbers, &nr);

	if (r < 0)
		return r;
	for (size_t i = 0; i < nr; i++) {
		char path[32], *name;

		snprintf(path, sizeof(path), "fd/%d", numbers[i]);
		if (proc_read_link(dir, path, &name) < 0)
			continue;
		if (!strcmp(name, link) != others)
			numbers[found++] = numbers[i];
		free(name);
	}
	*ret = numbers;
	*ret_nr = found;
	return 0;
}

int foreign_find(int dir, const char *link, int32_t **ret, size_t *ret_nr)
{
	return choose(dir, link, false, ret, ret_nr);
}

int foreign_numbers(int dir, int32_t **ret, size_t *ret_nr)
{
	return choose(dir, "/memfd:" WIRE_NAME " (deleted)", true, ret, ret_nr);
}
