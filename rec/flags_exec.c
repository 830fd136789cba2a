/*
 * A table without a launcher, and the program executed once more with the recorder in it.
 *
 * The table's descriptor stays open across the exec; the recorder maps it, and keeps it as the way
 * in for others: its name says "/memfd:seep-rec.PID.FD" as a launcher's does, only that the process
 * is its own launcher.
 */
#include <linux/mman.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "bytes.h"
#include "flags_stub.h"
#include "flags_text.h"
#include "sys.h"
#include "wire/wire.h"

#define ENVIRONMENT_MAX (1 << 16) /* variables; with more we stand aside */
#define ARGUMENTS_MAX (1 << 20)
#define INTERPRETER_WORDS 8 /* that the kernel may put in front of a script's own arguments */

/* ---- the environment ---- */

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
	fd = flags_table(pid, s);
	if (!ok(fd))
		return;
	if (prepare(s, fd, pid, &a)) {
		sys3(SYS_execve, (long)a.path, (long)a.argv, (long)a.envp);
		sys2(SYS_munmap, (long)a.memory, (long)a.bytes);
	}
	sys1(SYS_close, fd);
}
