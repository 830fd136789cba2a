/*
 * A table without a launcher, and the program executed once more with the recorder in it.
 *
 * The table's descriptor stays open across the exec; the recorder maps it, and keeps it as the way
 * in for others: its name says "/memfd:seep-rec.PID.FD" as a launcher's does, only that the process
 * is its own launcher.
 */
#include <limits.h>
#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "bytes.h"
#include "flags_stub.h"
#include "sys.h"
#include "wire/layout.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U /* Linux 6.3 */
#endif
#define LIMIT_FSIZE 1 /* asm-generic/resource.h */
#define LIMIT_AS 9
#define ENVIRONMENT_MAX (1 << 16) /* variables; with more we stand aside */
#define ARGUMENTS_MAX (1 << 20)
#define INTERPRETER_WORDS 8 /* that the kernel may put in front of a script's own arguments */

struct limit {
	uint64_t now, max;
};

static bool ok(long r)
{
	return r >= 0 || r < -4095;
}

/* ---- text ---- */

static char *put_text(char *to, const char *s)
{
	while (*s)
		*to++ = *s++;
	*to = '\0';
	return to;
}

static char *put_number(char *to, uint64_t n)
{
	char digits[20];
	int nr = 0;

	do
		digits[nr++] = (char)('0' + n % 10);
	while (n /= 10);
	while (nr)
		*to++ = digits[--nr];
	*to = '\0';
	return to;
}

/* The value if this is NAME=…, name given with its '='. */
static const char *value_of(const char *variable, const char *name)
{
	return text_starts(variable, name) ? variable + text_length(name) : NULL;
}

/* The last one of that name, as the loader has it; NULL: none. */
static char **find_variable(char **envp, const char *name)
{
	char **found = NULL;

	for (; *envp; envp++)
		if (value_of(*envp, name))
			found = envp;
	return found;
}

static uint64_t take_number(const char **s)
{
	uint64_t n = 0;

	while (**s >= '0' && **s <= '9' && n < 1ull << 40)
		n = n * 10 + (uint64_t)(*(*s)++ - '0');
	if (**s == ':')
		(*s)++;
	return n;
}

/*
 * Is this start seep's already? Our own second exec, or `seep run`, whose launcher serves what its
 * program becomes by exec, and with follow all descendants. It is also what keeps us from doing
 * this for ever: the recorder takes the variable away, nobody else.
 */
static bool is_recorded(char **envp, uint64_t pid)
{
	char **variable = find_variable(envp, "SEEP_REC=");
	const char *s = variable ? value_of(*variable, "SEEP_REC=") : NULL;
	uint64_t of, follow;

	if (!s || take_number(&s) != WIRE_VERSION)
		return false;
	take_number(&s); /* descriptor */
	of = take_number(&s);
	follow = take_number(&s);
	return of == pid || (follow && *s);
}

/* ---- the table ---- */

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
static bool set_up(long fd, uint64_t pid, struct wire_header *h)
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

