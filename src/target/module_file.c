/* Finding a module's file again; see module_file.h. */
#include "target/module_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/io.h"
#include "target/maps.h"
#include "target/proc.h"
#include "target/process.h"
#include "target/target.h"

#define HEAD_BYTES 4096
#define OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

static int open_mapped(int dir, const struct map *m)
{
	char name[64];

	snprintf(name, sizeof(name), "map_files/%" PRIx64 "-%" PRIx64, m->start, m->end);
	return openat(dir, name, OPEN_FLAGS);
}

/* Links in the path stay inside the root that the process has. */
static int open_named(int dir, const char *path)
{
	struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_IN_ROOT};
	int root = openat(dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	long fd;

	if (root < 0)
		return -1;
	fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
	/* Before Linux 5.6, or where a sandbox does not know the call. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(root, path + strspn(path, "/"), OPEN_FLAGS);
	close(root);
	return (int)fd;
}

/* Does it begin as what is mapped does? A module's first page is never written to. */
static bool begins_the_same(struct target *t, const struct target_module *m, int fd)
{
	uint8_t in_file[HEAD_BYTES], in_memory[HEAD_BYTES];
	struct stat st;
	ssize_t nr;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	nr = pread(fd, in_file, sizeof(in_file), 0);
	return nr > 0 && target_read_all(t, m->start, in_memory, (size_t)nr) &&
	       memcmp(in_file, in_memory, (size_t)nr) == 0;
}

int module_file_open(struct target *t, const struct target_module *m)
{
	const struct process_info *p = target_process(t);
	const struct map *map = maps_find(target_maps(t), m->start);
	int dir = proc_open(p->pid), fd = -1;

	if (dir < 0)
		return dir;
	if (!map || process_check_at(dir, p->start_ticks) < 0) {
		close(dir);
		return -ESRCH;
	}
	if (map->inode)
		fd = open_mapped(dir, map);
	if (fd < 0 && *m->path == '/')
		fd = open_named(dir, m->path);
	close(dir);
	if (fd < 0)
		return -ENOENT;
	if (begins_the_same(t, m, fd))
		return fd;
	close(fd);
	return -ESTALE;
}
