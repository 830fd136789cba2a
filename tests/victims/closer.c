/*
 * A daemon's habit: closes every descriptor there is, then opens its own files under the numbers
 * that became free, and allocates. A recorder that kept a descriptor would lose it here, or write
 * into the program's files; the files are compared at the end.
 *
 * Standard output is closed as well, so the truth is told in advance, and the exit status says
 * whether it came true.
 *
 * closer [loop|range]
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "truth.h"

#define BLOCKS 5000
#define BLOCK_BYTES 123
#define FILES 32

static const char pattern[] = "this file belongs to the program alone";

static void close_all(const char *way)
{
	struct rlimit limit = {.rlim_cur = 1024};

	if (strcmp(way, "range") == 0 && syscall(SYS_close_range, 0U, ~0U, 0U) == 0)
		return;
	getrlimit(RLIMIT_NOFILE, &limit);
	for (int fd = 0; fd < (int)limit.rlim_cur && fd < 65536; fd++)
		close(fd);
}

/* Takes the lowest numbers, 0 included. */
static int open_files(int *fds)
{
	for (int i = 0; i < FILES; i++) {
		fds[i] = memfd_create("own", 0);
		if (fds[i] != i ||
		    write(fds[i], pattern, sizeof(pattern)) != (ssize_t)sizeof(pattern))
			return -1;
	}
	return 0;
}

static NOINLINE int allocate_afterwards(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		void *p = malloc(opaque(BLOCK_BYTES));

		if (!p)
			return -1;
		truth_touch(p);
		if (i % 5 == 0)
			free(p);
	}
	return 0;
}

static int compare_files(const int *fds)
{
	char text[sizeof(pattern) + 1];
	struct stat st;

	for (int i = 0; i < FILES; i++) {
		if (fstat(fds[i], &st) < 0 || st.st_size != (off_t)sizeof(pattern) ||
		    pread(fds[i], text, sizeof(text), 0) != (ssize_t)sizeof(pattern) ||
		    memcmp(text, pattern, sizeof(pattern)) != 0)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct truth_site *s = truth_at("allocate_afterwards");
	int fds[FILES];

	s->allocated_blocks = BLOCKS;
	s->allocated_bytes = BLOCKS * BLOCK_BYTES;
	s->freed_blocks = BLOCKS / 5;
	s->freed_bytes = BLOCKS / 5 * BLOCK_BYTES;
	truth_print("closer", "in advance");
	close_all(argc > 1 ? argv[1] : "range");
	if (open_files(fds) < 0)
		return 1;
	if (allocate_afterwards() < 0)
		return 2;
	return compare_files(fds) < 0 ? 3 : 0;
}
