/*
 * Locks more memory than it may, by each way of asking. Prints what each answers, which must be
 * what it answers without a recorder.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "truth.h"

#define NOBODY 65534

static void ask(int flags)
{
	int failed;

	free(malloc(opaque(4)));
	failed = mlockall(flags) < 0;
	dprintf(STDOUT_FILENO, "mlockall(%d): %s\n", flags, failed ? strerror(errno) : "done");
	munlockall();
}

int main(void)
{
	struct rlimit limit = {.rlim_cur = 1 << 16, .rlim_max = 1 << 16};

	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || (geteuid() == 0 && setuid(NOBODY) < 0)) {
		fprintf(stderr, "victim: skipped: cannot limit itself: %s\n", strerror(errno));
		return SKIPPED;
	}
	ask(MCL_CURRENT);
	ask(MCL_CURRENT | MCL_ONFAULT);
	ask(MCL_CURRENT | 64);
	ask(MCL_CURRENT | MCL_FUTURE);
	return 0;
}
