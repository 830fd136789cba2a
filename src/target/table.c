/* Finding and opening the recorder's table of a process; see table.h. */
#include "target/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "target/maps.h"
#include "target/proc.h"
#include "target/process.h"
#include "wire/marks.h"

/* Does [off, off + nr * size) lie inside the file and behind the header? */
static bool area_fits(const struct wire_header *h, uint64_t off, uint64_t nr, uint64_t size)
{
	uint64_t bytes, end;

	return off >= sizeof(*h) && !__builtin_mul_overflow(nr, size, &bytes) &&
	       !__builtin_add_overflow(off, bytes, &end) && end <= h->file_bytes;
}

static bool layout_fits(const struct wire_header *h)
{
	return h->nodes_cap >= WIRE_NODE_FIRST && h->nodes_cap <= 1u << WIRE_NODE_BITS &&
	       h->index_bits <= 30 && h->undo_cap <= 1u << 26 && h->modules_cap <= 1u << 16 &&
	       h->thread_stride >= sizeof(struct wire_thread) &&
	       h->ring_stride >= sizeof(struct wire_ring) && h->rings_cap <= WIRE_THREADS_MAX &&
	       area_fits(h, h->rings_off, h->rings_cap, h->ring_stride) &&
	       h->threads_cap <= WIRE_THREADS_MAX && h->chunks_cap <= WIRE_CHUNKS_MAX &&
	       area_fits(h, h->modules_off, h->modules_cap, sizeof(struct wire_module)) &&
	       area_fits(h, h->nodes_off, h->nodes_cap, sizeof(struct wire_node)) &&
	       area_fits(h, h->counts_off, h->nodes_cap, sizeof(struct wire_count)) &&
	       area_fits(h, h->extra_off, h->nodes_cap, sizeof(struct wire_extra)) &&
	       area_fits(h, h->threads_off, h->threads_cap, h->thread_stride) &&
	       area_fits(h, h->undo_off, h->undo_cap, sizeof(struct wire_undo)) &&
	       h->marks_cap <= WIRE_MARKS_CAP && h->tags_cap <= WIRE_TAGS_CAP &&
	       h->pool_levels <= WIRE_POOL_LEVELS && h->marks_off % _Alignof(uint64_t) == 0 &&
	       area_fits(h, h->marks_off, h->marks_cap, sizeof(struct wire_mark)) &&
	       area_fits(h, h->tags_off, h->tags_cap, sizeof(struct wire_tag)) &&
	       area_fits(h, h->pools_off, wire_pool_first(h->pool_levels),
			 sizeof(struct wire_pool_row)) &&
	       area_fits(h, h->chunks_off, h->chunks_cap, WIRE_CHUNK_BYTES);
}

static int bad_table(struct error *e, const char *why)
{
	return error_set(e, -EINVAL, EXIT_TARGET, "cannot use the recorder's table: %s", why);
}

/* Maps the header of an open table; takes fd over on success. */
static int open_table(int fd, struct table *ret, struct error *e)
{
	struct table t = {.fd = fd};
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof(struct wire_header))
		return bad_table(e, "it is too short");
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return bad_table(e, "it could shrink while it is read");
	t.header = mmap(NULL, sizeof(*t.header), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (t.header == MAP_FAILED)
		return error_set(e, -errno, EXIT_TARGET, "cannot map the recorder's table: %s",
				 error_strerror(errno));
	memcpy(&t.layout, t.header, offsetof(struct wire_header, slow));
	if (t.layout.magic != WIRE_MAGIC || t.layout.header_bytes != sizeof(*t.header) ||
	    t.layout.version != WIRE_VERSION) {
		munmap(t.header, sizeof(*t.header));
		return bad_table(e, "it was made by another version of seep");
	}
	/* The program may have mapped less of the live table; the rest of the file is never
	 * written. */
	if (t.layout.file_bytes > (uint64_t)st.st_size || !layout_fits(&t.layout)) {
		munmap(t.header, sizeof(*t.header));
		return bad_table(e, "its layout makes no sense");
	}
	*ret = t;
	return 0;
}

static bool is_mapped_file(const struct stat *st, const struct map *m)
{
	return S_ISREG(st->st_mode) && st->st_ino == m->inode &&
	       major(st->st_dev) == m->dev_major && minor(st->st_dev) == m->dev_minor;
}

