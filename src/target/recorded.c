/*
 * The recorder shows as a mapping with its own name; when it began stands in the first bytes of
 * that.
 *
 * Those bytes are read through the launcher's descriptor, which the kernel lets anybody open who
 * may look at the launcher; reading the process's memory would need the right to trace it, which is
 * denied to ordinary users on many systems (Yama). That is the second try.
 */
#include "target/recorded.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "target/maps.h"
#include "target/proc.h"
#include "wire/wire.h"

/* Beginning time from a descriptor whose offset `at` is the table's first byte; 0: it is none. */
static uint64_t read_began(int fd, uint64_t at)
{
	struct {
		uint64_t magic;
		uint32_t version;
	} head;
	uint64_t began;

	if (pread(fd, &head, sizeof(head), (off_t)at) != sizeof(head) || head.magic != WIRE_MAGIC ||
	    head.version != WIRE_VERSION)
		return 0;
	at += offsetof(struct wire_header, began_monotonic_ns);
	return pread(fd, &began, sizeof(began), (off_t)at) == sizeof(began) ? began : 0;
}

/* The launcher's pid may have been given to somebody else: only the same file counts. */
static uint64_t began_by_launcher(const struct map *map)
{
	char path[64];
	struct stat st;
	uint64_t began;
	int launcher, number, fd;

	if (sscanf(map->path, "/memfd:" WIRE_NAME ".%d.%d", &launcher, &number) != 2)
		return 0;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", launcher, number);
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino != map->inode ||
	    st.st_dev != makedev(map->dev_major, map->dev_minor))
		return 0;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 0;
	began = read_began(fd, 0);
	close(fd);
	return began;
}

static uint64_t began_in_memory(int dir, const struct map *map)
{
	uint64_t began;
	int fd;

	if (map->offset || map->end - map->start < sizeof(struct wire_header))
		return 0;
	fd = openat(dir, "mem", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	began = read_began(fd, map->start);
	close(fd);
	return began;
}

struct recorded recorded_look(int dir)
{
	struct recorded answer = {RECORDED_UNKNOWN, 0};
	const struct map *map;
	struct maps maps;

	if (maps_read_at(dir, &maps) < 0)
		return answer;
	map = maps_find_recorder(&maps);
	answer.answer = map ? RECORDED_YES : RECORDED_NO;
	if (map)
		answer.since_ns = began_by_launcher(map);
	if (map && !answer.since_ns)
		answer.since_ns = began_in_memory(dir, map);
	maps_release(&maps);
	return answer;
}

uint64_t recorded_private_bytes(const void *page, size_t len)
{
	struct wire_private head;

	if (len < sizeof(head))
		return 0;
	memcpy(&head, page, sizeof(head));
	return head.magic[0] == WIRE_PRIVATE_MAGIC0 && head.magic[1] == WIRE_PRIVATE_MAGIC1
		       ? head.bytes
		       : 0;
}
