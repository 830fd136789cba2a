/* Making a table as the launcher of seep run makes it (src/target/launch_table.c), without libc. */
#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <stddef.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "bytes.h"
#include "flags_stub.h"
#include "flags_text.h"
#include "sys.h"
#include "wire/layout.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3 */
#endif
#define LIMIT_FSIZE 1 /* asm-generic/resource.h */
#define LIMIT_AS 9

struct limit {
	uint64_t now, max;
};

static long limits(int resource, const struct limit *set, struct limit *get)
{
	return arch_syscall6(SYS_prlimit64, 0, resource, (long)set, (long)get, 0, 0);
}

static uint64_t ram_bytes(void)
{
	struct sysinfo si = {0};

	if (!ok(sys1(SYS_sysinfo, (long)&si)))
		return 0;
	return si.totalram * (si.mem_unit ? si.mem_unit : 1);
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts = {0};

	sys2(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static long new_memfd(const char *name)
{
	long fd = sys2(SYS_memfd_create, (long)name, MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (!ok(fd))
		fd = sys2(SYS_memfd_create, (long)name, MFD_ALLOW_SEALING);
	return fd;
}

/* Its name carries its number, so the number is found first. */
static long open_named(uint64_t pid)
{
	long any = new_memfd(""), number, fd;
	char name[64], *end;

	if (!ok(any))
		return any;
	number = sys3(SYS_fcntl, any, F_DUPFD, WIRE_FD_BASE);
	if (!ok(number))
		number = sys3(SYS_fcntl, any, F_DUPFD, 3);
	sys1(SYS_close, any);
	if (!ok(number))
		return number;
	end = put_number(put_text(name, WIRE_NAME "."), pid);
	put_number(put_text(end, "."), (uint64_t)number);
	fd = new_memfd(name);
	if (!ok(fd) || !ok(sys2(SYS_dup2, fd, number)))
		sys1(SYS_close, number);
	else
		any = number;
	if (ok(fd))
		sys1(SYS_close, fd);
	return any == number ? number : -1;
}

/* h: room of a whole header, all zero; the file gets its configuration. */
static bool set_up(long fd, uint64_t pid, const struct start *s, struct wire_header *h)
{
	struct limit file = {0}, lifted, as = {~0ull, ~0ull};
	bool sized;

	if (!ok(limits(LIMIT_FSIZE, NULL, &file)) || !ok(limits(LIMIT_AS, NULL, &as)) ||
	    !wire_layout(h, ram_bytes(), wire_room(file.max, as.now)))
		return false;
	h->magic = WIRE_MAGIC;
	h->version = WIRE_VERSION;
	h->header_bytes = sizeof(*h);
	h->launcher_pid = (int32_t)pid;
	h->image = 1;
	h->began_monotonic_ns = monotonic_ns();
	h->changes[0] = (struct wire_mode_change){h->began_monotonic_ns, s->mode, s->bits};
	h->changes_nr = 1;
	h->sample_bits = s->bits;
	h->slow = s->mode == WIRE_MODE_OFF	? WIRE_SLOW_OFF
		  : s->mode == WIRE_MODE_SAMPLE ? WIRE_SLOW_SAMPLE
						: 0;
	lifted = (struct limit){file.max, file.max};
	if (!ok(limits(LIMIT_FSIZE, &lifted, NULL)))
		return false;
	sized = ok(sys2(SYS_fchmod, fd, 0600)) &&
		ok(sys2(SYS_ftruncate, fd, (long)h->file_bytes)) &&
		ok(sys3(SYS_fcntl, fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) &&
		arch_syscall6(SYS_pwrite64, fd, (long)h, offsetof(struct wire_header, chunk_base),
			      0, 0, 0) == (long)offsetof(struct wire_header, chunk_base);
	limits(LIMIT_FSIZE, &file, NULL);
	return sized;
}

static long make(uint64_t pid, const struct start *s)
{
	struct wire_header *h =
		sys_mmap(sizeof(*h), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	long fd;

	if (sys_failed(h))
		return -1;
	fd = open_named(pid);
	if (ok(fd) && !set_up(fd, pid, s, h)) {
		sys1(SYS_close, fd);
		fd = -1;
	}
	sys2(SYS_munmap, (long)h, sizeof(*h));
	return fd;
}

/* ---- sandboxes ---- */

/* "Seccomp:	2": system calls are filtered. Asked of a file, because prctl may be forbidden. */
static bool is_filtered(void)
{
	static const char key[] = "\nSeccomp:\t2\n";
	long fd = sys_open_read("/proc/self/status"), len;
	char text[4096];

	if (!ok(fd))
		return false;
	len = sys3(SYS_read, fd, (long)text, sizeof(text));
	sys1(SYS_close, fd);
	for (long i = 0; i + (long)sizeof(key) - 1 <= len; i++)
		if (bytes_equal(text + i, key, sizeof(key) - 1))
			return true;
	return false;
}

/* A filter may kill for a call that it does not like: then it is better tried by a child. */
static bool may_make(uint64_t pid, const struct start *s)
{
	long child, r;
	int status = 0;

	if (!is_filtered())
		return true;
	child = arch_syscall6(SYS_clone, 0 /* a fork, of which nobody is told */, 0, 0, 0, 0, 0);
	if (child == 0) {
		r = make(pid, s);
		for (;;)
			sys1(SYS_exit_group, ok(r) ? 0 : 1);
	}
	if (!ok(child))
		return false;
	do
		r = arch_syscall6(SYS_wait4, child, (long)&status, 0x40000000 /* __WALL */, 0, 0,
				  0);
	while (r == -4 /* EINTR */);
	return r == child && status == 0;
}

long flags_table(uint64_t pid, const struct start *s)
{
	return may_make(pid, s) ? make(pid, s) : -1;
}
