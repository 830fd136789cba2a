/*
 * Starts itself again with little address space, of which it needs the most for itself, so that a
 * recorder gets less than it asks for. Then children allocate, fork on, and allocate once more.
 * Exit status 0: every one of them did.
 *
 * regress-low-forks MIB
 */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "truth.h"

#define INSIDE "REGRESS_INSIDE"
#define GENERATIONS 4
#define OWN_MIB 1600

static char own_space[(size_t)OWN_MIB << 20]; /* never touched */

static int allocate(void)
{
	for (size_t i = 1; i < 200; i++) {
		void *p = malloc(i * 50);

		if (!p)
			return -1;
		memset(p, 1, i * 50);
		free(p);
	}
	return 0;
}

static int run(int generations)
{
	int status = 0;
	pid_t child;

	if (allocate() < 0)
		return 1;
	if (generations == 0)
		return 0;
	child = fork();
	if (child == 0)
		_exit(run(generations - 1));
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 2;
	return allocate() < 0 ? 1 : WIFEXITED(status) ? WEXITSTATUS(status) : 4;
}

int main(int argc, char **argv)
{
	struct rlimit limit;

	truth_touch(own_space);
	if (getenv(INSIDE))
		return run(GENERATIONS);
	limit.rlim_cur = limit.rlim_max = (argc > 1 ? strtoul(argv[1], NULL, 10) : 2000) << 20;
	if (setenv(INSIDE, "1", 1) == 0 && setrlimit(RLIMIT_AS, &limit) == 0)
		execv("/proc/self/exe", argv);
	return SKIPPED;
}