static long make_table(uint64_t pid)
{
	struct wire_header *h =
		sys_mmap(sizeof(*h), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	long fd;

	if (sys_failed(h))
		return -1;
	fd = open_named(pid);
	if (ok(fd) && !set_up(fd, pid, h)) {
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
static bool may_make_table(uint64_t pid)
{
	long child, r;
	int status = 0;

	if (!is_filtered())
		return true;
	child = arch_syscall6(SYS_clone, 0 /* a fork, of which nobody is told */, 0, 0, 0, 0, 0);
	if (child == 0) {
		r = make_table(pid);
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

/* ---- what is executed ---- */

/* Path, arguments and environment of the second exec, and the memory that they are in. */
struct again {
	const char *path;
	char **argv, **envp;
	void *memory;
	size_t bytes;
};

static size_t count(char **list)
{
	size_t nr = 0;

	while (list[nr])
		nr++;
	return nr;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return ok(sys2(SYS_stat, (long)a, (long)&x)) && ok(sys2(SYS_stat, (long)b, (long)&y)) &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/*
 * Where a script's own arguments begin: "#! /bin/sh -e" made [script, a, b] to [/bin/sh, -e,
 * script, a, b]. 0: not to be told, because the script's path is there twice.
 */
static size_t script_at(const struct start *s)
{
	size_t at = 0;

	for (int i = 1; i < s->argc && i <= INTERPRETER_WORDS; i++) {
		if (!text_equal(s->argv[i], s->execfn))
			continue;
		if (at)
			return 0;
		at = (size_t)i;
	}
	return at;
}

/*
 * The same words as the first time, so that the process keeps its name (the kernel takes it from
 * them): the program as it was called, or the script. Where that is gone, the image itself.
 */
static bool choose(const struct start *s, struct again *a)
{
	size_t at;

	a->path = s->execfn;
	a->argv = s->argv;
	if (same_file(s->execfn, "/proc/self/exe"))
		return true;
	at = script_at(s);
	if (at && ok(sys2(SYS_access, (long)s->execfn, 1 /* X_OK */))) {
		a->argv = s->argv + at; /* the kernel puts everything in front once more */
		return true;
	}
	a->path = s->exe;
	return same_file(s->exe, "/proc/self/exe");
}

/* One library of a list; the loader takes blanks and colons between them. */
static const char *end_of_library(const char *s)
{
	while (*s && *s != ':' && *s != ' ')
		s++;
	return s;
}

static bool is_recorder(const char *s, const char *end)
{
	static const char name[] = "libseep-rec.so";
	const size_t len = sizeof(name) - 1;

	return (size_t)(end - s) >= len && bytes_equal(end - len, name, len);
}

/*
 * The recorder, a colon, and what was there: rec/session.c puts that back. Another program's
 * recorder in it is left out, because two do not get on.
 */
static char *put_preload(char *to, const struct start *s, const char *old)
{
	to = put_text(put_text(to, "LD_PRELOAD="), s->recorder);
	if (old)
		*to++ = ':';
	while (old && *old) {
		const char *end = end_of_library(old), *next = *end ? end + 1 : end;

		if (!is_recorder(old, end)) {
			bytes_copy(to, old, (size_t)(next - old));
			to += next - old;
		}
		old = next;
	}
	*to = '\0';
	return to + 1;
}

/* VERSION:FD:PID:FOLLOW:SOCKET, as rec/session.c reads it; there is no socket. */
static void put_session(char *to, long fd, uint64_t pid)
{
	to = put_number(put_text(to, "SEEP_REC="), WIRE_VERSION);
	to = put_number(put_text(to, ":"), (uint64_t)fd);
	to = put_number(put_text(to, ":"), pid);
	put_text(to, ":0:");
}

/* The environment with two variables more, in memory of our own. */
static bool prepare(const struct start *s, long fd, uint64_t pid, struct again *a)
{
	char **old = find_variable(s->envp, "LD_PRELOAD=");
	const char *list = old ? value_of(*old, "LD_PRELOAD=") : NULL;
	size_t nr = count(s->envp), out = 0;
	char *preload, *session;

	if (nr > ENVIRONMENT_MAX || s->argc > ARGUMENTS_MAX || !choose(s, a))
		return false;
	a->bytes =
		(nr + 3) * sizeof(char *) + FLAGS_PATH_MAX + 128 + (list ? text_length(list) : 0);
	a->memory = sys_mmap(a->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (sys_failed(a->memory))
		return false;
	a->envp = a->memory;
	preload = (char *)(a->envp + nr + 3);
	session = put_preload(preload, s, list);
	put_session(session, fd, pid);
	a->envp[out++] = session;
	if (!old)
		a->envp[out++] = preload;
	for (char **variable = s->envp; *variable; variable++)
		if (!value_of(*variable, "SEEP_REC="))
			a->envp[out++] = variable == old ? preload : *variable;
	a->envp[out] = NULL;
	return true;
}

void flags_exec(const struct start *s)
{
	uint64_t pid = (uint64_t)sys0(SYS_getpid);
	struct again a = {0};
	long fd;

	/* A recorder that cannot be loaded is worth no table, and no message of the loader. */
	if (is_recorded(s->envp, pid) || !ok(sys2(SYS_access, (long)s->recorder, 4 /* R_OK */)))
		return;
	if (!may_make_table(pid))
		return;
	fd = make_table(pid);
	if (!ok(fd))
		return;
	if (prepare(s, fd, pid, &a)) {
		sys3(SYS_execve, (long)a.path, (long)a.argv, (long)a.envp);
		sys2(SYS_munmap, (long)a.memory, (long)a.bytes);
	}
	sys1(SYS_close, fd);
}
