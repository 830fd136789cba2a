/*
 * Prints what stands in the header of a recorded process's table, one KEY=VALUE a line; a reader of
 * its own, so that it does not share seep's mistakes. print_table PID
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/wire.h"

/* "/memfd:seep-rec.LAUNCHER.FD (deleted)" in the last column of some line. */
static int find_names(const char *pid, int *ret_launcher, int *ret_fd, unsigned long *ret_inode)
{
	char path[64], line[4096], *at;
	int found = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	f = fopen(path, "r");
	if (!f)
		return -1;
	while (found < 0 && fgets(line, sizeof(line), f)) {
		at = strstr(line, "/memfd:" WIRE_NAME ".");
		if (at &&
		    sscanf(at, "/memfd:" WIRE_NAME ".%d.%d (deleted)", ret_launcher, ret_fd) == 2 &&
		    sscanf(line, "%*s %*s %*s %*s %lu", ret_inode) == 1)
			found = 0;
	}
	fclose(f);
	return found;
}

static void print_header(const struct wire_header *h, const struct stat *st, int seals)
{
	printf("magic=%s\n", h->magic == WIRE_MAGIC ? "good" : "bad");
	printf("version=%u\n", h->version);
	printf("launcher_pid=%d\n", h->launcher_pid);
	printf("pid=%d\n", h->pid);
	printf("image=%u\n", h->image);
	printf("state=%u\n", h->state);
	printf("allocator=%.32s\n", h->allocator);
	printf("size=%s\n", (uint64_t)st->st_size == h->file_bytes ? "good" : "bad");
	printf("mode=%o\n", st->st_mode & 07777);
	printf("sealed=%s\n", (seals & F_SEAL_SHRINK) && (seals & F_SEAL_GROW) ? "yes" : "no");
	printf("nodes=%s\n", h->nodes_nr > WIRE_NODE_FIRST ? "some" : "none");
	printf("time_code=%u\n",
	       (unsigned int)(h->time_bits >> WIRE_SLOT_TIME_SHIFT) & WIRE_TIME_MAX);
}

int main(int argc, char **argv)
{
	const struct wire_header *h;
	unsigned long inode;
	struct stat st;
	int launcher, number, fd;
	char path[64];

	if (argc != 2 || find_names(argv[1], &launcher, &number, &inode) < 0)
		return 1;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", launcher, number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != inode)
		return 2;
	h = mmap(NULL, sizeof(*h), PROT_READ, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED)
		return 3;
	print_header(h, &st, fcntl(fd, F_GET_SEALS));
	return 0;
}