/* The name is the target's word: nothing but the very file that it has mapped is opened. */
static int open_number(int32_t pid, int number, const struct map *m)
{
	struct stat st;
	char proc[64];
	int fd;

	snprintf(proc, sizeof(proc), "/proc/%d/fd/%d", pid, number);
	if (stat(proc, &st) < 0 || !is_mapped_file(&st, m))
		return -1;
	fd = open(proc, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !is_mapped_file(&st, m))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* "/memfd:seep-rec.LAUNCHER.FD": the launcher's descriptor, opened anew. -1: not there any more. */
static int open_by_launcher(const struct map *m)
{
	int launcher, number;

	if (sscanf(m->path, "/memfd:" WIRE_NAME ".%d.%d", &launcher, &number) != 2)
		return -1;
	return open_number(launcher, number, m);
}

/*
 * A process that nobody launched holds the descriptor itself: under the number in the name, or
 * (seep attach) under any.
 */
static int open_by_owner(int32_t pid, const struct map *m)
{
	int number, fd = -1, dir;
	int32_t *numbers;
	size_t nr;

	if (sscanf(m->path, "/memfd:" WIRE_NAME ".%*d.%d", &number) == 1)
		return open_number(pid, number, m);
	dir = proc_open(pid);
	if (dir < 0 || proc_list_numbers(dir, "fd", &numbers, &nr) < 0) {
		if (dir >= 0)
			close(dir);
		return -1;
	}
	/* It was given a high one. */
	for (size_t i = nr; i-- > 0 && fd < 0;)
		fd = open_number(pid, numbers[i], m);
	free(numbers);
	close(dir);
	return fd;
}

/*
 * The clock of a table stands when its launcher has gone, or never was. Who looks sets it; where a
 * launcher does so too, it writes the same.
 */
static void set_clock(struct table *t)
{
	struct timespec ts;
	uint64_t now_ns;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now_ns = (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	if (now_ns > t->layout.began_monotonic_ns)
		wire_clock_set(t->header, (now_ns - t->layout.began_monotonic_ns) / 1000000);
}

static int open_by_mapping(int32_t pid, const struct map *m)
{
	char proc[96];

	snprintf(proc, sizeof(proc), "/proc/%d/map_files/%llx-%llx", pid,
		 (unsigned long long)m->start, (unsigned long long)m->end);
	return open(proc, O_RDWR | O_CLOEXEC);
}

int table_open_pid(int32_t pid, struct table *ret, struct error *e)
{
	struct maps maps = MAPS_INIT;
	const struct map *m;
	int r, fd;

	r = maps_read(pid, &maps, e);
	if (r < 0)
		return r;
	m = maps_find_recorder(&maps);
	if (!m) {
		r = error_set(e, -ENOENT, EXIT_TARGET, "process %d is not being recorded", pid);
		error_hint(e,
			   "record it from now on: 'seep attach %d'; from its next start: 'seep "
			   "flags IMAGE +ust' or 'seep run -- COMMAND'",
			   pid);
		goto out;
	}
	fd = open_by_launcher(m);
	if (fd < 0)
		fd = open_by_owner(pid, m);
	if (fd < 0)
		fd = open_by_mapping(pid, m);
	if (fd < 0) {
		r = error_set(e, -errno, EXIT_TARGET,
			      "cannot open the recorder's table of process %d: %s", pid,
			      error_strerror(errno));
		error_hint(e,
			   "the 'seep run' that started it has gone or is another user's; try as "
			   "root");
		goto out;
	}
	r = open_table(fd, ret, e);
	if (r < 0)
		close(fd);
	else
		set_clock(ret);
	if (!r)
		ret->pid = pid;
out:
	maps_release(&maps);
	return r;
}

int table_open_fd(int fd, struct table *ret, struct error *e)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 3), r;

	if (own < 0)
		return error_set(e, -errno, EXIT_TARGET, "cannot duplicate a descriptor: %s",
				 error_strerror(errno));
	r = open_table(own, ret, e);
	if (r < 0)
		close(own);
	return r;
}

void table_close(struct table *t)
{
	if (!t || !t->header)
		return;
	munmap(t->header, sizeof(*t->header));
	close(t->fd);
	t->header = NULL;
}
