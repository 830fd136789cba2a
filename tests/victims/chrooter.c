/*
 * Locks itself into an empty directory (no /proc, no libraries), gives up what it can, and
 * allocates there. Needs root or user namespaces; otherwise it is skipped.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "truth.h"

static NOINLINE void allocate_before(void)
{
	struct truth_site *s = truth_at(__func__);

	for (int i = 0; i < 50; i++)
		truth_born(s, malloc(opaque(60)), 60);
}

static NOINLINE void allocate_inside(void)
{
	struct truth_site *s = truth_at(__func__);

	for (int i = 0; i < 1000; i++)
		truth_born(s, malloc(opaque(70)), 70);
}

/* Goes in and removes the directory's name behind itself. Returns 0 when it worked. */
static int lock_in(void)
{
	const char *base = getenv("TMPDIR");
	char path[512];
	int parent, err;

	snprintf(path, sizeof(path), "%s/chrooter-XXXXXX", base && *base ? base : "/tmp");
	if (!mkdtemp(path))
		return -1;
	parent = open(base && *base ? base : "/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	err = chroot(path);
	if (err < 0 && unshare(CLONE_NEWUSER) == 0)
		err = chroot(path);
	if (err == 0)
		err = chdir("/");
	unlinkat(parent,
		 strrchr(path, '/') ? path + strlen(path) - strlen("chrooter-XXXXXX") : path,
		 AT_REMOVEDIR);
	close(parent);
	return err;
}

int main(int argc, char **argv)
{
	struct stat st;

	allocate_before();
	if (lock_in() < 0) {
		fprintf(stderr, "victim: skipped: may not chroot\n");
		return SKIPPED;
	}
	truth_check(stat("/proc/self/maps", &st) < 0, "there is no /proc inside");
	allocate_inside();
	truth_print("chrooter", "inside");
	truth_wait(argc, argv);
	return truth_status();
}
