/*
 * So many MiB of memory in use, in blocks of several sizes, and a thread that waits. For every line
 * on standard input it forks as a look does, itself, and says how many nanoseconds clone() took.
 *
 * resident MIB
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MIB (1ul << 20)

static unsigned long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long)t.tv_sec * 1000000000ul + (unsigned long)t.tv_nsec;
}

static void fill(unsigned long bytes)
{
	unsigned long done = 0;

	for (unsigned long i = 0; done < bytes; i++) {
		size_t size = 1000 + i % 64 * 100;
		char *block = malloc(size);

		if (!block)
			exit(1);
		memset(block, (int)i, size);
		done += size;
	}
}

static unsigned long clone_once(void)
{
	unsigned long began = now_ns(), took;
	long child = syscall(SYS_clone, CLONE_FILES, 0, 0, 0, 0);

	if (!child) {
		for (;;)
			pause();
	}
	took = now_ns() - began;
	kill((pid_t)child, SIGKILL);
	waitpid((pid_t)child, NULL, __WALL);
	return took;
}

int main(int argc, char **argv)
{
	char line[64];

	fill(strtoul(argc > 1 ? argv[1] : "64", NULL, 10) * MIB);
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		printf("%lu\n", clone_once());
		fflush(stdout);
	}
	return 0;
}
