/*
 * What a recorder's table (wire/wire.h) says of itself, and how much memory stands behind each part
 * of it: table_stat FILE, for example /proc/LAUNCHER/fd/FD. Prints JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wire/wire.h"

static int fail(const char *what, const char *path)
{
	fprintf(stderr, "table_stat: %s '%s': %s\n", what, path, strerror(errno));
	return 1;
}

/* Bytes of the file in [from, to) that have memory behind them. */
static uint64_t resident(int fd, uint64_t from, uint64_t to)
{
	uint64_t sum = 0;

	while (from < to) {
		off_t data = lseek(fd, (off_t)from, SEEK_DATA), hole;

		if (data < 0 || (uint64_t)data >= to)
			break;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole <= data)
			break;
		if ((uint64_t)hole > to)
			hole = (off_t)to;
		sum += (uint64_t)(hole - data);
		from = (uint64_t)hole;
	}
	return sum;
}

static void print_memory(int fd, const struct wire_header *h, uint64_t file_bytes)
{
	const struct {
		const char *name;
		uint64_t from;
	} parts[] = {
		{"header", 0},
		{"modules", h->modules_off},
		{"nodes", h->nodes_off},
		{"counts", h->counts_off},
		{"extra", h->extra_off},
		{"index", h->index_off},
		{"threads", h->threads_off},
		{"undo", h->undo_off},
		{"level1", h->level1_off},
		{"dense1", h->dense1_off},
		{"chunks", h->chunks_off},
	};
	const size_t nr = sizeof(parts) / sizeof(parts[0]);

	printf("\"memory\": {");
	for (size_t i = 0; i < nr; i++) {
		uint64_t to = i + 1 < nr ? parts[i + 1].from : file_bytes;

		printf("%s\"%s\": %" PRIu64, i ? ", " : "", parts[i].name,
		       resident(fd, parts[i].from, to));
	}
	printf("}");
}

static void print_counts(const struct wire_header *h)
{
	printf("\"pid\": %" PRId32 ", \"image\": %" PRIu32 ", \"state\": %" PRIu32 ", ", h->pid,
	       h->image, h->state);
	printf("\"nodes\": %" PRIu32 ", \"threads\": %" PRIu32 ", \"chunks\": %" PRIu32 ", ",
	       h->nodes_nr, h->threads_nr, h->chunks_nr);
	printf("\"dropped_blocks\": %" PRIu64 ", \"unknown_frees\": %" PRIu64
	       ", \"lost_frees\": %" PRIu64 ", ",
	       h->dropped_blocks, h->unknown_frees, h->lost_frees);
	printf("\"cut_stacks\": %" PRIu64 ", \"stopped_stacks\": %" PRIu64
	       ", \"missing_stacks\": %" PRIu64 ", ",
	       h->cut_stacks, h->stopped_stacks, h->missing_stacks);
	printf("\"checked_stacks\": %" PRIu64 ", \"differing_stacks\": %" PRIu64 ", ",
	       h->checked_stacks, h->differing_stacks);
	printf("\"captures\": %" PRIu64 ", \"record_hits\": %" PRIu64 ", ", h->captures,
	       h->record_hits);
}

int main(int argc, char **argv)
{
	static struct wire_header h;
	struct stat st;
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: table_stat FILE\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail("cannot open", argv[1]);
	if (fstat(fd, &st) < 0 || pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
		return fail("cannot read", argv[1]);
	if (h.magic != WIRE_MAGIC || h.version != WIRE_VERSION) {
		fprintf(stderr, "table_stat: not a table of this version: '%s'\n", argv[1]);
		return 1;
	}
	printf("{");
	print_counts(&h);
	print_memory(fd, &h, (uint64_t)st.st_size);
	printf(", \"memory_bytes\": %" PRIu64 "}\n", (uint64_t)st.st_blocks * 512);
	close(fd);
	return 0;
}
