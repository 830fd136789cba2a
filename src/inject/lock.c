/*
 * See lock.h. The lock is on the process's folder in /proc: it needs no name, no file system, and
 * ends with us; and as long as it is held the kernel keeps the folder's inode.
 */
#include "inject/lock.h"

#include <errno.h>
#include <sys/file.h>

#include "base/error.h"
#include "target/hold.h"

int lock_process(const struct hold *h, struct error *e)
{
	if (!flock(h->freeze.dir, LOCK_EX | LOCK_NB))
		return 0;
	if (errno != EWOULDBLOCK)
		return error_set(e, -errno, EXIT_TARGET, "cannot lock process %d: %s",
				 h->freeze.pid, error_strerror(errno));
	error_set(e, -EBUSY, EXIT_TARGET, "process %d is being attached to or detached from",
		  h->freeze.pid);
	error_hint(e, "another seep is at work on it: try again in a moment");
	return -EBUSY;
}
