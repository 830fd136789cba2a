/* Opening files under another root. */
#include "sym/root.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int root_open_file(int root_fd, const char *path, int more_flags)
{
	int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | more_flags;
	struct open_how how = {.flags = (uint64_t)flags, .resolve = RESOLVE_IN_ROOT};
	long fd;

	if (root_fd < 0)
		return open(path, flags);
	fd = syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	/* Before Linux 5.6, or where a sandbox does not know the call: links may lead outside. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(root_fd, path + strspn(path, "/"), flags);
	return (int)fd;
}
