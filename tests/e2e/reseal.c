/*
 * Makes a snapshot file claim another version, with a header checksum that is right again: as a
 * file of a later seep would come. reseal FILE VERSION; doc/file-format.md has the offsets.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"

#define VERSION_AT 8
#define SUM_AT 24
#define HEADER_BYTES 32

int main(int argc, char **argv)
{
	uint8_t head[HEADER_BYTES];
	uint32_t version;
	uint64_t sum;
	int fd;

	if (argc != 3)
		return 2;
	version = (uint32_t)strtoul(argv[2], NULL, 10);
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	if (fd < 0 || pread(fd, head, sizeof(head), 0) != sizeof(head))
		return 1;
	memcpy(&sum, head + SUM_AT, sizeof(sum));
	if (sum != hash_bytes(head, SUM_AT)) {
		fprintf(stderr, "reseal: the checksum is wrong already\n");
		return 1;
	}
	memcpy(head + VERSION_AT, &version, sizeof(version));
	sum = hash_bytes(head, SUM_AT);
	memcpy(head + SUM_AT, &sum, sizeof(sum));
	if (pwrite(fd, head, sizeof(head), 0) != sizeof(head))
		return 1;
	return close(fd) < 0;
}
